"""Resolving dropout sites: axis names, shared axes, the shape of one mask, and the mask as a multiplier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from harness.errors import did_you_mean
from harness.layers.base import DoesNotFit, DropoutSpec, Refused, multiplier
from harness.noises import MULTIPLIES, NOISES, noises_that
from harness.records import Site
from harness.tape import NORMAL

#: Names of the axes of a batch-major array by rank, as Keras uses them (features last). Other ranks have numbers only.
AXES_BY_RANK: Mapping[int, tuple[str, ...]] = {
    1: ("features",),
    2: ("batch", "features"),
    3: ("batch", "time", "features"),
    4: ("batch", "height", "width", "features"),
    5: ("batch", "depth", "height", "width", "features"),
}

SCALES = ("inverted", "none")

Path = tuple[str | int, ...]


def axes_of(rank: int) -> tuple[str, ...]:
    """The axis names of an array of `rank`: words where the rank has them, else its numbers "0", "1" …"""
    return AXES_BY_RANK.get(rank, tuple(str(axis) for axis in range(rank)))


def shared_axes(shared: Sequence[str | int], axes: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Return the shared axes by name, in the order of `axes`. Raises Refused(path + (index,), …)."""
    found: set[str] = set()
    for index, axis in enumerate(shared):
        word = str(axis)
        if word not in axes and word.lstrip("-").isdigit() and -len(axes) <= int(word) < len(axes):
            word = axes[int(word)]
        if word not in axes:
            known = ", ".join(axes) or "none"
            raise Refused((*path, index), f"no axis {axis!r} here{did_you_mean(word, axes)}; the axes are: {known}")
        if word in found:
            raise Refused((*path, index), f"axis {axis!r} is listed twice")
        found.add(word)
    return tuple(axis for axis in axes if axis in found)


def mask_shape(shape: Sequence[int], axes: Sequence[str], shared: Sequence[str]) -> tuple[int, ...]:
    """The shape of one mask: `shape` with size 1 at every shared axis."""
    return tuple(1 if axis in shared else size for axis, size in zip(axes, shape, strict=True))


def resolve(
    spec: DropoutSpec, index: int, axes: tuple[str, ...], shape: tuple[int, ...], noises: Sequence[str] = ()
) -> Site:
    """Make the site of one entry of a `dropout` list whose full array has `axes` and `shape`. Raises Refused.

    noises   the names that it may have; by default all that multiply: what a recurrent layer drops, it multiplies.
    """
    noises = noises or noises_that(MULTIPLIES)
    path: Path = ("dropout", index)
    if spec.noise not in noises:
        known = ", ".join(noises)
        raise Refused(
            (*path, "noise"), f"no noise {spec.noise!r} at {spec.at}{did_you_mean(spec.noise, noises)}: {known}"
        )
    kinds = NOISES[spec.noise].kinds
    if spec.scale not in SCALES:
        raise Refused((*path, "scale"), f"no scale {spec.scale!r}{did_you_mean(spec.scale, SCALES)}: inverted, none")
    if not (math.isfinite(spec.rate) and 0.0 <= spec.rate <= 1.0):
        raise Refused((*path, "rate"), f"the rate is a probability in [0, 1], not {spec.rate}")
    if NORMAL in kinds and spec.rate == 1.0:
        raise Refused((*path, "rate"), "gaussian noise has standard deviation sqrt(rate / (1 - rate)): no rate 1")
    if NORMAL in kinds and spec.scale != "inverted":
        raise Refused((*path, "scale"), "gaussian noise has mean 1 already: there is nothing to scale")
    shared = shared_axes(spec.shared, axes, (*path, "shared"))
    return Site(
        at=spec.at,
        rate=spec.rate,
        noise=spec.noise,
        shared=shared,
        scale=spec.scale,
        axes=axes,
        shape=mask_shape(shape, axes, shared),
        full=tuple(shape),
    )


def draw_of(site: Site, draws: Mapping[str, np.ndarray], key: str = "") -> np.ndarray:
    """Return the draw of a site; it broadcasts to the site's shape. Raises DoesNotFit where it is missing or unfit."""
    name = key or site.at
    if name not in draws:
        raise DoesNotFit(f"no draw for site {name!r}; there are: {', '.join(draws) or 'none'}")
    draw = np.asarray(draws[name])
    sizes = zip(draw.shape, site.shape, site.full or draw.shape, site.axes, strict=False)
    if draw.ndim != len(site.shape) or any(
        have not in (1, want) and not (axis in site.shared and have == full) for have, want, full, axis in sizes
    ):
        raise DoesNotFit(f"the draw of site {name!r} has shape {draw.shape}, the site {site.shape}")
    return draw


def active_multiplier(site: Site | None, draws: Mapping[str, np.ndarray], train: bool) -> np.ndarray | None:
    """What a site multiplies by, float64; None where it changes nothing: no site, evaluation mode or no noise."""
    if site is None or not train or site.silent:
        return None
    return multiplier(site, draw_of(site, draws))
