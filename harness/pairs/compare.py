"""Two programs on one tape: evaluation first, then training with the first program's draws, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.frameworks.contract.programs import Arrays, Drawn, ProgramError, Request, Trace
from harness.pairs import causes, divergence, judging, pairing, unlike
from harness.pairs import weights as weight_maps
from harness.pairs.divergence import Parting
from harness.pairs.judging import PairRow
from harness.pairs.pairing import Pairing
from harness.pairs.sides import Side
from harness.pairs.weights import WeightMap

#: How the second comes by its weights; see `compare`.
Weights = str | Path | Callable[[Arrays], Arrays]

#: Runs with noise that are carried along beside the float64 one.
NOISE = 3


@dataclass
class PairPass:
    """One mode and seed of a pair: what was drawn, what came out, and where the programs part if they do."""

    mode: str
    seed: int
    mine: Trace
    theirs: Trace
    pairing: Pairing
    rows: list[PairRow] = field(default_factory=list)
    gradients: list[PairRow] = field(default_factory=list)
    states: list[PairRow] = field(default_factory=list)
    parting: Parting | None = None
    cause: str = ""

    @property
    def compared(self) -> list[PairRow]:
        """Everything that was compared."""
        return [*self.rows, *self.gradients, *self.states]

    @property
    def passed(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return bool(self.rows) and self.pairing.complete and all(row.passed for row in self.compared)


@dataclass
class PairResult:
    """How a pair of programs compares."""

    first: Side
    second: Side
    parts: list[PairPass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: which parameter of the first each of the second's was given; None where each keeps its own.
    mapping: WeightMap | None = None
    #: what was asked for.
    modes: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether the programs mean the same in everything that was compared."""
        return bool(self.parts) and all(part.passed for part in self.parts)

    @property
    def parting(self) -> PairPass | None:
        """The first part that differs."""
        return next((part for part in self.parts if not part.passed), None)


def compare(
    first: Side,
    second: Side,
    inputs: Arrays,
    *,
    seeds: Sequence[int] = (0, 1),
    modes: Sequence[str] = ("eval", "train"),
    gradients: bool = True,
    weights: Weights = "own",
) -> PairResult:
    """Compare two programs.

    weights  "own": each has its own. "auto": the first's are brought into the second. A path: by the mapping in that file. A
             function: it is given the first's parameters by name and returns the second's by name.

    Raises ProgramError where one cannot be called or their results cannot be told apart.
    """
    result = PairResult(first, second, modes=tuple(modes))
    brought = _brought(result, inputs, seeds[0], weights)
    for mode in modes:
        for seed in seeds if mode == "train" else list(seeds)[:1]:
            part = _part(result, inputs, mode, seed, gradients, brought)
            result.parts.append(part)
            result.notes += [f"{side.name} {note}" for side, note in _notes(first, second, part)]
            if not part.passed:
                # What comes after a difference says nothing new: training contains evaluation.
                break
        if result.parting is not None:
            break
    result.notes = list(dict.fromkeys(result.notes))
    return result


def _notes(first: Side, second: Side, part: PairPass) -> list[tuple[Side, str]]:
    found = [(first, note) for note in part.mine.notes]
    return found + [(second, note) for note in part.theirs.notes]


def _brought(result: PairResult, inputs: Arrays, seed: int, how: Weights) -> Arrays | None:
    """The first's parameters as the second takes them; None where each keeps its own."""
    if how == "own":
        return None
    request = Request(inputs, "eval", seed)
    mine, theirs = result.first.observe(request).parameters, result.second.observe(request).parameters
    if callable(how):
        return {name: np.asarray(array) for name, array in how(mine).items()}
    if not theirs or not mine:
        whose = result.first.name if not mine else result.second.name
        raise ProgramError(f"weights: {whose} has no parameters that can be seen: it must be a model, or call one")
    result.mapping = weight_maps.propose(mine, theirs) if how == "auto" else weight_maps.read(Path(how), mine, theirs)
    if result.mapping.unmapped:
        lost = ", ".join(f"{name} {theirs[name].shape}" for name in result.mapping.unmapped[:6])
        left = ", ".join(f"{name} {mine[name].shape}" for name in result.mapping.unused[:6]) or "none"
        raise ProgramError(f"weights: nothing of the first fits {lost} of the second; left over of the first: {left}")
    return result.mapping.bring(mine, theirs)


