"""Collects masks that a framework drew, with what a prediction has to be told, and writes them as JSON.

Runs in the framework's own interpreter, Python 3.6 and newer, with NumPy alone.
"""

import base64
import hashlib
import json
import platform
import sys

import numpy as np

#: Masks of more elements are kept as a digest of their bits.
WHOLE = 2048


def packed(keep):
    """The bits of a mask in C order."""
    return np.packbits(np.ascontiguousarray(keep, dtype=bool).reshape(-1)).tobytes()


def stored(keep):
    """A mask as JSON: base64 of its bits, or a digest of them."""
    bits = packed(keep)
    if keep.size <= WHOLE:
        return {"bits": base64.b64encode(bits).decode()}
    return {"sha256": hashlib.sha256(bits).hexdigest()}


def _plain(value):
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


class Recorder:
    """Masks of one framework."""

    def __init__(self, **versions):
        self.versions = versions
        self.entries = []

    def add(self, like, keep, seed, rate, dtype="float32", call=0, backend="", **options):
        """Record one mask; its framework's version is that of the first name in `versions` that `like` begins with."""
        keep = np.asarray(keep, dtype=bool)
        root = "keras" if like.startswith("keras.") else like.split(".")[0]
        entry = {
            "like": like,
            "version": self.versions[root].split("+")[0],
            "seed": seed,
            "shape": list(keep.shape),
            "rate": rate,
            "dtype": dtype,
            "call": call,
            "backend": backend,
            "options": {name: _plain(value) for name, value in sorted(options.items())},
        }
        entry.update(stored(keep))
        self.entries.append(entry)

    def write(self, path, thin=1):
        """Write all entries, or every `thin`-th and the first of each kind."""
        kinds, kept = set(), []
        for number, entry in enumerate(self.entries):
            size = "sha256" in entry
            options = tuple(sorted(entry["options"]))
            kind = (entry["like"], entry["dtype"], entry["backend"], options, entry["call"] > 0, size)
            if number % thin == 0 or kind not in kinds:
                kept.append(entry)
            kinds.add(kind)
        head = {
            "versions": self.versions,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
            "recorded": len(kept),
            "of": len(self.entries),
        }
        with open(path, "w") as file:
            file.write('{"provenance": %s,\n "masks": [\n' % json.dumps(head, sort_keys=True))
            file.write(",\n".join(json.dumps(entry, sort_keys=True) for entry in kept))
            file.write("\n]}\n")


def main(probe):
    """Run a probe as a script: `python -m tests.streams.probes.NAME OUT.json [THIN]`."""
    recorder = probe()
    recorder.write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
