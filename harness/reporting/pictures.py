"""Masks as pictures: panels over time (down) and features (across), one for each gate, pooled where they are large.

A page draws them from a few bytes each: one bit an element while everything is kept or dropped, else one byte of grey.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: The most elements that a panel shows down and across, and the most panels for one mask.
DOWN, ACROSS, PANELS = 64, 96, 8


def gates_first(mask: np.ndarray, axes: Sequence[str]) -> np.ndarray:
    """The mask with its gates as panels, whatever lies before them; `axes` are the names of its axes."""
    if "gates" not in axes or len(axes) != mask.ndim:
        return mask
    return np.moveaxis(mask, list(axes).index("gates"), 0)


def shown_panels(mask: np.ndarray) -> np.ndarray:
    """At most PANELS of a mask's panels, as (…, down, across): as many as fit along the first axis, then the next.

    Of (gates 4, batch 6, time, features) these are two sequences of each gate.
    """
    mask = np.asarray(mask)
    if mask.ndim < 2:
        return mask.reshape(1, 1, -1)
    room = PANELS
    for axis, size in enumerate(mask.shape[:-2]):
        mask = mask.take(range(min(size, room)), axis=axis)
        room = max(1, room // max(1, min(size, room)))
    return mask if mask.ndim > 2 else mask[None]


def pool(mask: np.ndarray, down: int = DOWN, across: int = ACROSS) -> np.ndarray:
    """Make a mask small enough to draw: (…, down, across) or less, at most PANELS panels (see `shown_panels`).

    A panel of one long row keeps its beginning, `down * across` elements; any other becomes means over blocks, float32, which
    are the shares kept of a boolean mask.
    """
    panels = shown_panels(mask)
    if panels.shape[-2] == 1:
        return panels[..., : down * across]
    if panels.shape[-2] <= down and panels.shape[-1] <= across:
        return panels
    return _pool_axis(_pool_axis(panels.astype(np.float32), panels.ndim - 2, down), panels.ndim - 1, across)


def wrap(panels: np.ndarray, across: int = ACROSS) -> np.ndarray:
    """Break panels of one long row into rows of `across`, as text is broken into lines; what is left over is cut off."""
    count, down, width = panels.shape
    if down != 1 or width <= across:
        return panels
    return panels[:, :, : width - width % across].reshape(count, -1, across)


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


def picture(mask: np.ndarray, of: int | None = None) -> dict[str, Any]:
    """A mask as the page's script draws it; `of`: how many panels the whole mask has, if this is only its beginning.

    `w`, `h`: elements across and down a panel; `n`: panels drawn; `of`: panels there are; `grid`: the panels drawn along each
    of their axes, where there are several axes; `bits` (base64, most significant
    first, set where kept) or `grey` (base64, a byte an element: 255 is kept, or the largest value of other noise);
    `pooled` where an element of the picture stands for several; `wrapped` where one row was broken into several; `lo`,
    `hi`: the values that 0 and 255 stand for, unless they are 0 and 1.
    """
    panels = as_panels(mask)
    pooled = pool(mask)
    small = as_panels(pooled)
    shown = wrap(small)
    described: dict[str, Any] = {
        "w": shown.shape[2],
        "h": shown.shape[1],
        "n": shown.shape[0],
        "of": of or panels.shape[0],
    }
    if pooled.ndim > 3:
        described["grid"] = list(pooled.shape[:-2])
    if panels.shape[1] > 1 and small.shape[1:] != panels.shape[1:]:
        described["pooled"] = True
    if shown.shape != small.shape:
        described["wrapped"] = True
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
