"""Masks: shared over what they should not be, taken from another place, or used at the wrong time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting, drawn_at, taken
from harness.layers.base import Evaluation, tape_keys
from harness.records import Site

Change = Callable[[np.ndarray], np.ndarray]

SHARING = {
    "time": ("one mask for all time steps{at}", "draw a new mask at every step"),
    "batch": (
        "one mask for the whole batch{at}",
        "draw a mask for every sample (noise_shape with the batch size first)",
    ),
    "gates": (
        "one mask for all gates{at}",
        "draw a mask for every gate (Keras' implementation 1), or share it in the case",
    ),
    "features": ("one decision for all features{at}", "draw a decision for every feature"),
    "layers": ("one mask for all layers{at}", "draw a mask for every layer"),
    "directions": ("one mask for both directions{at}", "draw a mask for each direction"),
    "inputs": ("one decision for all inputs{at}", "draw a decision for every weight"),
    "units": ("one decision for all units{at}", "draw a decision for every weight"),
    "vocabulary": ("one decision for all words{at}", "draw a decision for every row of the table"),
}


def drawing(setting: Setting) -> list[Site]:
    """The sites whose draws matter."""
    return [site for site in setting.sites if site.active]


def redrawn(site: Site, change: Change) -> Run:
    """The layer with all draws of one site changed."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train:
            return inner(setting)
        draws = dict(setting.draws)
        for key, _ in tape_keys(site):
            if key in draws:
                draws[key] = change(drawn_at(setting, site, key))
        return inner(setting.changed(draws=draws))

    return run


def _size(setting: Setting, site: Site, axis: int) -> int:
    """How many values along an axis the recorded draw has; in evaluation, the site's own."""
    found = [setting.draws[key].shape for key, _ in tape_keys(site) if key in setting.draws]
    shape = found[0] if found and len(found[0]) == len(site.shape) else site.shape
    return shape[axis]


@family("mask.shared", stage="draws")
def shared(setting: Setting) -> Iterator[Fault]:
    """One mask where several were drawn: the first (or the last) along an axis."""
    for site in drawing(setting):
        for axis, name in enumerate(site.axes):
            size = _size(setting, site, axis)
            if size < 2:
                continue
            words, fix = SHARING.get(name, (f"one mask along axis {name}{{at}}", f"draw masks along axis {name}"))
            for which, place in (("first", 0), ("last", size - 1)):
                yield Fault(
                    f"mask.shared over {name} at {site.at} ({which})",
                    words.format(at=f" at {site.at}") + f": the {which} that was drawn",
                    fix,
                    redrawn(site, lambda draw, place=place, axis=axis: taken(draw, [place], axis)),  # type: ignore[misc]
                    (1.0 if which == "first" else 1.3) * (1.5 if name in ("features", "inputs", "units") else 1.0),
                )


@family("mask.order", stage="draws")
def order(setting: Setting) -> Iterator[Fault]:
    """The masks of one axis used in another order: another gate's, reversed in time, one step late, axes exchanged."""
    for site in drawing(setting):
        axes = {name: axis for axis, name in enumerate(site.axes) if _size(setting, site, axis) > 1}
        if "gates" in axes:
            yield from _gate_orders(setting, site, axes["gates"])
        if "time" in axes:
            axis = axes["time"]
            yield Fault(
                f"mask.reversed at {site.at}",
                f"masks of the time steps used in reverse at {site.at}",
                "use the mask of step t at step t",
                redrawn(site, lambda draw, axis=axis: np.flip(draw, axis)),  # type: ignore[misc]
                1.3,
            )
            for shift, word in ((1, "one step late"), (-1, "one step early")):
                yield Fault(
                    f"mask.shifted {shift:+d} at {site.at}",
                    f"masks used {word} at {site.at}",
                    "use the mask of step t at step t",
                    redrawn(site, lambda draw, s=shift, axis=axis: np.roll(draw, s, axis)),  # type: ignore[misc]
                    1.4,
                )
        if {"batch", "time"} <= set(axes) and _size(setting, site, axes["batch"]) == _size(setting, site, axes["time"]):
            pair = axes["batch"], axes["time"]
            yield Fault(
                f"mask.exchanged at {site.at}",
                f"time and batch of the mask exchanged at {site.at}",
                "draw the mask in the layout of the array that it multiplies",
                redrawn(site, lambda draw, pair=pair: draw.swapaxes(*pair)),  # type: ignore[misc]
                1.2,
            )


