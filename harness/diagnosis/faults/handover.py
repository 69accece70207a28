"""Encoder and decoder: the state that the decoder starts from. Written with the kind that each half is by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting
from harness.layers.base import DoesNotFit, Evaluation
from harness.records import Arrays

Pair = tuple[np.ndarray, np.ndarray]


def half(setting: Setting, prefix: str, sequence: str, start: Arrays, cotangents: Arrays | None) -> Setting:
    """One half as a setting of its own kind, with all its outputs."""
    alone = setting.kind.half(setting.config, return_sequences=True, return_state=True)
    assert alone is not None
    kind, config = alone

    def own(arrays: Arrays) -> Arrays:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    return setting.changed(
        kind=kind,
        config=config,
        inputs={"x": setting.inputs[sequence], **start},
        weights=setting.weights if setting.config.tied else own(setting.weights),
        sites=tuple(
            site._replace(at=site.at.removeprefix(prefix)) for site in setting.sites if site.at.startswith(prefix)
        ),
        draws=own(setting.draws),
        first=own(setting.first),
        raw={name.removeprefix(prefix): draw for name, draw in setting.raw.items() if name.startswith(prefix)},
        cotangents=cotangents,
    )


def _run(handed: Callable[[np.ndarray, np.ndarray], Pair], back: Callable[[np.ndarray, np.ndarray], Pair]) -> Run:
    """The decoder starts from handed(h, c); back is its adjoint."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        if "z" not in setting.inputs:
            raise DoesNotFit("another fault has taken the halves apart")
        given: Arrays = {name: setting.inputs[name] for name in ("h0", "c0") if name in setting.inputs}
        first = inner(half(setting, "encoder.", "x", given, None))
        h, c = handed(first.outputs["h"], first.outputs["c"])
        cotangents = setting.cotangents
        own: Arrays | None = None
        if cotangents is not None:
            own = {name: cotangents[name] for name in ("y", "h", "c") if name in cotangents}
            if "y" in own and not setting.config.return_sequences:
                own["y"] = np.zeros((*setting.inputs["z"].shape[:2], setting.config.units))
                own["y"][:, -1] = cotangents["y"]
        second = inner(half(setting, "decoder.", "z", {"h0": h, "c0": c}, own))
        y = second.outputs["y"]
        outputs = {"y": y if setting.config.return_sequences else y[:, -1]}
        if setting.config.return_state:
            outputs |= {"h": second.outputs["h"], "c": second.outputs["c"]}
            outputs |= {"encoder.h": first.outputs["h"], "encoder.c": first.outputs["c"]}
        if cotangents is None:
            return Evaluation(outputs)
        dh, dc = back(second.gradients["h0"], second.gradients["c0"])
        ends = {name: cotangents.get(f"encoder.{name}", 0.0) + d for name, d in (("h", dh), ("c", dc))}
        before = inner(half(setting, "encoder.", "x", given, ends)).gradients
        after = {name: array for name, array in second.gradients.items() if name not in ("h0", "c0")}
        gradients = {"x": before.pop("x"), "z": after.pop("x")}
        gradients |= {name: before.pop(name) for name in given}
        if setting.config.tied:
            return Evaluation(outputs, gradients | {name: before[name] + after[name] for name in before})
        gradients |= {f"encoder.{name}": array for name, array in before.items()}
        return Evaluation(outputs, gradients | {f"decoder.{name}": array for name, array in after.items()})

    return run


@family("handover", stage="layer")
def handovers(setting: Setting) -> Iterator[Fault]:
    """The decoder's start: exchanged, lost, or half of it."""
    if "state.handover" not in setting.kind.checks:
        return
    fix = "start the decoder with initial_state=[h, c] (Keras), (h, c) (torch) of the encoder's last step"
    zero = np.zeros_like
    yield Fault("handover exchanged", "the decoder starts from (c, h) instead of (h, c)", fix, _run(
        lambda h, c: (c, h), lambda dh, dc: (dc, dh)))  # fmt: skip
    yield Fault("handover lost", "the decoder starts from zeros", fix, _run(
        lambda h, c: (zero(h), zero(c)), lambda dh, dc: (zero(dh), zero(dc))))  # fmt: skip
    yield Fault("handover h alone", "the decoder starts from h with a cell state of zeros", fix, _run(
        lambda h, c: (h, zero(c)), lambda dh, dc: (dh, zero(dc))))  # fmt: skip
    yield Fault("handover c alone", "the decoder starts from c with an h of zeros", fix, _run(
        lambda h, c: (zero(h), c), lambda dh, dc: (zero(dh), dc)))  # fmt: skip
    yield Fault("handover h twice", "the decoder starts from (h, h)", fix, _run(
        lambda h, c: (h, h), lambda dh, dc: (dh + dc, zero(dc))), 1.2)  # fmt: skip
    yield Fault("handover detached", "the gradient stops between encoder and decoder", "do not detach the encoder's states", _run(
        lambda h, c: (h, c), lambda dh, dc: (zero(dh), zero(dc))), silent=True)  # fmt: skip
