"""The frozen records that pass between the stages: cases -> plan -> execution -> comparison -> reporting.

Nothing here computes; a stage makes these and the next one reads them.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from harness.errors import Place
from harness.noises import Site as Site
from harness.tape import Draw

Arrays = dict[str, np.ndarray]
Draws = dict[str, Draw]

#: The check whose row says that a backend could not be started or is not installed.
AVAILABLE = "backend.available"
#: The row of a job that gave nothing: it could not be run to its end.
RAN = "run.completes"
#: The row of an output of another shape than the case asks for.
SHAPE = "value.shape"
#: The row of a comparison in which the harness itself failed.
INTERNAL = "run.internal"
#: What readers see behind the label of a recipe. People copy it, so it may stand there in `--backend` too.
RECIPE = " [recipe]"

#: What stands as the layer kind of a case whose yardstick is a program (harness.pairs).
PROGRAMS = "programs"

DTYPES = ("float16", "bfloat16", "float32", "float64")


class Verdict(StrEnum):
    """What a row says. Only `pass` and `known` leave the exit code at 0; see docs/design.md."""

    PASS = "pass"
    FAIL = "fail"
    KNOWN = "known"
    UNEXPECTED_PASS = "unexpected_pass"
    UNSUPPORTED = "unsupported"
    NONDETERMINISTIC = "nondeterministic"
    CRASH = "crash"
    TIMEOUT = "timeout"
    ILL_CONDITIONED = "ill_conditioned"
    ERROR = "error"


class Aim(StrEnum):
    """What a row's limit is to its figure."""

    #: The figure shall not exceed it: an error and its bound.
    MOST = "at most"
    #: The figure shall not fall below it: a p-value and its level.
    LEAST = "at least"
    #: The value that the figure estimates: a rate, a ratio.
    MEET = "expected"


class Role(StrEnum):
    """What a pass is for; checks look for it.

    The first two are the case's own mode; EVAL is also the evaluation pass beside training.
    """

    TRAIN = "train"
    EVAL = "eval"
    #: The first seed again.
    REPEAT = "repeat"
    #: Another seed, where the case has one alone.
    OTHER = "other"
    #: A second call of the same layer after one seeding, a third one, and a second one in evaluation.
    AGAIN = "again"
    THIRD = "third"
    EVAL_AGAIN = "eval_again"
    #: A second call of a layer that keeps its states: from where the first one left them, and after they were reset.
    CONTINUED = "continued"
    RESET = "reset"

    @property
    def calls(self) -> int:
        """How often the layer is called after its one seeding."""
        if self is Role.THIRD:
            return 3
        return 2 if self in (Role.AGAIN, Role.EVAL_AGAIN, Role.CONTINUED, Role.RESET) else 1

    @property
    def resets(self) -> bool:
        """Whether the states that the layer keeps are reset before the last call."""
        return self is Role.RESET


@dataclass(frozen=True, slots=True)
class BackendRef:
    """One column of the comparison, as the case file names it.

    implementation  import name, e.g. `keras.layers.LSTM`; None until a whole backend has been expanded by the plan.
    name            what rows are called; "tensorflow: keras.layers.LSTM" unless the case gives a name.
    options         choices of that implementation alone, e.g. {"implementation": 2} or {"jit": true}.
    target          "file.py:function" of a user's own code, resolved against the case file's folder.
    recorded        output arrays printed in a document (an ArraySpec by name), standing as a backend;
                    `digits` significant ones each, or `decimals` behind the point. Its backend is "recorded".
    whole           true where the case named a whole backend: an implementation that is not installed is then
                    `unsupported` rather than an `error`.
    """

    backend: str
    implementation: str | None = None
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: str = ""
    target: str = ""
    recorded: Mapping[str, ArraySpec] | None = None
    digits: int | None = None
    decimals: int | None = None
    source: str = ""
    whole: bool = False
    place: Place | None = None

    @property
    def label(self) -> str:
        """The name that rows, expectations and reports use."""
        if self.name:
            return self.name
        label = f"{self.backend}: {self.implementation}" if self.implementation else self.backend
        if self.options:
            label += " (" + ", ".join(f"{key}={value}" for key, value in sorted(self.options.items())) + ")"
        return f"{label} @{self.environment}" if self.environment else label


