"""Compares recorded masks with predictions."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.streams import predict

DATA = Path(__file__).parent / "data"


def entries(path: Path) -> list[dict[str, Any]]:
    """The masks of a file, none of them missing."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["masks"], path
    assert len(content["masks"]) == content["provenance"]["recorded"]
    return content["masks"]


def _option(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return [_option(each) for each in value] if isinstance(value, list) else value


def predicted(entry: dict[str, Any]) -> np.ndarray:
    """What the oracle says of an entry."""
    options = {name: _option(value) for name, value in entry["options"].items()}
    return predict(
        entry["like"],
        entry["version"],
        entry["seed"],
        entry["shape"],
        entry["rate"],
        entry["dtype"],
        entry["call"],
        entry["backend"] or None,
        **options,
    ).keep


def differences(path: Path) -> Iterator[str]:
    """Say of every mask that the oracle has wrong which one it is."""
    for entry in entries(path):
        keep = predicted(entry)
        said = {name: value for name, value in entry.items() if name not in ("bits", "sha256")}
        if keep.shape != tuple(entry["shape"]):
            yield f"shape {keep.shape}: {said}"
            continue
        bits = np.packbits(keep.reshape(-1)).tobytes()
        if "sha256" in entry:
            same = hashlib.sha256(bits).hexdigest() == entry["sha256"]
        else:
            same = bits == base64.b64decode(entry["bits"])
        if not same:
            yield str(said)
