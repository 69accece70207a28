"""A small part of a large case: a few samples and the first steps. A fault that does not fit the part does not fit the whole.

Samples do not know of each other, and the outputs of a sequence's first steps do not depend on the later ones, as long as it
is read forward. So most faults are ruled out at a fraction of the cost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from harness.diagnosis.fault import Fault
from harness.diagnosis.observed import Observed
from harness.records import Site

#: What is kept of larger cases, and from which sizes on it is worth it.
SAMPLES, STEPS = 2, 4
WORTH = 8
#: Faults that may move a part of the whole to another place.
GLOBAL = ("inputs", "outputs")
#: Faults of masks that take or move draws along the axes that are cut, or decide from the draws as they were recorded.
AXIAL = (
    "mask.shared",
    "mask.reversed",
    "mask.shifted",
    "mask.exchanged",
    "mask.fresh",
    "decisions.rate",
    "site.unasked",
)


def local(faults: tuple[Fault, ...]) -> bool:
    """Whether what the faults do to a part depends on that part alone."""
    return all(
        fault.stage not in GLOBAL and not fault.silent and fault.name.split(" ")[0] not in AXIAL for fault in faults
    )


def cut(one: Observed) -> Observed | None:
    """The pass with fewer samples and steps, outputs only; None where nothing would be gained."""
    setting = one.setting
    if one.expected is None or "x" not in setting.inputs or not setting.groups:
        return None
    batch, steps = setting.inputs["x"].shape[:2]
    config = setting.config
    forward = (
        setting.kind.forward(config) and "lengths" not in setting.inputs and one.actual.get("y", np.zeros(0)).ndim == 3
    )
    sizes = {}
    if batch >= WORTH:
        sizes["batch"] = SAMPLES
    if forward and steps >= WORTH:
        sizes["time"] = STEPS
    if not sizes:
        return None
    starts = tuple(f"{state}0" for state in setting.kind.states)
    inputs = {name: _input(name, array, batch, sizes, starts) for name, array in setting.inputs.items()}
    part = setting.changed(
        inputs=inputs,
        sites=tuple(_site(site, sizes) for site in setting.sites),
        draws={name: _draw(array, setting.site(name.split("/")[0]), sizes) for name, array in setting.draws.items()},
        cotangents=None,
    )
    shapes = setting.kind.output_shapes(config, part.shapes())
    # After fewer steps the last state is another one.
    names = [name for name in shapes if name in one.actual and (name == "y" or "time" not in sizes)]
    expected, actual = one.expected, one.actual
    if any(actual[name].shape != expected[name].shape for name in names):
        return None
    return dataclasses.replace(
        one,
        setting=part,
        actual={name: _leading(actual[name], shapes[name]) for name in names},
        expected={name: _leading(expected[name], shapes[name]) for name in names},
        limits={name: one.limits[name] for name in names},
    )


def _leading(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The first elements along every axis."""
    return array[tuple(slice(size) for size in shape)]


def _input(name: str, array: np.ndarray, batch: int, sizes: Mapping[str, int], starts: tuple[str, ...]) -> np.ndarray:
    """An input's part: x, z and tokens are (B, T, …), states have the batch on their last axis but one."""
    if name.endswith(starts):
        return array[..., : sizes.get("batch", batch), :]
    found = array[: sizes.get("batch", batch)]
    return found[:, : sizes["time"]] if "time" in sizes and name == "x" else found


def _site(site: Site, sizes: Mapping[str, int]) -> Site:
    def less(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(min(size, sizes.get(axis, size)) for axis, size in zip(site.axes, shape, strict=True))

    return site._replace(shape=less(site.shape), full=less(site.full) if site.full else ())


def _draw(draw: np.ndarray, site: Site | None, sizes: Mapping[str, int]) -> np.ndarray:
    if site is None or draw.ndim != len(site.axes):
        return draw
    return draw[tuple(slice(sizes.get(axis)) for axis in site.axes)]
