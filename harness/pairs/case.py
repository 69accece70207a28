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
from harness.cases.document import Document, read
from harness.cases.filling import make
from harness.cases.loading import display_name, folder_of, is_pair
from harness.cases.problems import Complaints, dotted, validate
from harness.cases.schema import MAX_SEED, StrictModel
from harness.environments import descriptions
from harness.errors import Place, Problem, UserError, did_you_mean
from harness.frameworks.contract.framework import ported
from harness.frameworks.contract.programs import Arrays
from harness.pairs.sides import Side, side
from harness.pairs.weights import converter


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


@dataclass(frozen=True)
class PairCase:
    """What a pair asks for: the side that is believed, the others with their weights, and what they are called with."""

    first: Side
    others: list[tuple[Side, Any]]
    inputs: Arrays
    seeds: Sequence[int] = (0, 1)
    modes: Sequence[str] = ("eval", "train")
    gradients: bool = True


def load(path: str) -> PairCase:
    """Read a pair case. Raises UserError with everything that is wrong, each with its place."""
    name = display_name(Path(path))
    document = read(path, name)
    if not is_pair(document.value):
        raise UserError(Problem("is no pair: it has no `reference` that is a program", Place(name)))
    complaints = Complaints()
    file = validate(PairFile, document.value, (), complaints)
    if file is None:
        raise UserError(_problems(document, complaints))
    folder = folder_of(name)
    inputs = _inputs(file, document, folder, complaints)
    first = _side(file.reference, ("reference",), folder, complaints)
    others = []
    for number, entry in enumerate(file.backends):
        made = _side(entry, ("backends", number), folder, complaints)
        try:
            others.append((made, _weights(entry, folder)))
        except UserError as error:
            complaints.add(("backends", number, "weights"), error.problems[0].message)
    if file.reference.weights != "own":
        complaints.add(("reference", "weights"), "the reference keeps its own weights")
    for number, seed in enumerate(file.seeds):
        if not 0 <= seed <= MAX_SEED:
            complaints.add(("seeds", number), f"a seed is from 0 to {MAX_SEED}")
    if len(complaints) or first is None:
        raise UserError(_problems(document, complaints))
    modes = ("eval", "train") if file.mode is None else (file.mode,)
    sides = [(made, weights) for made, weights in others if made is not None]
    return PairCase(first, sides, inputs, file.seeds, modes, file.gradients)


def _problems(document: Document, complaints: Complaints) -> list[Problem]:
    return [Problem(text, document.place(where, key=key), dotted(where)) for where, text, key in complaints.found]


def _inputs(file: PairFile, document: Document, folder: str, complaints: Complaints) -> Arrays:
    reader = ArrayReader(folder, document.place, complaints)
    found: Arrays = {}
    for name, raw in file.inputs.items():
        spec = reader.spec(raw, ("inputs", name), name)
        if spec is None:
            continue
        array = make(spec)
        whole = spec.fill == "integers" or (bool(spec.file) and _holds_integers(spec.file, spec.key))
        found[name] = array.astype(np.int64 if whole else np.float32)
    return found


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
        return side(prefix + str(Path(folder) / entry.target), entry.name)
    except UserError as error:
        complaints.add((*where, "target"), error.problems[0].message)
        return None


def _weights(entry: ProgramEntry, folder: str) -> Any:
    here = entry.weights if entry.weights in ("own", "auto") else str(Path(folder) / entry.weights)
    return converter(here)
