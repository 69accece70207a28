"""Everything that one pass of the reference is made of, so that a fault can change any of it before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.layers.base import DoesNotFit, Evaluation, LayerKind
from harness.records import Arrays, Draws, Site
from harness.rounding import Rounding

Inner = Callable[["Setting"], Evaluation]


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
        """The canonical order of the gates, one letter each; "" for a layer without any. Raises ValueError where a kind has
        recurrent weights and declares no gates.
        """
        if self.groups and not self.kind.gates:
            raise ValueError(f"the kind {self.kind.name!r} has recurrent weights and declares no gates")
        return self.kind.letters if self.groups else ""

    @property
    def starts(self) -> tuple[str, ...]:
        """Names of the inputs that are initial states: `h0`, `layer0.c0` …"""
        return tuple(name for name in self.inputs if name.rpartition(".")[2] in [f"{s}0" for s in self.kind.states])

    def recurrent(self, *names: str) -> tuple[str, ...]:
        """The recurrent layers' weights with these last names that there are."""
        return tuple(group + name for group in self.groups for name in names if group + name in self.weights)

    def site(self, at: str) -> Site | None:
        """The site of that name, or None."""
        return next((site for site in self.sites if site.at == at), None)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs by name."""
        return {name: array.shape for name, array in self.inputs.items()}


def drawn_at(setting: Setting, site: Site, key: str = "") -> np.ndarray:
    """What was drawn at a site, with the site's axes. Raises DoesNotFit where it is missing or has other axes."""
    draw = setting.draws.get(key or site.at)
    if draw is None or np.ndim(draw) != len(site.axes):
        raise DoesNotFit(f"what was drawn at {key or site.at} has not the axes {', '.join(site.axes)}")
    return np.asarray(draw)


def taken(array: np.ndarray, places: Sequence[int], axis: int) -> np.ndarray:
    """array.take(places, axis). Raises DoesNotFit where the axis is shorter, as another fault may have left it."""
    if max(places, default=0) >= array.shape[axis]:
        raise DoesNotFit(f"there is no place {max(places)} along an axis of {array.shape[axis]}")
    return array.take(places, axis)


def reference(setting: Setting) -> Evaluation:
    """The reference itself: the innermost of all faults. Raises DoesNotFit where a draw is missing or unfit."""
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
