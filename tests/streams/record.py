"""Record the masks of every framework that can be run: `python tests/streams/record.py --help`.

Each probe is a script of its own that runs in the framework's interpreter; a plan names probe, interpreter and words.
The committed files under data/ hold a part of what a probe draws (one in `THIN`, and one of each kind); the live tests
run the same probes and compare all of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

#: Name of the data file: probe, interpreter (key of --interpreter, or "" for this one), last words, environment, share.
PLANS: dict[str, tuple[str, str, tuple[str, ...], dict[str, str], int]] = {
    "tensorflow-1.3.0": ("tensorflow1", "tf1.3", (), {}, 23),
    "tensorflow-1.8.0": ("tensorflow1", "tf1.8", (), {}, 23),
    "tensorflow-1.8.0-eager": ("tensorflow1", "tf1.8", ("eager",), {}, 13),
    "tensorflow-2.0.0": ("tensorflow2", "tf2.0", (), {}, 41),
    "tensorflow-current": ("tensorflow2", "", (), {}, 53),
    "keras2-2.0.0": ("keras2", "tf2.0", (), {}, 23),
    "keras2-current": ("keras2", "", (), {}, 29),
    "keras3-tensorflow": ("keras3", "", (), {"KERAS_BACKEND": "tensorflow"}, 37),
    "keras3-torch": ("keras3", "", (), {"KERAS_BACKEND": "torch"}, 37),
    "keras3-jax": ("keras3", "", (), {"KERAS_BACKEND": "jax"}, 37),
    "keras3-numpy": ("keras3", "", (), {"KERAS_BACKEND": "numpy"}, 37),
    "torch-2.6.0": ("torch_cpu", "torch2.6", (), {}, 97),
    "torch-current": ("torch_cpu", "", (), {}, 97),
    "torch-compile": ("torch_compile", "", (), {}, 1),
    "jax-current": ("jax_family", "", (), {}, 61),
    "jax-current-x64": ("jax_family", "", ("x64",), {}, 71),
    "normals-torch-2.6.0": ("normals", "torch2.6", ("torch",), {}, 3),
    "normals-torch": ("normals", "", ("torch",), {}, 3),
    "normals-tensorflow": ("normals", "", ("tensorflow",), {}, 17),
    "normals-jax": ("normals", "", ("jax",), {}, 13),
    "normals-keras-tensorflow": ("normals", "", ("keras",), {"KERAS_BACKEND": "tensorflow"}, 11),
    "normals-keras-torch": ("normals", "", ("keras",), {"KERAS_BACKEND": "torch"}, 11),
    "normals-keras-jax": ("normals", "", ("keras",), {"KERAS_BACKEND": "jax"}, 11),
    "normals-keras-numpy": ("normals", "", ("keras",), {"KERAS_BACKEND": "numpy"}, 11),
}


def record(name: str, path: Path, interpreter: str, thin: int, timeout: float = 900) -> None:
    """Run one plan's probe; raises RuntimeError with the end of its output where it fails."""
    probe, _, words, environment, _ = PLANS[name]
    command = [interpreter, str(HERE / "probes" / f"{probe}.py"), str(path), str(thin), *words]
    # PYTHONPATH would lead an older interpreter to this one's packages.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{name}: {' '.join(command)}\n{done.stderr[-3000:]}")


def main() -> None:
    """Record what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"which files: {', '.join(PLANS)} (default: all with an interpreter)")
    parser.add_argument(
        "--interpreter", action="append", default=[], metavar="KEY=PYTHON", help="e.g. tf1.8=/path/python"
    )
    parser.add_argument("--folder", type=Path, default=HERE / "data")
    parser.add_argument("--whole", action="store_true", help="keep every mask, as the live tests do")
    arguments = parser.parse_args()
    interpreters = {"": sys.executable, **dict(each.split("=", 1) for each in arguments.interpreter)}
    for name in arguments.names or PLANS:
        key, thin = PLANS[name][1], PLANS[name][4]
        if key not in interpreters:
            print(f"{name}: left out, no interpreter {key}", file=sys.stderr)
            continue
        record(name, arguments.folder / f"{name}.json", interpreters[key], 1 if arguments.whole else thin)
        print(name, file=sys.stderr)


if __name__ == "__main__":
    main()
