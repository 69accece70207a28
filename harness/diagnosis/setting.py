"""Everything that one pass of the reference is made of, so that a fault can change any of it before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.layers.base import Evaluation, LayerKind
from harness.records import Arrays, Draws, Site
from harness.rounding import Rounding

Inner = Callable[["Setting"], Evaluation]

#: Gates of a recurrent kind, in the canonical order, one letter each.
GATES = {"gru": "zrn", "simple_rnn": "h"}
LSTM_GATES = "ifgo"


@dataclass(frozen=True)
class Setting:
    """One pass: arrays in float64, canonical draws, and how the draws were recorded.

    train      whether dropout acts. Draws that an evaluation pass made (and should not have) are in `draws` all the same.
    cotangents by output name; None: no gradients.
    raw        the draws as they were recorded, with the rule by which they decide.
    first      the canonical draws of the case's first training pass.
    """

    kind: LayerKind
    config: Any
    inputs: Arrays
    weights: Arrays
    sites: tuple[Site, ...]
    draws: Arrays
    train: bool
    dtype: str
    cotangents: Arrays | None = None
    raw: Draws = field(default_factory=dict)
    first: Arrays = field(default_factory=dict)
    rounding: Rounding | None = None

    def changed(self, **changes: Any) -> Setting:
        """The same with other fields."""
        return dataclasses.replace(self, **changes)

    @property
    def groups(self) -> tuple[str, ...]:
        """Prefixes of the recurrent layers' weights: ("",), or `layer0.` …; () for a layer that is not recurrent."""
        end = "recurrent_kernel"
        return tuple(name.removesuffix(end) for name in self.weights if name.endswith(end))

    @property
    def gates(self) -> str:
        """The canonical order of the gates, one letter each; "" for a layer without any."""
        return GATES.get(self.kind.name, LSTM_GATES) if self.groups else ""

    def recurrent(self, *names: str) -> tuple[str, ...]:
        """The recurrent layers' weights with these last names that there are."""
        return tuple(group + name for group in self.groups for name in names if group + name in self.weights)

    def site(self, at: str) -> Site | None:
        """The site of that name, or None."""
        return next((site for site in self.sites if site.at == at), None)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs by name."""
        return {name: array.shape for name, array in self.inputs.items()}


def reference(setting: Setting) -> Evaluation:
    """The reference itself: the innermost of all faults. Raises ValueError where a draw is missing or does not fit."""
    with np.errstate(all="ignore"):
        return setting.kind.evaluate(
            setting.config,
            setting.inputs,
            setting.weights,
            setting.sites,
            setting.draws,
            train=setting.train,
            cotangents=setting.cotangents,
            rounding=setting.rounding,
        )


def with_outputs(found: Evaluation, changes: Mapping[str, np.ndarray]) -> Evaluation:
    """The evaluation with some outputs replaced."""
    return dataclasses.replace(found, outputs={**found.outputs, **changes})


def with_gradients(found: Evaluation, changes: Mapping[str, np.ndarray]) -> Evaluation:
    """The evaluation with some gradients replaced."""
    return dataclasses.replace(found, gradients={**found.gradients, **changes})


def relinked(
    setting: Setting,
    inner: Inner,
    forward: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    adjoint: Mapping[str, Callable[[np.ndarray], np.ndarray]],
) -> Evaluation:
    """Evaluate with some inputs and weights mapped linearly, gradients mapped back by the adjoint."""
    inputs = {name: forward[name](array) if name in forward else array for name, array in setting.inputs.items()}
    weights = {name: forward[name](array) if name in forward else array for name, array in setting.weights.items()}
    found = inner(setting.changed(inputs=inputs, weights=weights))
    return with_gradients(found, {n: adjoint[n](g) for n, g in found.gradients.items() if n in adjoint})


def moved(setting: Setting, inner: Inner, indices: Mapping[str, np.ndarray]) -> Evaluation:
    """Evaluate with elements of inputs or weights in other places: new.flat = old.flat[index], a permutation."""

    def taken(index: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda array: array.reshape(-1)[index].reshape(array.shape)

    forward = {name: taken(index.reshape(-1)) for name, index in indices.items()}
    back = {name: taken(np.argsort(index.reshape(-1))) for name, index in indices.items()}
    return relinked(setting, inner, forward, back)


def scaled(setting: Setting, inner: Inner, factors: Mapping[str, np.ndarray | float]) -> Evaluation:
    """Evaluate with inputs or weights multiplied, their gradients too."""

    def times(factor: np.ndarray | float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda array: np.asarray(array * factor)

    maps = {name: times(factor) for name, factor in factors.items()}
    return relinked(setting, inner, maps, maps)
