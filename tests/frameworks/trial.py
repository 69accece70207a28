"""How a framework's table says what its implementations are asked on, and one case of one of them, tried.

A table (`tests/frameworks/tables/<folder>.py`) has `CASES`: by (layer kind, implementation), cases by name.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.frameworks.contract.adapter import Implementation, Result, implementations
from harness.layers.base import kinds
from tests.frameworks.adapter_jobs import FULL, Call
from tests.frameworks.remote_jobs import RemoteCall, Workers

#: Axes of different sizes: batch 3, time 5 (or 2), features 6; tests have 4 units.
X = np.random.default_rng(0).normal(size=(3, 5, 6))
Z = np.random.default_rng(1).normal(size=(3, 2, 6))
TOKENS = np.random.default_rng(3).integers(0, 7, size=(3, 5))
LENGTHS = np.array([5, 2, 3])

Key = tuple[str, str, str]

WORKERS = Workers()


@dataclass(frozen=True)
class Case:
    """One job that an implementation is asked for.

    config, dropout, options   as in a case file.         states   whether the job has initial states.
    inputs       inputs in the place of the usual ones.   dtype    the precision of most questions.
    environment  the worker's; None: this process.        exact    whether a replay repeats every bit.
    differs      what is known to differ: by question, or `backend: question`, words of the answer.
    refused      words of the refusal, where the implementation cannot do it; it then gets no other question.
    exhaustive   whether it is asked before a release only.
    only         the one backend that it is about; "": any.
    """

    config: Mapping[str, Any]
    dropout: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    states: bool = False
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    dtype: str = ""
    environment: str | None = None
    exact: bool = True
    differs: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    exhaustive: bool = False
    only: str = ""
    mode: str = "train"


def case(*dropout: Mapping[str, Any], **words: Any) -> Case:
    """A case: its dropout sites, then its fields by name; all other words are settings of the layer."""
    fields = {name: words.pop(name) for name in Case.__dataclass_fields__ if name in words}
    return Case(words, dropout, **fields)


def full(*dropout: Mapping[str, Any], **words: Any) -> Case:
    """A case of a recurrent layer that returns all that it has."""
    return case(*dropout, **{**FULL, **words})


def halves(*dropout: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same sites in an encoder and in a decoder."""
    return [{**entry, "at": half + entry["at"]} for half in ("encoder.", "decoder.") for entry in dropout]


Table = Mapping[tuple[str, str], Mapping[str, Case]]


def table(framework: str) -> Any:
    """A framework's table: `CASES`; the `BACKENDS` that they run on, `ANEW` those where no replay is exact; the `DTYPES` of each.

    Most questions are in the first dtype.
    """
    return importlib.import_module(f"tests.frameworks.tables.{framework}")


def folder(found: Implementation) -> str:
    """The framework that an implementation belongs to: its folder."""
    return found.adapter.__module__.split(".")[2]


class Trial:
    """One case of one implementation, of its table by its name or another one, and what it has answered so far."""

    def __init__(self, framework: str, layer: str, name: str, word: str | Case, *, backend: str = "") -> None:
        module = table(framework)
        own: Mapping[str, Case] = module.CASES[layer, name]
        self.case = own[word] if isinstance(word, str) else word
        self.backend = backend or self.case.only or module.BACKENDS[0]
        self.key: Key = (self.backend, layer, name)
        self.found = implementations()[self.key]
        self.exact = self.case.exact and self.backend not in getattr(module, "ANEW", ())
        self.dtype, *self.further = [self.case.dtype] if self.case.dtype else module.DTYPES
        #: Questions about an implementation, and not about one job, are put to the first that it accepts.
        self.first = word == next((name for name, each in own.items() if not each.refused), "")
        # A process has one Keras backend, so a framework's other backends are asked in workers.
        away = self.case.environment is not None or self.backend != module.BACKENDS[0]
        self.worker = WORKERS.of(self.case.environment or "", self.backend) if away else None

    def call(self, **changes: Any) -> Call:
        """The job with other arguments of `Call`, or fields of the case."""
        given = {"config": self.case.config, "dropout": self.case.dropout, **changes}
        arguments = {"dtype": self.dtype, "options": self.case.options, "mode": self.case.mode}
        arguments |= {"inputs": self.inputs(given["config"]), "gradients": self.found.adapter.differentiable}
        arguments |= {name: value for name, value in given.items() if name not in ("config", "dropout")}
        backend, layer, name = self.key
        words = (backend, name, layer, given["config"], given["dropout"])
        return Call(*words, **arguments) if self.worker is None else RemoteCall(self.worker, *words, **arguments)

    def inputs(self, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The usual inputs of the case's kind, those of the case in their place."""
        kind = kinds()[self.key[1]]
        settings = kind.Config(**config)
        needed, optional = kind.input_names(settings)
        usual = {"x": TOKENS if "vocabulary" in config else X, "z": Z, "lengths": LENGTHS}
        inputs = {name: usual[name] for name in needed} | dict(self.case.inputs)
        if self.case.states:
            shapes = {name: array.shape for name, array in inputs.items()}
            sizes = kind.output_shapes(kind.Config(**{**config, "return_state": True}), shapes)
            for index, name in enumerate(optional):
                inputs[name] = np.random.default_rng(20 + index).normal(size=sizes[name[0]])
        return inputs

    @functools.cached_property
    def job(self) -> Call:
        """The case's own job."""
        return self.call()

    @functools.cached_property
    def still(self) -> Call:
        """The job in evaluation mode."""
        return self.call(mode="eval")

    @functools.cached_property
    def evaluated(self) -> Result:
        """What evaluation gives."""
        return self.still.run()

    @functools.cached_property
    def tape(self) -> dict[str, np.ndarray]:
        """Draws that are not the implementation's own."""
        return self.job.tape()

    @functools.cached_property
    def own(self) -> Result:
        """The job on the implementation's own draws."""
        return self.job.run()

    @functools.cached_property
    def replayed(self) -> Result:
        """The job on the tape."""
        return self.job.run(tape=self.tape)

    @property
    def random(self) -> bool:
        """Whether anything is drawn."""
        return bool(self.tape) and self.case.mode == "train"

    @property
    def replays(self) -> bool:
        """Whether draws can be replayed, and there are any."""
        return self.random and bool(self.found.adapter.replays)
