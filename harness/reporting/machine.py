"""What a run ran on: enough to judge whether two runs may be compared, and nothing that names a person or a host."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from harness.version import __version__

_LIBRARIES = ("numpy", "scipy", "pandas", "pydantic", "ruamel.yaml", "ml_dtypes")


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith(("model name", "cpu model", "hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def system() -> str:
    """The system and its C library, which move numbers: "Linux, glibc 2.36". A kernel's build is a machine's own matter."""
    library = " ".join(platform.libc_ver()).strip()
    release = library or platform.mac_ver()[0] or platform.win32_ver()[1]
    return ", ".join(filter(None, (platform.system(), release)))


def version_of(distribution: str) -> str:
    """The installed version of a distribution, without importing it; "" where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def describe() -> dict[str, object]:
    """Harness, Python, system, processor and the versions of the libraries that compare."""
    return {
        "harness": __version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": system(),
        "machine": platform.machine(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count() or 1,
        "libraries": {name: version for name in _LIBRARIES if (version := version_of(name))},
    }
