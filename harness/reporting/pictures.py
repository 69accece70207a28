"""Masks as pictures: panels over time (down) and features (across), pooled where they are large.

A page draws them from a few bytes each: one bit an element while everything is kept or dropped, else one byte of grey.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

#: The most elements that a panel shows down and across, and the most panels for one mask.
DOWN, ACROSS, PANELS = 48, 96, 8


def pool(mask: np.ndarray, down: int = DOWN, across: int = ACROSS) -> np.ndarray:
    """Mean over blocks, so that the last two axes have at most `down` and `across` elements; leading axes are cut to
    PANELS in all.

    Returns float32, (panels, down, across) or less; the means of a boolean mask are the shares kept.
    """
    panels = as_panels(mask)[:PANELS].astype(np.float32)
    return _pool_axis(_pool_axis(panels, 1, down), 2, across)


def as_panels(mask: np.ndarray) -> np.ndarray:
    """Reshape to (panels, down, across): the last axis runs across, the one before it down, all others are panels."""
    mask = np.asarray(mask)
    if mask.ndim < 2:
        return mask.reshape(1, 1, -1)
    return mask.reshape(math.prod(mask.shape[:-2]), *mask.shape[-2:])


def _pool_axis(array: np.ndarray, axis: int, most: int) -> np.ndarray:
    size = array.shape[axis]
    if size <= most:
        return array
    edges = np.linspace(0, size, most + 1).astype(int)[:-1]
    widths = np.diff(np.append(edges, size))
    shape = [1] * array.ndim
    shape[axis] = most
    return np.asarray(np.add.reduceat(array, edges, axis=axis) / widths.reshape(shape), dtype=np.float32)


def picture(mask: np.ndarray) -> dict[str, Any]:
    """A mask as the page's script draws it.

    `w`, `h`: elements across and down a panel; `n`: panels drawn; `of`: panels there are; `bits` (base64, most
    significant first, set where kept) or `grey` (base64, a byte an element: 255 is kept, or the largest value of
    other noise); `pooled` where an element of the picture stands for several; `lo`, `hi`: the values that 0 and 255
    stand for, unless they are 0 and 1.
    """
    panels = as_panels(mask)
    shown = pool(panels)
    described: dict[str, Any] = {"w": shown.shape[2], "h": shown.shape[1], "n": shown.shape[0], "of": panels.shape[0]}
    if shown.shape[1:] != panels.shape[1:]:
        described["pooled"] = True
    finite = shown[np.isfinite(shown)]
    if finite.size == shown.size and bool(((finite == 0) | (finite == 1)).all()):
        described["bits"] = base64.b64encode(np.packbits(shown.astype(bool).ravel()).tobytes()).decode()
        return described
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        described |= {"lo": float(f"{low:.3g}"), "hi": float(f"{high:.3g}")}
    with np.errstate(invalid="ignore"):
        scaled = np.nan_to_num((shown - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    described["grey"] = base64.b64encode(np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8).tobytes()).decode()
    return described
