"""What a layer kind declares of its gates, and how declarations are judged when a kind registers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.frameworks.contract.declaring import declarer, place
from harness.layers._described import weights
from harness.records import Arrays, Site


@dataclass(frozen=True)
class Gate:
    """One gate of a recurrent kind: a block of the last axis of its kernels and its bias.

    letter   as orders are spelled: `i`.
    words    as a report names it: "the input gate i".
    forgets  some library adds a forget bias to it.
    through  letter of the gate that it multiplies something in: what it can do, that one can.
    inverse  of a gate that people use as 1 - gate: what is then computed, and what should be.
    """

    letter: str
    words: str
    forgets: bool = False
    through: str = ""
    inverse: tuple[str, str] | None = None


@dataclass(frozen=True)
class Oddities:
    """The cells that faults make of a kind's own, by options of `LayerKind.odd`.

    gates    sets another activation of the gates, a name in ACTIVATIONS (harness.layers._lstm_cell); "": they have none.
    tanh     each sets what stands in tanh's place, a name in SQUASHES: with where that is, in words.
    formula  what is right there, and how to get it.
    fed      let a mask at state.h act on all that a step reads of h: a dropped output that is the state; None: cannot.
    """

    gates: str = ""
    tanh: Mapping[str, str] = field(default_factory=dict)
    formula: str = ""
    fed: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Mistake:
    """A cell that people write in the place of a kind's own, by options of `LayerKind.odd`; the others as of a fault.

    at   the dropout site without which it is no other cell; "": none.
    """

    name: str
    cause: str
    fix: str
    options: Mapping[str, Any]
    rarity: float = 1.0
    at: str = ""


@dataclass(frozen=True)
class Formula:
    """A formula that is taken for an elementwise kind's own; `apply(site, x, draws by tape key)` gives y and its slope."""

    name: str
    cause: str
    fix: str
    apply: Callable[[Site, np.ndarray, Arrays], tuple[np.ndarray, np.ndarray]]


def refuse_declaration(kind: Any, base: type) -> None:
    """Raise ValueError for a declaration of a kind that cannot be: `file:line: class Name: what is wrong (did you mean …?)`."""
    for name, wrong in _wrong(kind, base):
        raise ValueError(f"{place(declarer(type(kind), name))}: {wrong}")


def _wrong(kind: Any, base: type) -> Iterator[tuple[str, str]]:
    """(declaration, what is wrong with it), of all that is wrong."""
    cls = type(kind)
    declared = [name for name in base.__annotations__ if not name.startswith("_")]
    for owner in cls.__mro__[: cls.__mro__.index(base)]:
        for name, value in vars(owner).items():
            if name not in declared and not name.startswith("_") and isinstance(value, tuple | str | bool | dict):
                near = difflib.get_close_matches(name, declared, n=1, cutoff=0.85)
                if near:
                    yield name, f"nobody reads {name!r} (did you mean {near[0]!r}?)"
    for name in ("name", "Config"):
        if not hasattr(kind, name):
            yield name, f"declares no {name}"
    if not isinstance(kind.gates, tuple) or not all(isinstance(gate, Gate) for gate in kind.gates):
        yield "gates", f"gates is a tuple of Gate, not {kind.gates!r}"
        return
    letters = [gate.letter for gate in kind.gates]
    for letter in letters:
        if not (isinstance(letter, str) and len(letter) == 1 and letter.isalpha()):
            yield "gates", f"the gate {letter!r} needs one letter"
        elif letters.count(letter) > 1:
            yield "gates", f"two gates are called {letter!r}"
    if not isinstance(kind.states, tuple) or not all(isinstance(state, str) and state for state in kind.states):
        yield "states", f"states is a tuple of texts, not {kind.states!r}"
        return
    for order in kind.orders:
        if sorted(order) != sorted(letters):
            yield "orders", f"the order {order!r} is none of the gates {', '.join(letters) or 'which are none'}"
    for gate in kind.gates:
        if gate.through and gate.through not in letters:
            yield "gates", f"the gate {gate.letter!r} acts through {gate.through!r}, which is no gate"
    if letters and not kind.states:
        yield "gates", f"declares the gates {', '.join(letters)} and no states"
    if not letters:
        yield from _gateless(kind, base)


def _gateless(kind: Any, base: type) -> Iterator[tuple[str, str]]:
    """A kind without gates that has what only a recurrent one has."""
    advice = "declares no gates: gates = (Gate('i', 'the input gate i'), …) in their canonical order"
    sites = [
        site for site in kind.site_names if ".".join(site.split(".")[-2:]).startswith(("state.", "weight.recurrent"))
    ]
    weights = [name for name in _weights(kind, base) if name.endswith("recurrent_kernel")]
    if kind.states:
        yield "states", f"has the states {', '.join(kind.states)} and {advice}"
    elif sites:
        yield "site_names", f"has dropout at {sites[0]} and {advice}"
    elif weights:
        yield "weight_shapes", f"has the weight {weights[0]} and {advice}"


def _weights(kind: Any, base: Any) -> Iterable[str]:
    """Names of the weights of the plainest layer of a kind; none where it cannot be told."""
    return () if type(kind).weight_shapes is base.weight_shapes else weights(kind)
