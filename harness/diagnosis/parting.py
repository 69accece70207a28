"""Where the two part, when no known fault gives the numbers: the first step, direction, half, layer, gate, samples, units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.gate_of import gate_of
from harness.diagnosis.observed import Observed
from harness.frameworks.contract.geometry import DIRECTIONS, layer_name, stacks_of


def parting(passes: list[Observed]) -> str:
    """Where the differences begin, in words."""
    main = passes[0]
    if main.expected is None:
        missing = [site.at for site in main.setting.sites if site.at not in main.setting.draws]
        return f"nothing was recorded at {', '.join(missing)}: only the masks' own checks can judge it"
    # A fault that training hides behind its masks may lie bare in evaluation.
    main = next((one for one in passes if one.failing() and one.expected is not None), main)
    parts = [*_agreeing(passes), *_steps(main), *_halves(main), *_layers(main), *_places(main), *_gates(passes)]
    return "; ".join(parts or _worst(main))


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
    """The first step of the sequence y that is beyond its limit, for each direction."""
    if "y" not in one.actual or not one.setting.groups:
        return
    wrong = _wrong(one, "y")
    if wrong is None:
        yield f"y has shape {one.actual['y'].shape}, the reference's is {one.expected['y'].shape if one.expected else ()}"
        return
    if not wrong.any():
        return
    if wrong.ndim != 3:
        yield "y is one step alone: with return_sequences the case would show the first one that differs"
        return
    if getattr(one.setting.config, "bidirectional", False):
        yield from _directions(wrong)
        return
    yield _step(one, wrong)


def _step(one: Observed, wrong: np.ndarray) -> str:
    """The first step in the order of reading, which is the order of y also where the sequence is read from its end."""
    steps = np.asarray(wrong.any(axis=(0, 2)))
    first = int(np.argmax(steps))
    if first == 0:
        started = bool(one.setting.starts) or len(one.setting.kind.halves) > 1
        before = "from the initial state" if started else "before the recurrence has acted"
        return f"y parts at its first step, {before}"
    text = f"y parts at step {first + 1} of {len(steps)}; the steps before it are right"
    return f"{text}, so input, kernel and bias are read as they should be"


def _directions(wrong: np.ndarray) -> Iterator[str]:
    """The directions that differ, each with the first step that it has read otherwise; y is forward beside backward."""
    half = wrong.shape[2] // 2
    steps = {
        "forward": np.asarray(wrong[..., :half].any(axis=(0, 2))),
        "backward": np.asarray(wrong[:, ::-1, half:].any(axis=(0, 2))),
    }
    bad = {name: found for name, found in steps.items() if found.any()}
    for name, found in bad.items():
        alone = " alone" if len(bad) == 1 else ""
        end = ", read from the end" if name == "backward" else ""
        yield f"the {name} direction{alone} differs in y, from its step {int(np.argmax(found)) + 1} of {len(found)} on{end}"


def _halves(one: Observed) -> Iterator[str]:
    """Whether an encoder has handed over what it should."""
    states = [name for name in ("encoder.h", "encoder.c") if name in one.actual]
    if not states:
        return
    bad = [name for name in states if not one.right(name)]
    if bad:
        yield f"{' and '.join(bad)} of the encoder {'differ' if len(bad) > 1 else 'differs'} already"
    elif any(not name.startswith("gradient.") for name in one.failing()):
        yield "the encoder's state is right, so it is the handover or the decoder"


def _layers(one: Observed) -> Iterator[str]:
    """The first layer of a stack whose state is beyond its limit, and its direction where it has two."""
    form = one.setting.kind.form
    if form is None:
        return
    stacks = stacks_of(form, one.setting.config.model_dump(), {})
    for stack in stacks:
        for layer, direction in stack.places():
            for name in stack.states:
                numbered = layer_name(layer) + name
                wrong = _wrong(one, numbered) if numbered in one.actual else None
                if wrong is not None and wrong.any():
                    yield f"{numbered} is the first state that differs"
                    return
                if not stack.leading or stack.handed + name not in one.actual:
                    continue
                wrong = _wrong(one, stack.handed + name)
                if wrong is None or not wrong.reshape(stack.layers, stack.directions, -1)[layer, direction].any():
                    continue
                way = DIRECTIONS[direction].strip(".") if stack.directions > 1 else ""
                whose = f"{way} {stack.handed}{name}".strip()
                yield f"layer {layer + 1} of {stack.layers} is the first whose {whose} differs"
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


def _gates(passes: list[Observed]) -> Iterator[str]:
    """The gate in which the two part: by the outputs, or where these are right by the gradients of its weights."""
    found = next((text for one in passes if (text := gate_of(one))), "")
    if found:
        yield found
        return
    yield from _gradients(passes[0])


def _gradients(one: Observed) -> Iterator[str]:
    """The gates whose bias or kernel gradients are beyond their limits, where not all are."""
    letters = one.setting.gates
    if len(letters) < 2 or one.expected is None:
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


def _worst(one: Observed) -> list[str]:
    """The element that is farthest off, where nothing else can be said."""
    for name in one.failing():
        wrong = _wrong(one, name)
        if wrong is None:
            return [f"{name} has shape {one.actual[name].shape}"]
        assert one.expected is not None
        gap = np.abs(np.asarray(one.actual[name], dtype=np.float64) - one.expected[name])
        place = np.unravel_index(int(np.argmax(np.where(wrong, np.nan_to_num(gap, nan=np.inf), -1.0))), gap.shape)
        at = [int(index) for index in place]
        return [
            f"{name} is farthest off at {at}: {float(one.actual[name][place]):.6g} for {one.expected[name][place]:.6g}"
        ]
    return []
