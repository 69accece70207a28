"""Kernels in another layout: transposed, or reshaped where they had to be transposed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Setting, moved

Index = Callable[[tuple[int, ...], int], np.ndarray]
WORDS = {"kernel": "kernel", "recurrent_kernel": "recurrent kernel"}


def each_gate_transposed(shape: tuple[int, ...], gates: int) -> np.ndarray:
    """Each square block (I, I) transposed."""
    places = np.arange(int(np.prod(shape))).reshape(shape[0], gates, -1)
    return places.transpose(2, 1, 0).reshape(-1)


def reshaped(shape: tuple[int, ...], gates: int) -> np.ndarray:
    """kernel.reshape(GH, I) taken for kernel.T."""
    places = np.arange(int(np.prod(shape))).reshape(shape[1], shape[0])
    return places.T.reshape(-1)


def reshaped_back(shape: tuple[int, ...], gates: int) -> np.ndarray:
    """kernel.T.reshape(I, GH) taken for kernel."""
    return np.arange(int(np.prod(shape))).reshape(shape).T.reshape(-1)


def whole_transposed(shape: tuple[int, ...], gates: int) -> np.ndarray:
    """A square kernel transposed."""
    return np.arange(int(np.prod(shape))).reshape(shape).T.reshape(-1)


def _run(names: Sequence[str], index: Index) -> Run:
    return lambda setting, inner: moved(
        setting,
        inner,
        {name: index(setting.weights[name].shape, len(setting.gates)) for name in setting.recurrent(*names)},
    )


@family("layout", stage="layout")
def layouts(setting: Setting) -> Iterator[Fault]:
    """Wrong layouts that the shapes allow."""
    gates = len(setting.gates)
    if not gates:
        return
    square = {
        name: all(shape[0] * gates == shape[1] for shape in _shapes(setting, name))
        for name in ("kernel", "recurrent_kernel")
    }
    for name, fits in square.items():
        if fits:
            yield Fault(
                f"layout.transposed {name}",
                f"{WORDS[name]} of each gate transposed",
                f"multiply as x @ W with each gate's canonical (inputs, units) block; torch keeps its {WORDS[name]} as (out, in)",
                _run([name], each_gate_transposed),
                1.0,
            )
    if all(square.values()):
        yield Fault(
            "layout.transposed both",
            "kernel and recurrent kernel of each gate transposed",
            "multiply as x @ W with the canonical (inputs, units) block of each gate",
            _run(list(square), each_gate_transposed),
            1.2,
        )
    for names in (["kernel", "recurrent_kernel"], ["kernel"], ["recurrent_kernel"]):
        words = " and ".join(WORDS[name] for name in names)
        what = "both" if len(names) == 2 else names[0]
        if all(1 in shape for name in names for shape in _shapes(setting, name)):
            continue
        yield Fault(
            f"layout.reshaped {what}",
            f"{words} reshaped to (gates · units, inputs) where a transpose was needed",
            "use `.T` (or `.t()`, `transpose`) for the framework's (gates · units, inputs) layout, not `reshape` or `view`",
            _run(names, reshaped),
            1.1 if len(names) == 2 else 1.3,
        )
        yield Fault(
            f"layout.reshaped back {what}",
            f"{words} transposed, and then reshaped to (inputs, gates · units) again",
            "the canonical weights are (inputs, gates · units) already: neither transpose nor reshape",
            _run(names, reshaped_back),
            1.5,
        )
    if all(shape[0] == shape[1] for shape in _shapes(setting, "kernel")) and gates > 1:
        yield Fault(
            "layout.transposed whole kernel",
            "kernel transposed as a whole",
            "the canonical kernel is (inputs, gates · units): do not transpose it",
            _run(["kernel"], whole_transposed),
            1.1,
        )


def _shapes(setting: Setting, name: str) -> list[tuple[int, ...]]:
    return [setting.weights[one].shape for one in setting.recurrent(name)]
