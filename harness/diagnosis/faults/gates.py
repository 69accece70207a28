"""Gates: in another order, interleaved, or with the update gate the other way round."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Setting, moved, scaled

#: Orders that some library has.
KNOWN = {
    "igfo": "TensorFlow 1 and Haiku",
    "iofg": "ONNX",
    "ifog": "CoreML",
    "gfoi": "DL4J",
    "rzn": "torch's GRU",
}
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
    gates = setting.gates
    if len(gates) < 2:
        return
    for letters in itertools.permutations(gates):
        order = "".join(letters)
        if order == gates:
            continue
        common = 1.0 if order in KNOWN else 1.2 if sum(a != b for a, b in zip(order, gates, strict=True)) == 2 else 1.6
        for part, (names, rarity) in PARTS.items():
            owner = f", as in {KNOWN[order]}" if order in KNOWN else ""
            spelled, right = ", ".join(order), ", ".join(gates)
            where = "" if part == "all" else f" ({part})"
            yield Fault(
                f"gates.order[{','.join(order)}] {part}",
                f"gate blocks read in the order {spelled} instead of {right}{owner}{where}",
                f"reorder the blocks of the {'weights' if part == 'all' else part}: the canonical order is {right}",
                _ordered(names, [gates.index(letter) for letter in order]),
                rarity * common,
                fixes={
                    "torch": f"torch's own order is {'i, f, g, o' if len(gates) == 4 else 'r, z, n'}: "
                    f"split the canonical weights as {right} and concatenate them in the order that your code reads",
                    "tensorflow": f"Keras' order is {'i, f, c, o' if len(gates) == 4 else 'z, r, h'} (TensorFlow 1: i, j, f, "
                    f"o): split the canonical weights as {right} and concatenate them in the order that your code reads",
                },
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


@family("gates.update", stage="weights")
def update(setting: Setting) -> Iterator[Fault]:
    """The GRU's update gate keeps the new value instead of the old one: z and 1 - z exchanged."""
    if setting.kind.name != "gru":
        return
    sign = np.repeat([-1.0, 1.0, 1.0], setting.config.units)
    names = setting.recurrent("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    run: Run = lambda setting, inner: scaled(setting, inner, dict.fromkeys(names, sign))  # noqa: E731
    yield Fault(
        "gates.update inverted",
        "update gate the other way round: h = (1 - z) h' + z n instead of z h' + (1 - z) n",
        "blend as h = z * h' + (1 - z) * n, as Keras and torch do",
        run,
        1.1,
    )
