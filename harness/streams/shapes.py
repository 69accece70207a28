"""Shapes of draws that several elements share."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UserError

Shape = tuple[int, ...]


def noise(shape: Shape, noise_shape: Sequence[int | None] | None) -> Shape:
    """Return the concrete noise shape of a tensor's shape; None in it means the tensor's own size.

    Raises UserError where it does not broadcast to the tensor.
    """
    if noise_shape is None:
        return shape
    full = tuple(size if want is None else int(want) for size, want in zip(shape, noise_shape, strict=False))
    if len(noise_shape) != len(shape) or any(want not in (1, size) for want, size in zip(full, shape, strict=True)):
        raise UserError(f"noise_shape {tuple(noise_shape)} does not broadcast to the shape {shape}")
    return full


def shared(shape: Shape, axes: Sequence[int]) -> Shape:
    """Return a shape with size 1 at the axes that share one decision; raises UserError for an axis that it hasn't got."""
    drawn = list(shape)
    for axis in axes:
        if not -len(shape) <= axis < len(shape):
            raise UserError(f"axis {axis} is not one of a tensor of {len(shape)} dimensions")
        drawn[axis] = 1
    return tuple(drawn)
