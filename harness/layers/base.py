"""What a layer kind is: settings, dropout sites, canonical arrays and the float64 reference.

A new layer kind is one file in this package that ends in `register(MyKind())`. Host side only (Python >= 3.11).
"""

from __future__ import annotations

import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict

from harness.frameworks.contract.declaring import place
from harness.frameworks.contract.geometry import Form
from harness.layers._declared import Formula as Formula
from harness.layers._declared import Gate as Gate
from harness.layers._declared import Mistake as Mistake
from harness.layers._declared import Oddities as Oddities
from harness.layers._declared import refuse_declaration
from harness.layers._refusing import DropoutSpec as DropoutSpec
from harness.layers._refusing import Refused as Refused
from harness.layers._solved import Seen, Told
from harness.noises import tape_keys as tape_keys
from harness.records import Arrays, Site
from harness.registry import Registry
from harness.rounding import Rounding
from harness.tape import NORMAL

Shapes = Mapping[str, tuple[int, ...]]


class Config(BaseModel):
    """Base of every layer kind's settings: unknown keys are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False, defer_build=True)


class DoesNotFit(ValueError):
    """A draw is missing, or draws, shapes and settings do not fit each other: nothing to evaluate, and nobody's error."""


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
    #: gates of a recurrent kind, in their canonical order: their blocks are side by side in `kernel`, `recurrent_kernel`, `bias`.
    gates: ClassVar[tuple[Gate, ...]] = ()
    #: states that a step hands to the next one; `h` is what a layer emits, `h0` its initial value.
    states: ClassVar[tuple[str, ...]] = ()
    #: stacks that run one after the other, each from the last one's states: (prefix of their names, sequence that they read).
    halves: ClassVar[tuple[tuple[str, str], ...]] = (("", "x"),)
    #: whether names count the layers also where there is one.
    numbered: ClassVar[bool] = False
    #: checks that are asked of this kind beside those of every case.
    checks: ClassVar[tuple[str, ...]] = ()
    #: whether y is a formula of x, element by element, with one site `input`.
    elementwise: ClassVar[bool] = False
    #: other orders of the gates, as letters, each with whose it is.
    orders: ClassVar[Mapping[str, str]] = {}
    #: what faults may do to the cell; None: `odd` changes nothing.
    oddities: ClassVar[Oddities | None] = None
    #: formulas that are taken for an elementwise kind's own.
    formulas: ClassVar[tuple[Formula, ...]] = ()
    #: options of a cell that no case can ask for, as `odd` has set them.
    options: Mapping[str, Any] = {}

    def __new__(cls) -> Self:
        """Raises ValueError, with file and class, where a method is missing."""
        missing = sorted(getattr(cls, "__abstractmethods__", ()))
        if missing:
            raise ValueError(f"{place(cls)}: has no method {', '.join(missing)}")
        return super().__new__(cls)

    @property
    def letters(self) -> str:
        """The canonical order of the gates, a letter each; "" of a kind that is not recurrent."""
        return "".join(gate.letter for gate in self.gates)

    @property
    def form(self) -> Form | None:
        """What workers are told of the recurrence; None of a kind that is not recurrent."""
        return Form(self.letters, self.states, self.halves, self.numbered) if self.gates else None

    def odd(self, options: Mapping[str, Any]) -> Self:
        """The kind with another cell; options add to those that are set already. `evaluate` reads `self.options`."""
        other = copy.copy(self)
        other.options = {**self.options, **options}
        return other

    def mistakes(self, config: Any) -> Iterable[Mistake]:
        """Cells that people write in this one's place."""
        return ()

    def forward(self, config: Any) -> bool:
        """Whether one stack reads one sequence x from its first step to its last, and y has a step for each."""
        return self.form is not None and len(self.halves) == 1 and not self.numbered

    def ends_in_state(self, config: Any) -> bool:
        """Whether the last step of y is the last h, where nothing is dropped at `output`."""
        return True

    def half(self, config: Any, **settings: Any) -> tuple[LayerKind, Any] | None:
        """What each of several halves is by itself: a kind with its config, of these further settings; None of one stack."""
        return None

    def solved(self, config: Any, seen: Seen, gate: str) -> Told | None:
        """What these outputs say of one gate, all others being right; None where no gate can be solved for."""
        return None

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


_KINDS: Registry[LayerKind] = Registry("the layer kind", "harness.layers", group="harness.layers")


def register(kind: LayerKind) -> LayerKind:
    """Add a layer kind. Raises ValueError, with file and class, for a name that is taken and for a declaration that cannot be."""
    refuse_declaration(kind, LayerKind)
    try:
        _KINDS.add(kind.name, kind, type(kind))
    except ValueError as error:
        raise ValueError(f"{place(type(kind))}: {error}") from None
    return kind


def kinds() -> dict[str, LayerKind]:
    """All layer kinds by name; imports every module of this package once, and those of entry points."""
    return _KINDS.all()


def words() -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[Any, ...]]] | None:
    """What kinds know, for adapters to be validated: kinds, sites, and settings with the values that they list; () for no list.

    None while the kinds are being imported.
    """
    known = kinds()
    return _words(tuple(known.values())) if _KINDS.complete else None


@functools.cache
def _words(known: tuple[LayerKind, ...]) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[Any, ...]]]:
    sites = dict.fromkeys(site for kind in known for site in kind.site_names or ("input",))
    settings: dict[str, tuple[Any, ...]] = {}
    for kind in known:
        for name, info in kind.Config.model_fields.items():
            settings[name] = (*settings.get(name, ()), *_listed(info.annotation))
    return tuple(kind.name for kind in known), tuple(sites), settings


def _listed(annotation: Any) -> tuple[Any, ...]:
    """The values that a type lists."""
    inner = get_args(annotation)
    return inner if get_origin(annotation) is Literal else tuple(value for one in inner for value in _listed(one))


def multiplier(site: Site, draw: np.ndarray) -> np.ndarray:
    """What a multiplicative site multiplies by, float64: keep / (1 - rate), or N(1, rate / (1 - rate)).

    Srivastava et al. 2014, sections 4 (Bernoulli; inverted scaling as in section 10) and 10 (Gaussian).
    At rate 1 nothing is kept, so the multiplier is 0 rather than 0/0.
    """
    if NORMAL in site.draws:
        return np.asarray(1.0 + site.spread * draw, dtype=np.float64)
    kept = np.asarray(draw, dtype=np.float64)
    if site.scale == "none" or site.keep == 0.0:
        return kept
    return np.asarray(kept / site.keep, dtype=np.float64)
