"""Where the two part, when no known fault gives the numbers: the first step, layer, gates, samples and units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.observed import Observed


def parting(passes: list[Observed]) -> str:
    """Where the differences begin, in words; "" where nothing can be said."""
    main = passes[0]
    if main.expected is None:
        missing = [site.at for site in main.setting.sites if site.at not in main.setting.draws]
        return f"nothing was recorded at {', '.join(missing)}: only the masks' own checks can judge it"
    parts = [*_agreeing(passes), *_steps(main), *_layers(main), *_places(main), *_gates(main)]
    return "; ".join(parts)


def _wrong(one: Observed, name: str) -> np.ndarray | None:
    """Which elements of an array are beyond its limit; None where it has another shape."""
    assert one.expected is not None
    actual, expected = np.asarray(one.actual[name], dtype=np.float64), one.expected[name]
    if actual.shape != expected.shape:
        return None
    with np.errstate(invalid="ignore"):
        close = np.abs(actual - expected) <= one.limits[name]
    return np.asarray(~(close | (actual == expected) | (np.isnan(actual) & np.isnan(expected))))


def _agreeing(passes: list[Observed]) -> Iterator[str]:
    """What is right: evaluation, or all outputs, or training."""
    main = passes[0]
    failing = set(main.failing())
    if main.setting.train and len(passes) > 1 and not passes[-1].setting.train:
        if not passes[-1].failing() and failing:
            yield "evaluation is right, so it is the dropout"
        elif passes[-1].failing() and not failing:
            yield "training is right, so dropout, or what switches it off, differs in evaluation"
    if failing and all(name.startswith("gradient.") for name in failing):
        yield "all outputs are right, so it is the backward pass"


def _steps(one: Observed) -> Iterator[str]:
    """The first step of the sequence y that is beyond its limit."""
    if "y" not in one.actual or one.actual["y"].ndim != 3 or not one.setting.groups:
        return
    wrong = _wrong(one, "y")
    if wrong is None:
        yield f"y has shape {one.actual['y'].shape}"
        return
    steps = np.asarray(wrong.any(axis=(0, 2)))
    if not steps.any():
        return
    first = int(np.argmax(steps))
    if first == 0:
        yield "y parts at its first step, before the recurrence has acted"
    else:
        yield (
            f"y parts at step {first + 1} of {len(steps)}; the steps before it are right, so input, kernel and bias "
            "are read as they should be"
        )


def _layers(one: Observed) -> Iterator[str]:
    """The first layer of a stack whose state is beyond its limit."""
    config = one.setting.config
    layers = getattr(config, "layers", 1)
    if layers < 2:
        return
    for layer in range(layers):
        for name in (f"layer{layer}.h", f"layer{layer}.c"):
            wrong = _wrong(one, name) if name in one.actual else None
            if wrong is not None and wrong.any():
                yield f"{name} is the first state that differs"
                return
    for layer in range(layers):
        for name in ("h", "c"):
            wrong = _wrong(one, name) if name in one.actual else None
            if wrong is not None and len(wrong) == layers and wrong[layer].any():
                yield f"layer {layer + 1} of {layers} is the first whose {name} differs"
                return


def _places(one: Observed) -> Iterator[str]:
    """Samples and units, where only some of them differ."""
    failing = [name for name in one.failing() if not name.startswith("gradient.")]
    if not failing:
        return
    wrong = _wrong(one, failing[0])
    if wrong is None or wrong.ndim < 2:
        return
    for axis, word in ((0, "samples"), (wrong.ndim - 1, "features")):
        hit = np.asarray(wrong.any(axis=tuple(n for n in range(wrong.ndim) if n != axis)))
        if hit.any() and not hit.all():
            places = np.flatnonzero(hit)
            shown = ", ".join(str(place) for place in places[:6]) + (" …" if len(places) > 6 else "")
            yield f"only {word} {shown} of {failing[0]} differ ({len(places)} of {len(hit)})"


def _gates(one: Observed) -> Iterator[str]:
    """The gates whose bias or kernel gradients are beyond their limits, where not all are."""
    letters = one.setting.gates
    if len(letters) < 2:
        return
    for name in one.setting.recurrent("bias", "kernel", "recurrent_kernel"):
        key = f"gradient.{name}"
        wrong = _wrong(one, key) if key in one.actual else None
        if wrong is None or not wrong.any():
            continue
        gates = np.asarray(wrong.reshape(-1, len(letters), wrong.shape[-1] // len(letters)).any(axis=(0, 2)))
        if not gates.all():
            hit = ", ".join(letter for letter, bad in zip(letters, gates, strict=True) if bad)
            yield f"the gradient of {name} differs for gate {hit} alone"
            return
