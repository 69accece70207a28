"""Compares recorded masks with predictions."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.streams import predict, predict_normal

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


def normals_apart(entry: dict[str, Any]) -> str:
    """Say by how much the oracle's normals are off, or nothing where they keep their promise."""
    options = {name: _option(value) for name, value in entry["options"].items()}
    noise = predict_normal(
        entry["like"],
        entry["version"],
        entry["seed"],
        entry["shape"],
        entry["dtype"],
        entry["call"],
        entry["backend"] or None,
        **options,
    )
    drawn = np.frombuffer(base64.b64decode(entry["values"]), entry["dtype"]).reshape(entry["shape"])
    if noise.values.shape != drawn.shape or noise.values.dtype != drawn.dtype:
        return f"{noise.values.dtype}{noise.values.shape}"
    # Spacing at the drawn value; a subnormal counts as the smallest normal number, since TensorFlow and XLA flush them.
    unit = np.spacing(np.maximum(np.abs(drawn), np.finfo(drawn.dtype).tiny))
    apart = np.abs(noise.values.astype(np.float64) - drawn.astype(np.float64)) / unit.astype(np.float64)
    worst = float(np.max(apart, initial=0.0))
    return "" if worst <= noise.ulps else f"{worst:.3g} ulps where {noise.ulps} are promised"


def differences(path: Path) -> Iterator[str]:
    """Say of every mask (or normal draw) that the oracle has wrong which one it is."""
    for entry in entries(path):
        said = {name: value for name, value in entry.items() if name not in ("bits", "sha256", "values")}
        if "values" in entry:
            apart = normals_apart(entry)
            if apart:
                yield f"{apart}: {said}"
            continue
        keep = predicted(entry)
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
