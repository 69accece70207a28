"""From step to step: a state that is not carried on, or whose gradient is cut. Each step is a sequence of length one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting, drawn_at, taken
from harness.layers.base import Evaluation
from harness.records import Arrays


@family("steps", stage="layer")
def steps(setting: Setting) -> Iterator[Fault]:
    """One layer in one direction over sequences of one length."""
    config = setting.config
    plain = setting.kind.forward(config) and setting.groups == ("",) and "lengths" not in setting.inputs
    if not plain or setting.inputs["x"].shape[1] < 2:
        return
    if any("time" not in site.axes and site.at != "weight.recurrent" for site in setting.sites):
        return
    yield Fault(
        "steps.reset",
        "the state is not carried on: every step starts from the initial state",
        "hand the state that a step returns to the next step",
        _stepwise(carry=False),
        1.1,
    )
    if setting.cotangents is not None:
        yield Fault(
            "steps.detached",
            "the gradient stops at every step: the state is detached",
            "do not detach the state inside of a sequence",
            _stepwise(carry=True),
            1.1,
            silent=True,
        )
    for state in setting.kind.states if len(setting.kind.states) > 1 else ():
        if state != "h":
            yield Fault(
                f"steps.reset {state}",
                f"the state {state} is not carried on",
                f"hand {' and '.join(setting.kind.states)} to the next step",
                _stepwise(carry=True, lost=f"{state}0"),
                1.2,
            )


def _stepwise(*, carry: bool, lost: str = "") -> Run:
    """Steps one by one; gradients stay within a step, so only faults that cut them anyway are predicted in full."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        _, time, _ = setting.inputs["x"].shape
        config = setting.config.model_copy(update={"return_sequences": True, "return_state": True})
        shapes = setting.kind.output_shapes(config, setting.shapes())
        names = [name for name in setting.kind.states if name in shapes]
        start: Arrays = {f"{name}0": setting.inputs.get(f"{name}0", np.zeros(shapes[name])) for name in names}
        gradients: Arrays = {}
        state, emitted, dx = dict(start), [], []
        for t in range(time):
            found = inner(_step(setting, config, t, state, last=t == time - 1))
            emitted.append(found.outputs["y"])
            for name, array in found.gradients.items():
                if name == "x":
                    dx.append(array)
                elif name not in start or t == 0 or not carry:
                    gradients[name] = gradients.get(name, 0.0) + array
            ends = {f"{name}0": found.outputs[name] for name in names}
            if carry:
                state = {name: start[name] if name == lost else ends[name] for name in start}
        y = np.concatenate(emitted, axis=1)
        outputs = {"y": y if setting.config.return_sequences else y[:, -1]}
        if setting.config.return_state:
            outputs |= {name: found.outputs[name] for name in names}
        if setting.cotangents is None or lost:
            return Evaluation(outputs)
        gradients = {name: array for name, array in gradients.items() if name not in start or name in setting.inputs}
        return Evaluation(outputs, {"x": np.concatenate(dx, axis=1), **gradients})

    return run


def _step(setting: Setting, config: object, t: int, state: Arrays, *, last: bool) -> Setting:
    """Step t as a sequence of its own, starting from a state."""
    cut = slice(t, t + 1)
    draws, sites = dict(setting.draws), []
    for site in setting.sites:
        axis = site.axes.index("time") if "time" in site.axes else None
        if axis is not None and site.at in draws and drawn_at(setting, site).shape[axis] > 1:
            draws[site.at] = taken(draws[site.at], [t], axis)
        shape = tuple(1 if n == axis else size for n, size in enumerate(site.shape))
        sites.append(site._replace(shape=shape))
    cotangents = None
    if setting.cotangents is not None:
        given = setting.cotangents
        dy = None
        if "y" in given:
            dy = given["y"][:, cut] if given["y"].ndim == 3 else given["y"][:, None] * (1.0 if last else 0.0)
        cotangents = {} if dy is None else {"y": dy}
        cotangents |= {
            name: given[name] if last else 0.0 * given[name] for name in setting.kind.states if name in given
        }
    inputs = {**setting.inputs, "x": setting.inputs["x"][:, cut], **state}
    return setting.changed(config=config, inputs=inputs, sites=tuple(sites), draws=draws, cotangents=cotangents)