@dataclass(frozen=True, slots=True)
class Expectation:
    """A known difference: which rows, why, and until when nobody needs to look again.

    backend, check  fnmatch patterns of a backend's label and of the check's name.
    variant         matrix values that it is limited to; empty: all variants.
    sometimes       the difference does not show in every run, as a race does not: a pass is then a pass.
    check_place     where the pattern of the check stands.
    """

    backend: str
    check: str
    reason: str
    until: datetime.date | None = None
    variant: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None
    sometimes: bool = False
    check_place: Place | None = None


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """How to make one input or weight array: by `values`, from a `file`, or by a `fill` from a NumPy seed.

    stream  names a sub-stream of the seed, so that the weights of one seed differ; empty: the seed alone.
    file    where it lies, seen from the working directory; `key` names the array within an `.npz`.
    """

    shape: tuple[int, ...]
    fill: str = ""
    seed: int = 0
    stream: str = ""
    low: float = -1.0
    high: float = 1.0
    mean: float = 0.0
    stddev: float = 1.0
    value: float = 0.0
    values: Any = None
    file: str = ""
    key: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One case after matrix expansion: everything but the arrays, which are made when a job runs and then dropped.

    id        `cases/lstm/variational.yaml::[rate=0.5-dtype=float32]`; without a matrix, the file alone.
    config    the layer kind's settings, validated and with defaults filled in (a pydantic model of that kind).
    variant   the matrix values that made it.
    predict   with draws "predicted": whose masks all backends get: `like` (an import name), `version`, `backend`.
    repeats   how often the first seed is run again; nondeterminism that strikes rarely needs many.
    checks    fnmatch patterns of the checks to plan; empty: all that apply.
    source    the case file's text.
    weight_gradients  where gradients are taken, whether those of the weights are compared too.
    check_places   where the patterns of `checks` stand.
    """

    id: str
    path: str
    about: str
    layer: str
    config: Any
    sites: tuple[Site, ...]
    inputs: Mapping[str, ArraySpec]
    weights: Mapping[str, ArraySpec]
    seeds: tuple[int, ...]
    mode: str
    draws: str
    dtype: str
    gradients: bool
    backends: tuple[BackendRef, ...]
    expect: tuple[Expectation, ...] = ()
    variant: Mapping[str, Any] = field(default_factory=dict)
    tolerance: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    predict: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 120.0
    repeats: int = 1
    tags: tuple[str, ...] = ()
    place: Place | None = None
    source: str = ""
    check_places: tuple[Place, ...] = ()
    weight_gradients: bool = True

    @property
    def programs(self) -> bool:
        """Whether programs are compared, and no layer of a known kind; `config` is then a harness.pairs.case.PairCase."""
        return self.layer == PROGRAMS

    def compares(self, name: str) -> bool:
        """Whether the gradient of an input or a weight of that name is compared."""
        return self.gradients and (self.weight_gradients or name in self.inputs)

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs by name."""
        return {name: spec.shape for name, spec in self.inputs.items()}


