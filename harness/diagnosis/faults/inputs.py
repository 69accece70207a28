"""What goes in: sequences with their axes exchanged or reversed, and initial states that are lost or exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting, moved, relinked, with_gradients, with_outputs
from harness.layers.base import Evaluation


def sequences(setting: Setting) -> list[str]:
    """Names of the inputs that are sequences of a recurrent layer: (B, T, D), or tokens (B, T)."""
    return [name for name in ("x", "z") if setting.groups and name in setting.inputs and setting.inputs[name].ndim > 1]


def started(setting: Setting) -> bool:
    """Whether an initial state is given, which has its batch where the sequence would have its time."""
    return bool(setting.starts)


@family("inputs.axes", stage="inputs")
def axes(setting: Setting) -> Iterator[Fault]:
    """Time and batch exchanged."""
    names = sequences(setting)
    if not names or "lengths" in setting.inputs or started(setting):
        square = all(setting.inputs[name].shape[0] == setting.inputs[name].shape[1] for name in names)
        if not names or "lengths" in setting.inputs or not square:
            return
    batch, time = setting.inputs[names[0]].shape[:2]
    if (batch == 1 and time == 1) or len({setting.inputs[name].shape[1] for name in names}) > 1:
        return
    yield Fault(
        "inputs.axes exchanged",
        "time and batch exchanged: the recurrence runs over the batch",
        "transpose x to the layout that the layer expects, and y back",
        _exchanged,
    )
    if batch > 1 and time > 1:
        yield Fault(
            "inputs.axes reshaped",
            "x reshaped to (time, batch, features) where a transpose was needed",
            "use a transpose, not reshape or view, to go from batch-major to time-major",
            _reshaped,
            1.1,
        )


def _exchanged(setting: Setting, inner: Inner) -> Evaluation:
    def swap(array: np.ndarray) -> np.ndarray:
        return array.swapaxes(0, 1)

    names = sequences(setting)
    draws, sites = dict(setting.draws), list(setting.sites)
    for position, site in enumerate(sites):
        if {"batch", "time"} <= set(site.axes):
            first, second = site.axes.index("batch"), site.axes.index("time")
            shape, other = list(site.shape), tuple({"batch": "time", "time": "batch"}.get(n, n) for n in site.shared)
            shape[first], shape[second] = shape[second], shape[first]
            sites[position] = site._replace(shape=tuple(shape), shared=other)
            if site.at in draws and draws[site.at].ndim == len(shape):
                draws[site.at] = draws[site.at].swapaxes(first, second)
    cotangents = setting.cotangents
    if cotangents is not None:
        cotangents = {
            name: swap(array) if name == "y" and array.ndim == 3 else array for name, array in cotangents.items()
        }
        square = setting.inputs["x"].shape[0] == setting.inputs["x"].shape[1]
        if not square and any(name != "y" or array.ndim != 3 for name, array in cotangents.items()):
            cotangents = None
    changed = setting.changed(sites=tuple(sites), draws=draws, cotangents=cotangents)
    found = relinked(changed, inner, dict.fromkeys(names, swap), dict.fromkeys(names, swap))
    y = found.outputs["y"]
    return with_outputs(found, {"y": swap(y)}) if y.ndim == 3 else found


def _reshaped(setting: Setting, inner: Inner) -> Evaluation:
    index = {}
    for name in sequences(setting):
        batch, time, *features = setting.inputs[name].shape
        places = np.arange(setting.inputs[name].size).reshape(time, batch, *features)
        index[name] = places.swapaxes(0, 1)
    return moved(setting, inner, index)


@family("inputs.reversed", stage="inputs")
def reversed_time(setting: Setting) -> Iterator[Fault]:
    """The sequence read from its end."""
    names = sequences(setting)
    if not names or all(setting.inputs[name].shape[1] == 1 for name in names):
        return
    yield Fault(
        "inputs.reversed",
        "the sequence read backwards, y in the order of reading",
        "read x from its first step to its last (go_backwards and reverse off), or reverse it once only",
        _flipped(back=False),
        1.1,
    )
    if "y" in setting.kind.output_shapes(setting.config, setting.shapes()) and _long(setting):
        yield Fault(
            "inputs.reversed and back",
            "the sequence read backwards, y put back into the order of the sequence",
            "read x from its first step to its last",
            _flipped(back=True),
            1.2,
        )


def _long(setting: Setting) -> bool:
    return len(setting.kind.output_shapes(setting.config, setting.shapes())["y"]) == 3


def _flipped(*, back: bool) -> Run:
    def flip(array: np.ndarray) -> np.ndarray:
        return array[:, ::-1]

    def run(setting: Setting, inner: Inner) -> Evaluation:
        names = sequences(setting)
        if back and setting.cotangents is not None:
            setting = setting.changed(cotangents={**setting.cotangents, "y": flip(setting.cotangents["y"])})
        found = relinked(setting, inner, dict.fromkeys(names, flip), dict.fromkeys(names, flip))
        return with_outputs(found, {"y": flip(found.outputs["y"])}) if back else found

    return run


@family("inputs.state", stage="inputs")
def states(setting: Setting) -> Iterator[Fault]:
    """Initial states that are lost or exchanged."""
    pairs = {name: name[:-2] + "c0" for name in setting.inputs if name.endswith("h0")}
    each = {f"initial {state}": [s for s in setting.starts if s.endswith(f"{state}0")] for state in setting.kind.states}
    each = {words: names for words, names in each.items() if names}
    for words, names in {"initial state": list(setting.starts), **(each if len(each) > 1 else {})}.items():
        if not names:
            continue
        yield Fault(
            f"inputs.state zero {words}",
            f"{words} ignored: the recurrence starts from zeros",
            f"hand the {words} to the layer: (h0, c0) in torch, initial_state=[h0, c0] in Keras",
            _zeroed(names),
            1.0 if words == "initial state" else 1.2,
        )
    both = {h: c for h, c in pairs.items() if c in setting.inputs}
    if both and all(setting.inputs[h].shape == setting.inputs[c].shape for h, c in both.items()):
        yield Fault(
            "inputs.state exchanged",
            "initial h and c exchanged",
            "torch, Keras and Equinox take (h, c); TensorFlow 1's LSTMStateTuple and Flax's carry are (c, h)",
            _exchanged_states(both),
        )


def _zeroed(names: list[str]) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        zero = {name: np.zeros_like(setting.inputs[name]) for name in names}
        found = inner(setting.changed(inputs={**setting.inputs, **zero}))
        return with_gradients(found, {name: array for name, array in zero.items() if name in found.gradients})

    return run


def _exchanged_states(pairs: Mapping[str, str]) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        other = {**pairs, **{c: h for h, c in pairs.items()}}
        inputs = {name: setting.inputs[other.get(name, name)] for name in setting.inputs}
        found = inner(setting.changed(inputs=inputs))
        return with_gradients(found, {name: found.gradients[other[name]] for name in found.gradients if name in other})

    return run