def _part(
    result: PairResult, inputs: Arrays, mode: str, seed: int, gradients: bool, brought: Arrays | None
) -> PairPass:
    first, second = result.first, result.second
    mine = first.observe(Request(inputs, mode, seed, noise=NOISE, gradients=gradients))
    # Where the first has no float64 run, the second's rounding serves.
    noise = 0 if mine.clean else NOISE
    theirs = second.observe(Request(inputs, mode, seed, None, noise, False, brought, gradients, list(mine.outputs)))
    paired = pairing.pair(mine.draws, theirs.draws)
    part = PairPass(mode, seed, mine, theirs, paired)
    if not paired.complete:
        part.cause = causes.of_draws(mine, theirs, paired, mode)
        return part
    given = None
    if mine.draws or part.theirs.draws:
        given = pairing.tape(paired, mine.draws, theirs.draws)
        try:
            part.theirs = second.observe(
                Request(inputs, mode, seed, given, noise, False, brought, gradients, list(mine.outputs))
            )
        except ProgramError as error:
            raise ProgramError(f"{error}: its draws are others when it is given the first program's") from error
    part.rows = judging.rows(mine, part.theirs)
    odd = unlike.first_of(part.rows)
    if odd is not None:
        # Gradients of another sum, and what follows from it, say nothing of the programs.
        _locate(first, second, inputs, part, given, brought)
        part.parting = unlike.place(odd, part.mine, part.theirs, part.parting)
        believed = mine.clean.get(odd.name, mine.outputs[odd.name])
        limit = judging.rounding(mine, odd.name, believed)
        part.cause = part.cause or unlike.cause(odd, believed, part.theirs.outputs[odd.other], limit)
        return part
    if gradients:
        renamed_gradients = _as_first(part.theirs.gradients, result.mapping, "weight/")
        renamed = part.theirs._replace(gradients=renamed_gradients)
        part.gradients = judging.rows(mine, renamed, "gradient", _shared(mine.gradients, renamed_gradients))
    renamed = part.theirs._replace(state=_as_first(part.theirs.state, result.mapping))
    part.states = judging.rows(mine, renamed, "state", _shared(mine.state, renamed.state))
    if not part.passed:
        _locate(first, second, inputs, part, given, brought)
        part.cause = causes.of_hidden_draws(mine, part.theirs) or part.cause
        if gradients and not part.cause and all(row.passed for row in part.rows):
            part.cause = causes.of_gradients(mine.gradients, renamed_gradients)
    return part


def _as_first(theirs: Arrays, mapping: WeightMap | None, prefix: str = "") -> Arrays:
    """What belongs to the second's parameters by the first's names, turned back into the first's layout."""
    if mapping is None:
        return theirs
    found = {}
    for name, array in theirs.items():
        source = mapping.sources.get(name[len(prefix) :]) if name.startswith(prefix) else None
        if source is None or not source.name:
            found[name] = array
        else:
            found[prefix + source.name] = array if source.axes is None else np.transpose(array, np.argsort(source.axes))
    return found


def _shared(mine: Arrays, theirs: Arrays) -> dict[str, str]:
    """The names that both have, of arrays of one shape."""
    return {name: name for name, array in mine.items() if name in theirs and theirs[name].shape == array.shape}


def _locate(
    first: Side, second: Side, inputs: Arrays, part: PairPass, given: list[Drawn] | None, brought: Arrays | None
) -> None:
    """Call both once more, every operation's result fingerprinted, and find where they part."""
    mine = first.observe(
        Request(inputs, part.mode, part.seed, part.mine.draws if given else None, noise=NOISE, values=True)
    )
    theirs = second.observe(Request(inputs, part.mode, part.seed, given, values=True, weights=brought))
    part.parting = divergence.parting(mine, theirs)
    limits = {name: row.limit for row in part.rows for name in (row.name, row.other)}
    part.cause = causes.of_repetition(part.mine, mine, "first", limits)
    part.cause = part.cause or causes.of_repetition(part.theirs, theirs, "second", limits)
    part.cause = part.cause or causes.of_values(mine, theirs, part.pairing, part.parting)
    if not part.cause and any(match.flipped for match in part.pairing.matches):
        upright = pairing.tape(part.pairing, part.mine.draws, part.theirs.draws, upright=True)
        other = second.observe(Request(inputs, part.mode, part.seed, upright, values=True, weights=brought))
        part.cause = causes.of_upright(mine, other, part.pairing, divergence.parting(mine, other))
    part.mine = part.mine._replace(steps=mine.steps, output_steps=mine.output_steps)
    part.theirs = part.theirs._replace(steps=theirs.steps, output_steps=theirs.output_steps)


def in_memory(arrays: dict[str, Any]) -> Arrays:
    """Inputs given from Python, as arrays: tensors of any framework, lists and numbers; floats of Python become float32."""
    found: Arrays = {}
    for name, value in arrays.items():
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        array = np.asarray(value)
        if array.dtype == object:
            raise ProgramError(f"the input {name!r} is no array")
        plain = isinstance(value, float | list | tuple)
        found[name] = array.astype(np.float32) if plain and array.dtype == np.float64 else array
    return found
