"""Biases: doubled, halved, absent; a forget bias that is added once too often or not at all, or to another gate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting, relinked, scaled, with_gradients
from harness.layers.base import Evaluation

BIASES = ("bias", "recurrent_bias")


@family("bias.scale", stage="weights")
def scales(setting: Setting) -> Iterator[Fault]:
    """The bias counted twice, by half, or not at all."""
    if not setting.recurrent(*BIASES):
        return

    def run(factor: float, *own: str) -> Run:
        return lambda setting, inner: scaled(setting, inner, dict.fromkeys(setting.recurrent(*(own or BIASES)), factor))

    yield Fault(
        "bias.doubled",
        "bias added twice",
        "add the bias once",
        run(2.0),
    )
    yield Fault("bias.halved", "half the bias added", "add the whole bias once: two halves make one", run(0.5), 1.2)
    yield Fault("bias.absent", "bias not added", "load the bias too", run(0.0))
    inside = next((gate for gate in setting.kind.gates if gate.through), None)
    if inside is not None and "recurrent_bias" in setting.weights:
        gate = inside.words.rpartition(" ")[0]
        yield Fault("bias.recurrent absent", "the recurrent bias not added", "load both rows of the bias (2, 3H)", run(
            0.0, "recurrent_bias"))  # fmt: skip
        yield Fault("bias.recurrent alone", "only the recurrent bias added", "load both rows of the bias (2, 3H)", run(
            0.0, "bias"), 1.2)  # fmt: skip
        yield Fault(
            "bias.recurrent exchanged",
            "the bias and the recurrent bias exchanged",
            "the first row of the bias goes with x W, the second with h U: in torch bias_ih and bias_hh",
            _exchanged,
            1.1,
        )
        yield Fault(
            "bias.recurrent merged",
            f"the recurrent bias added to the bias, outside of {gate}",
            f"{gate} multiplies the recurrent product and its bias: keep two biases",
            _merged,
        )


def _exchanged(setting: Setting, inner: Inner) -> Evaluation:
    other = dict(zip(BIASES, reversed(BIASES), strict=True))
    weights = setting.weights | {name: setting.weights[other[name]] for name in BIASES}
    found = inner(setting.changed(weights=weights))
    return with_gradients(found, {name: found.gradients[other[name]] for name in BIASES if name in found.gradients})


def _merged(setting: Setting, inner: Inner) -> Evaluation:
    weights = {
        **setting.weights,
        "bias": setting.weights["bias"] + setting.weights["recurrent_bias"],
        "recurrent_bias": np.zeros_like(setting.weights["recurrent_bias"]),
    }
    found = inner(setting.changed(weights=weights))
    if "bias" not in found.gradients:
        return found
    return with_gradients(found, {"recurrent_bias": found.gradients["bias"]})


@family("bias.forget", stage="weights")
def forget(setting: Setting) -> Iterator[Fault]:
    """A constant added to one gate's pre-activation: the forget bias of TensorFlow 1 and its relatives."""
    gates = setting.gates
    letter = next((gate.letter for gate in setting.kind.gates if gate.forgets), "")
    if not gates or not letter:
        return
    stored = float(getattr(setting.config, "forget_bias", 0.0))
    own = "forget gate's bias: TensorFlow 1 adds forget_bias=1.0 at run time, Keras' unit_forget_bias stores 1 in the bias"
    if stored:
        yield Fault(
            "bias.forget absent",
            f"forget bias of {stored:g} not added",
            f"add {stored:g} to the {own}",
            _added(letter, -stored),
            words={"amount": f"{stored:g}"},
        )
        yield Fault(
            "bias.forget twice",
            f"forget bias of {stored:g} added twice",
            f"add it once, in the stored bias or at run time; {own}",
            _added(letter, stored),
        )
    for times, word in ((1.0, "once"), (2.0, "twice")):
        if times == stored and times == 1.0:
            continue
        yield Fault(
            f"bias.forget +{times:g}",
            f"forget gate's bias is {times:g} too large (a forget bias of 1 added {word})",
            f"do not add a forget bias to the stored one; {own}",
            _added(letter, times),
            1.0 if times == 1.0 else 1.2,
        )
    yield Fault(
        "bias.forget -1",
        "forget gate's bias is 1 too small",
        f"look at who adds the {own}",
        _added(letter, -1.0),
        1.5 if stored != 1.0 else 1.9,
    )
    for gate in gates.replace(letter, ""):
        yield Fault(
            f"bias.forget on {gate}",
            f"a forget bias of 1 added to gate {gate}",
            f"the forget gate is block {gates.index(letter) + 1} of {', '.join(gates)}",
            _added(gate, 1.0),
            1.4,
        )


def _added(gate: str, amount: float) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        def plus(bias: np.ndarray) -> np.ndarray:
            blocks = bias.reshape(len(setting.gates), -1).copy()
            blocks[setting.gates.index(gate)] += amount
            return blocks.reshape(bias.shape)

        return relinked(setting, inner, dict.fromkeys(setting.recurrent("bias"), plus), {})

    return run