@dataclass(frozen=True, slots=True)
class Pass:
    """One call of an implementation within a job.

    tape  canonical decisions (bool) and standard normals by site, for replay; None: the framework draws.
    """

    role: Role
    seed: int
    mode: str
    tape: Arrays | None = None
    gradients: bool = False


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one pass gave. `draws` are canonical, by site and draw kind: `input`, or `input/normal` beside it.

    order   (site, native shape) of every draw in the order in which it was made; the site is "" for one that is not used.
    others  the same as a program of code under test may mean its draws otherwise (comparison.keep_rules).
    anew    whether the last two of several calls drew the same bits, and kept no layer: each made its own and seeded it.
    """

    outputs: Arrays
    gradients: Arrays
    draws: Draws
    note: str = ""
    seconds: float = 0.0
    order: tuple[tuple[str, tuple[int, ...]], ...] = ()
    anew: bool = False
    others: tuple[PassResult, ...] = ()


@dataclass(frozen=True, slots=True)
class JobResult:
    """All passes of one (variant, backend), or the one verdict that stands for them.

    check   the check whose row says the verdict, where there is one.
    native  the framework's own parameters and states (frameworks.contract.adapter.Adapter.native), where they were asked for;
            native_failure why there are none.
    """

    variant: Variant
    backend: BackendRef
    passes: tuple[tuple[Pass, PassResult], ...] = ()
    verdict: Verdict | None = None
    check: str = ""
    message: str = ""
    detail: str = ""
    failed: Pass | None = None
    missing: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    recipe: bool = False
    seconds: float = 0.0
    native: Arrays = field(default_factory=dict)
    native_failure: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: one (case, backend, check).

    measured and limit are in `unit`, aim says what the one is to the other; where is the place of the worst element; cause says
    why a row is not a pass, note what else was seen (a p-value and its draws, the rounding rule that fits).
    name       the implementation's label; recipe: it is the loop that people write where no native layer exists.
    internal   an error of the harness itself.
    seconds    how long this row alone took to be judged; what several rows need is with the first that asks. None: not judged by
               a check, or of an older run. comparison_seconds: how long the implementation's calls took, in all rows of one
               comparison the same.
    diagnosis  the fault that explains the numbers of a failed row (harness.diagnosis), one text in all rows that it explains;
               proof: how well it does, and what else would; fix: what to do about it.
    """

    case: str
    seed: str
    layer: str
    backend: str
    implementation: str
    environment: str
    version: str
    device: str
    dtype: str
    check: str
    verdict: Verdict
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    where: str = ""
    cause: str = ""
    seconds: float | None = None
    variant: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    place: str = ""
    note: str = ""
    internal: bool = False
    recipe: bool = False
    aim: Aim = Aim.MOST
    diagnosis: str = ""
    proof: str = ""
    fix: str = ""
    comparison_seconds: float = 0.0

    def flat(self) -> dict[str, Any]:
        """The row as one flat dict of plain values, for a data frame."""
        row = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        row["verdict"] = str(self.verdict)
        row["variant"] = " ".join(f"{key}={value}" for key, value in self.variant.items())
        return row


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception of the harness's own while one comparison was made (harness.internal).

    phase  when, as in "while its rows were judged". bug: ours to mend; else the machine's or the user's.
    """

    phase: str
    text: str
    trace: str
    bug: bool = True


@dataclass(frozen=True, slots=True)
class Kept:
    """The arrays of a comparison whose values differ, for a later explanation without the framework.

    passes    those that values are compared for, copied; without the tape.
    given     SHA-256 of the inputs and weights that they were computed from.
    left_out  why there are none.
    """

    passes: tuple[tuple[Pass, PassResult], ...] = ()
    given: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """What comparison says of one (variant, backend): its rows, and the masks that reports draw.

    masks   canonical, by site: bool where kept, or float32 standard normals for other noise; of the first seed.
    detail  a traceback or a worker's last words, for a job that gave nothing; tracebacks of our own failures.
    profile what the implementation was measured to do (harness.comparison.profile).
    again   p-values of the statistical rows that are suspicious, by check: they are to be tried again on fresh draws.
    whole   diagnosis, proof and fix that give every number of the comparison; () where none does.
    charts  figures that reports draw, plain values (harness.comparison.charts).
    kept    the arrays, where values differ.
    """

    variant: Variant
    backend: BackendRef
    rows: tuple[Row, ...] = ()
    masks: Arrays = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    profile: Mapping[str, str] = field(default_factory=dict)
    again: Mapping[str, float] = field(default_factory=dict)
    charts: Mapping[str, Any] = field(default_factory=dict)
    kept: Kept | None = None
    whole: tuple[str, ...] = ()