def _gate_orders(setting: Setting, site: Site, axis: int) -> Iterator[Fault]:
    letters = setting.gates
    for order in itertools.permutations(range(len(letters))):
        if list(order) == list(range(len(letters))) or _size(setting, site, axis) != len(letters):
            continue
        spelled = ",".join(letters[k] for k in order)
        yield Fault(
            f"mask.gates[{spelled}] at {site.at}",
            f"masks of the gates {', '.join(letters)} used for {', '.join(spelled.split(','))} at {site.at}",
            f"the masks' gates are in the order {', '.join(letters)}",
            redrawn(site, lambda draw, order=order, axis=axis: taken(draw, np.argsort(order).tolist(), axis)),  # type: ignore[misc]
            1.5,
        )
    for gate, letter in list(enumerate(letters))[1:]:
        yield Fault(
            f"mask.reused {letter} at {site.at}",
            f"the mask of gate {letter} used for all gates at {site.at}",
            "use each gate's own mask",
            redrawn(site, lambda draw, gate=gate, axis=axis: taken(draw, [gate], axis)),  # type: ignore[misc]
            1.6,
        )


@family("mask.fresh", stage="draws")
def fresh(setting: Setting) -> Iterator[Fault]:
    """A new mask along an axis over which the case shares one. Their values are on no tape that holds one mask only."""
    for site in drawing(setting):
        for axis, name in enumerate(site.axes):
            full = site.full[axis] if site.full else 0
            if name in site.shared and full > 1 and _size(setting, site, axis) == 1:
                where = {"time": "at every time step", "batch": "for every sample", "gates": "for every gate"}
                yield Fault(
                    f"mask.fresh over {name} at {site.at}",
                    f"a new mask {where.get(name, 'along ' + name)} at {site.at}",
                    "draw once, before the loop, and use that mask throughout",
                    redrawn(site, lambda draw, axis=axis, full=full, site=site: _drawn(draw, axis, full, site)),  # type: ignore[misc]
                    fresh=True,
                )


def _drawn(draw: np.ndarray, axis: int, full: int, site: Site) -> np.ndarray:
    """The recorded mask first, then others of its rate."""
    shape = list(draw.shape)
    shape[axis] = full - 1
    generator = np.random.default_rng(full)
    more = generator.random(shape) >= site.rate if draw.dtype == bool else generator.standard_normal(shape)
    return np.concatenate([draw, more], axis=axis)


@family("mask.call", stage="draws")
def call(setting: Setting) -> Iterator[Fault]:
    """Dropout that is not there in training, or there in evaluation."""
    sites = drawing(setting)
    if not sites:
        return
    keys = [key for site in sites for key, _ in tape_keys(site)]
    yield Fault(
        "mask.absent",
        "no dropout in training",
        "switch training mode on",
        lambda s, inner: inner(s.changed(train=False)),
    )
    yield Fault(
        "mask.in evaluation",
        "dropout active in evaluation",
        "switch training mode off for evaluation",
        lambda s, inner: inner(s if s.train or not set(keys) <= set(s.draws) else s.changed(train=True)),
    )
    if len(sites) > 1:
        for site in sites:
            yield Fault(
                f"mask.absent at {site.at}",
                f"no dropout at {site.at}",
                f"multiply by the mask at {site.at} too",
                lambda s, inner, at=site.at: inner(s.changed(sites=tuple(x for x in s.sites if x.at != at))),  # type: ignore[misc]
                1.1,
            )


@family("mask.once", stage="inputs")
def once(setting: Setting) -> Iterator[Fault]:
    """Masks that are drawn once a run. Outside of the other faults of masks, which then act on these draws."""
    if not drawing(setting):
        return
    yield Fault(
        "mask.once a run",
        "the masks of the first call used in every call",
        "draw the masks inside of each call, not when the layer is built or wrapped",
        lambda s, inner: inner(s.changed(draws={**s.draws, **s.first}) if s.train and s.first else s),
        1.3,
        silent=True,
    )
