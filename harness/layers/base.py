"""What a layer kind is: settings, dropout sites, canonical arrays and the float64 reference.

A new layer kind is one file in this package that ends in `register(MyKind())`. Host side only (Python >= 3.11).
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from harness.records import Arrays, Site
from harness.rounding import Rounding

Shapes = Mapping[str, tuple[int, ...]]


class Config(BaseModel):
    """Base of every layer kind's settings: unknown keys are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False, defer_build=True)


class DropoutSpec(BaseModel):
    """One entry of a case's `dropout` list, before the kind has resolved its axes and shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    at: str
    rate: float
    shared: tuple[str, ...] = ()
    noise: str = "bernoulli"
    scale: str = "inverted"


class Refused(ValueError):
    """A kind refuses settings that cannot mean anything. `path` is where in the case, e.g. ("dropout", 0, "at")."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the reference computed, float64.

    outputs    by name, canonical layout (`y`, `h`, `c` …).
    gradients  of sum(cotangent * output) over all outputs with a cotangent, by each input's and weight's name.
    trace      intermediate values that a check or a diagnosis may want, e.g. every step's h and c.
    """

    outputs: Arrays
    gradients: Arrays = field(default_factory=dict)
    trace: Arrays = field(default_factory=dict)


class LayerKind(ABC):
    """One kind of layer. Every method is pure; shapes are batch-major."""

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    #: sites that the case's `dropout` list may name.
    site_names: ClassVar[tuple[str, ...]] = ()
    #: shapes of the inputs that are no states, in letters (harness.layers._described); {}: any shape.
    input_letters: ClassVar[Mapping[str, str]] = {"x": "BTD"}

    @abstractmethod
    def input_names(self, config: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return (required, optional) names of inputs, e.g. (("x",), ("h0", "c0"))."""

    def weight_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Return the canonical weights' shapes by name; raises Refused for impossible input shapes."""
        return {}

    def check_inputs(self, config: Any, inputs: Shapes) -> None:  # noqa: B027 - most kinds take any shape
        """Raise Refused(path, message) when the input shapes do not fit each other or the config."""

    def integer_inputs(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, int]]:
        """Return the inputs that hold integers (tokens, lengths), each with its smallest and largest value.

        They have no gradient, travel as int64 whatever the case's dtype, and `Evaluation.gradients` leaves them out.
        """
        return {}

    @abstractmethod
    def sites(self, config: Any, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the dropout sites: axes, shared axes and the canonical shape of one mask. Raises Refused."""

    @abstractmethod
    def output_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Return the outputs' shapes by name, in the order of the canonical result."""

    @abstractmethod
    def evaluate(
        self,
        config: Any,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """The float64 reference, written from the published equations.

        draws      by site: bool decisions (true: kept), or standard normals under `input` / `input/normal`; shapes
                   broadcast to the site's full canonical shape. Ignored where `train` is false.
        cotangents by output name; when given, gradients are computed too (reverse mode, by hand).
        rounding   perturbs wherever a float implementation rounds (the tolerance model); None: clean.
        """


_KINDS: dict[str, LayerKind] = {}
_LOADED = False


def register(kind: LayerKind) -> LayerKind:
    """Add a layer kind; two kinds of one name are an error."""
    if kind.name in _KINDS and type(_KINDS[kind.name]) is not type(kind):
        raise ValueError(f"layer kind {kind.name!r} is defined twice: {_KINDS[kind.name]!r} and {kind!r}")
    _KINDS[kind.name] = kind
    return kind


def kinds() -> dict[str, LayerKind]:
    """All layer kinds by name; imports every module of this package once."""
    global _LOADED
    if not _LOADED:
        package = importlib.import_module("harness.layers")
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            if module != "base" and not module.startswith("_"):
                importlib.import_module(f"harness.layers.{module}")
        _LOADED = True
    return _KINDS


def tape_keys(site: Site) -> tuple[tuple[str, str], ...]:
    """The (key, kind) pairs under which a site's draws travel: `input`, or `input` and `input/normal`."""
    if len(site.draws) == 1:
        return ((site.at, site.draws[0]),)
    return tuple((site.at if kind == "bernoulli" else f"{site.at}/{kind}", kind) for kind in site.draws)


def multiplier(site: Site, draw: np.ndarray) -> np.ndarray:
    """What a multiplicative site multiplies by, float64: keep / (1 - rate), or N(1, rate / (1 - rate)).

    Srivastava et al. 2014, sections 4 (Bernoulli; inverted scaling as in section 10) and 10 (Gaussian).
    At rate 1 nothing is kept, so the multiplier is 0 rather than 0/0.
    """
    if site.noise == "gaussian":
        return np.asarray(1.0 + np.sqrt(site.rate / site.keep) * draw, dtype=np.float64)
    kept = np.asarray(draw, dtype=np.float64)
    if site.scale == "none" or site.keep == 0.0:
        return kept
    return np.asarray(kept / site.keep, dtype=np.float64)
