"""A pair as a case file: `reference` is the program that is believed, `backends` those that are compared with it.

    about: Is my torch port of the classifier the Keras model, dropout included?
    reference: {name: original, framework: torch, target: "model.py:Net"}
    backends:
      - {name: port, framework: jax, target: "port.py:build", weights: auto}
    inputs: {tokens: {shape: [4, 9], fill: integers, low: 0, high: 49, seed: 1}}

Inputs are written as in every case (docs/cases.md); integers stay integers. Files are seen from the folder of the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from harness.cases.arrays import ArrayReader
from harness.cases.backends import expectations
from harness.cases.document import Document, read
from harness.cases.filling import make
from harness.cases.loading import display_name, folder_of, is_pair
from harness.cases.problems import Complaints, dotted, validate
from harness.cases.schema import MAX_SEED, StrictModel, Text
from harness.environments import descriptions
from harness.errors import Place, Problem, UserError, did_you_mean
from harness.frameworks.contract.framework import ported
from harness.frameworks.contract.programs import Arrays
from harness.pairs import rows
from harness.pairs.compare import PairResult, compare
from harness.pairs.sides import TIMEOUT, Side, side
from harness.pairs.weights import converter
from harness.records import PROGRAMS, ArraySpec, BackendRef, Variant


class ProgramEntry(StrictModel):
    """One program."""

    name: str = Field(min_length=1)
    target: str = Field(pattern=r"\.py:\w+$")
    framework: str | None = None
    environment: str = ""
    weights: str = "own"


class PairFile(StrictModel):
    """The whole file."""

    about: str = ""
    reference: ProgramEntry
    backends: list[ProgramEntry] = Field(min_length=1)
    inputs: dict[str, Any] = Field(min_length=1)
    seeds: list[int] = Field(default=[0, 1], min_length=1)
    mode: Literal["eval", "train"] | None = None
    gradients: bool = True
    expect: list[Any] = Field(default_factory=list)
    timeout: float = Field(default=TIMEOUT, gt=0.0, le=86_400.0)
    tags: list[Text] = Field(default_factory=list)


@dataclass(frozen=True)
class PairCase:
    """What a pair asks for: the side that is believed, the others with their weights, and what they are called with.

    timeout  seconds for each call.
    """

    first: Side
    others: list[tuple[Side, Any]]
    inputs: Arrays
    seeds: Sequence[int] = (0, 1)
    modes: Sequence[str] = ("eval", "train")
    gradients: bool = True
    timeout: float = TIMEOUT

    def against(self, other: Side, weights: Any) -> PairResult:
        """One of the others compared with the first, as the case asks. Raises ProgramError as `compare`."""
        return compare(
            self.first,
            other,
            self.inputs,
            seeds=self.seeds,
            modes=self.modes,
            gradients=self.gradients,
            weights=weights,
        )


def load(path: str) -> PairCase:
    """Read a pair case. Raises UserError with everything that is wrong, each with its place."""
    case: PairCase = variant(path).config
    return case


def variant(path: str) -> Variant:
    """Read a pair case as `harness run` plans it: each program that is compared is an implementation.

    Raises UserError with everything that is wrong, each with its place.
    """
    name = display_name(Path(path))
    document = read(path, name)
    if not is_pair(document.value):
        raise UserError(Problem("is no pair: it has no `reference` that is a program", Place(name)))
    complaints = Complaints()
    file = validate(PairFile, document.value, (), complaints)
    if file is None:
        raise UserError(_problems(document, complaints))
    folder = folder_of(name)
    specs, inputs = _inputs(file, document, folder, complaints)
    first = _side(file.reference, ("reference",), folder, complaints)
    others: list[tuple[Side, Any]] = []
    refs: list[BackendRef] = []
    for number, entry in enumerate(file.backends):
        where = ("backends", number)
        made = _side(entry, where, folder, complaints)
        try:
            weights = _weights(entry, folder)
        except UserError as error:
            complaints.add((*where, "weights"), error.problems[0].message)
            continue
        if entry.name in [ref.name for ref in refs]:
            complaints.add((*where, "name"), f"{entry.name!r} stands twice")
        if made is not None:
            others.append((made, weights))
            refs.append(_ref(entry, made, folder, document.place(where)))
    if file.reference.weights != "own":
        complaints.add(("reference", "weights"), "the reference keeps its own weights")
    for number, seed in enumerate(file.seeds):
        if not 0 <= seed <= MAX_SEED:
            complaints.add(("seeds", number), f"a seed is from 0 to {MAX_SEED}")
    known = expectations(
        file.expect, refs if len(refs) == len(file.backends) else None, None, {}, document.place, complaints
    )
    for number, one in enumerate(known):
        if not rows.possible(one.check):
            complaints.add(
                ("expect", number, "check"), f"{one.check!r} is no check of programs; there are: {rows.LISTED}"
            )
    if len(complaints) or first is None:
        raise UserError(_problems(document, complaints))
    modes = ("eval", "train") if file.mode is None else (file.mode,)
    return Variant(
        id=name,
        path=name,
        about=file.about,
        layer=PROGRAMS,
        config=PairCase(first, others, inputs, file.seeds, modes, file.gradients, file.timeout),
        sites=(),
        inputs=specs,
        weights={},
        seeds=tuple(file.seeds),
        mode=file.mode or "train",
        draws="replay",
        dtype="float32",
        gradients=file.gradients,
        backends=tuple(refs),
        expect=known,
        timeout=file.timeout,
        tags=tuple(file.tags),
        place=document.place(),
        source=document.text,
    )


def _ref(entry: ProgramEntry, made: Side, folder: str, place: Place) -> BackendRef:
    return BackendRef(
        made.backend,
        name=entry.name,
        environment=entry.environment,
        target=str(Path(folder) / entry.target),
        place=place,
    )


def _problems(document: Document, complaints: Complaints) -> list[Problem]:
    return [Problem(text, document.place(where, key=key), dotted(where)) for where, text, key in complaints.found]


def _inputs(
    file: PairFile, document: Document, folder: str, complaints: Complaints
) -> tuple[dict[str, ArraySpec], Arrays]:
    reader = ArrayReader(folder, document.place, complaints)
    specs: dict[str, ArraySpec] = {}
    found: Arrays = {}
    for name, raw in file.inputs.items():
        spec = reader.spec(raw, ("inputs", name), name)
        if spec is None:
            continue
        specs[name] = spec
        array = make(spec)
        whole = spec.fill == "integers" or (bool(spec.file) and _holds_integers(spec.file, spec.key))
        found[name] = array.astype(np.int64 if whole else np.float32)
    return specs, found


def _holds_integers(file: str, key: str | None) -> bool:
    loaded = np.load(file, allow_pickle=False)
    array = loaded[key or ""] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    return bool(array.dtype.kind in "iub")


def _side(entry: ProgramEntry, where: tuple[str | int, ...], folder: str, complaints: Complaints) -> Side | None:
    if entry.framework is not None and entry.framework not in ported():
        near = did_you_mean(entry.framework, ported())
        complaints.add((*where, "framework"), f"must be one of {', '.join(ported())}, not {entry.framework!r}{near}")
        return None
    if entry.environment and entry.environment not in descriptions():
        message = f"no environment {entry.environment!r}{did_you_mean(entry.environment, descriptions())} is described"
        complaints.add((*where, "environment"), message)
        return None
    prefix = f"{entry.framework}@{entry.environment}:" if entry.framework else ""
    try:
        # What is not installed is a row of the run, not a fault of the file.
        return side(prefix + str(Path(folder) / entry.target), entry.name, installed=False)
    except UserError as error:
        complaints.add((*where, "target"), error.problems[0].message)
        return None


def _weights(entry: ProgramEntry, folder: str) -> Any:
    here = entry.weights if entry.weights in ("own", "auto") else str(Path(folder) / entry.weights)
    return converter(here)
