"""Gates: in another order, interleaved, or with the update gate the other way round."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting, moved, scaled
from harness.layers.base import Evaluation

#: Which weights are read in the wrong order, and how often that happens.
PARTS: dict[str, tuple[tuple[str, ...], float]] = {
    "all": (("kernel", "recurrent_kernel", "bias", "recurrent_bias"), 1.0),
    "both kernels, not the bias": (("kernel", "recurrent_kernel"), 1.3),
    "kernel alone": (("kernel",), 1.4),
    "recurrent kernel alone": (("recurrent_kernel",), 1.4),
    "bias alone": (("bias", "recurrent_bias"), 1.5),
}


def block_index(shape: Sequence[int], order: Sequence[int]) -> np.ndarray:
    """Flat indices that put the block k of the last axis at the place order[k]."""
    places = np.arange(int(np.prod(shape))).reshape(*shape[:-1], len(order), -1)
    return places[..., np.argsort(order), :].reshape(-1)


@family("gates.order", stage="layout")
def orders(setting: Setting) -> Iterator[Fault]:
    """Every order of the gates but the right one, in all weights or in some."""
    gates, known = setting.gates, setting.kind.orders
    if len(gates) < 2:
        return
    for letters in itertools.permutations(gates):
        order = "".join(letters)
        if order == gates:
            continue
        common = 1.0 if order in known else 1.2 if sum(a != b for a, b in zip(order, gates, strict=True)) == 2 else 1.6
        for part, (names, rarity) in PARTS.items():
            owner = f", as in {known[order]}" if order in known else ""
            spelled, right = ", ".join(order), ", ".join(gates)
            where = "" if part == "all" else f" ({part})"
            yield Fault(
                f"gates.order[{','.join(order)}] {part}",
                f"gate blocks read in the order {spelled} instead of {right}{owner}{where}",
                f"reorder the blocks of the {'weights' if part == 'all' else part}: the canonical order is {right}",
                _ordered(names, [gates.index(letter) for letter in order]),
                rarity * common,
                words={"gates": gates, "canonical": right},
            )


def _ordered(names: Sequence[str], order: Sequence[int]) -> Run:
    return lambda setting, inner: moved(
        setting,
        inner,
        {name: block_index(setting.weights[name].shape, order) for name in setting.recurrent(*names)},
    )


@family("gates.interleaved", stage="layout")
def interleaved(setting: Setting) -> Iterator[Fault]:
    """Columns read as (units, gates) instead of (gates, units)."""
    if len(setting.gates) < 2:
        return

    def run(names: tuple[str, ...]) -> Run:
        return lambda setting, inner: moved(
            setting,
            inner,
            {name: _interleave(setting.weights[name].shape, len(setting.gates)) for name in setting.recurrent(*names)},
        )

    for part, (names, rarity) in PARTS.items():
        if part in ("all", "both kernels, not the bias"):
            yield Fault(
                f"gates.interleaved {part}",
                f"gate blocks read interleaved, one unit's gates side by side ({part})",
                "the last axis is (gates, units): reshape to (…, gates, units), not (…, units, gates)",
                run(names),
                1.6 * rarity,
            )


def _interleave(shape: Sequence[int], gates: int) -> np.ndarray:
    places = np.arange(int(np.prod(shape))).reshape(*shape[:-1], -1, gates)
    return np.moveaxis(places, -1, -2).reshape(-1)


@family("gates.inverted", stage="weights")
def inverted(setting: Setting) -> Iterator[Fault]:
    """A gate that keeps what it should replace: 1 - sigmoid(a) is sigmoid(-a)."""
    names = setting.recurrent("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    for gate in setting.kind.gates if names else ():
        if gate.inverse is None:
            continue
        wrong, right = gate.inverse
        signs = [-1.0 if other is gate else 1.0 for other in setting.kind.gates]
        yield Fault(
            f"gates.inverted {gate.letter}",
            f"{gate.words.removeprefix('the ')} the other way round: {wrong}",
            f"blend as {right}",
            _flipped(names, signs),
            1.1,
        )


def _flipped(names: Sequence[str], signs: Sequence[float]) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        factors = {name: np.repeat(signs, setting.weights[name].shape[-1] // len(signs)) for name in names}
        return scaled(setting, inner, factors)

    return run
