"""What a case's power depends on, as one digest: the same digest, the same power."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

from harness.records import ArraySpec, Variant

#: The packages and modules whose code decides what a case notices.
CODE = ("cases", "comparison", "diagnosis", "layers", "noises.py")
#: The fields of a variant that do: not its names, its backends, nor what it expects of them.
FIELDS = (
    "layer",
    "config",
    "sites",
    "seeds",
    "mode",
    "draws",
    "dtype",
    "gradients",
    "weight_gradients",
    "tolerance",
    "checks",
    "predict",
)


def key(variant: Variant) -> str:
    """16 hex digits of the SHA-256 of everything that `power` reads: settings, arrays' files, and the harness's own code."""
    digest = hashlib.sha256(code().encode())
    for name in FIELDS:
        digest.update(f"{name}={getattr(variant, name)!r}\n".encode(errors="backslashreplace"))
    for kind, specs in (("inputs", variant.inputs), ("weights", variant.weights)):
        for name, spec in specs.items():
            digest.update(f"{kind}.{name}=".encode())
            for part in _spec(spec):
                digest.update(part)
    return digest.hexdigest()[:16]


def _spec(spec: ArraySpec) -> Iterator[bytes]:
    """An array's recipe, without its place in the case file; of one from a file, the file's bytes."""
    yield repr([getattr(spec, name) for name in ArraySpec.__slots__ if name not in ("file", "place")]).encode()
    if spec.file:
        yield hashlib.sha256(Path(spec.file).read_bytes()).digest()


@functools.cache
def code() -> str:
    """The SHA-256 of the code that decides, in hex."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for name in CODE:
        for path in sorted((root / name).rglob("*.py")) or [root / name]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
