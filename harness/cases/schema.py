"""The structure of a case file as pydantic models. What its parts mean together is decided in `building`.

Values are strict: `"10"` is no number and `1` no truth value. Parts that may be written in several ways (a backend, an array)
are `Any` in the case and have models of their own here, one for each way.
"""

from __future__ import annotations

import contextlib
import datetime
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from harness.frameworks.contract.framework import ported
from harness.records import DTYPES

#: Seeds that every framework takes: NumPy's legacy seeding stops at 32 bits.
MAX_SEED = 2**32 - 1
MAX_SEEDS = 10_000

FILLS = {
    "zeros": (),
    "ones": (),
    "constant": ("value",),
    "arange": (),
    "linspace": ("low", "high"),
    "uniform": ("low", "high", "seed"),
    "normal": ("mean", "stddev", "seed"),
    "integers": ("low", "high", "seed"),
}
"""Fills and the settings that each one takes."""

DRAWS = ("native", "replay", "predicted")

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def _date(value: Any) -> datetime.date:
    """A calendar date; YAML 1.2 reads one as text."""
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, str) and _DATE.match(value):
        with contextlib.suppress(ValueError):  # the 30th of February
            return datetime.date.fromisoformat(value)
    raise ValueError("must be a date such as 2027-06-30")


Date = Annotated[datetime.date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]


_TARGET = r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$"


def _target(value: str) -> str:
    if not re.match(_TARGET, value):
        raise ValueError("must be a file and a function in it, such as my_port.py:run")
    return value


Target = Annotated[str, AfterValidator(_target), WithJsonSchema({"type": "string", "pattern": _TARGET})]


class StrictModel(BaseModel):
    """Base of the models: unknown keys refused, no conversion between types."""

    # Deferred: most commands validate with few of the models, or with none.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class ExpectEntry(StrictModel):
    """A known difference of a framework: it is shown, and does not fail the run."""

    backend: Text = Field(
        default="*", description="Label of a backend, or a pattern with * and ? that some backend matches."
    )
    check: Text = Field(
        default="*", description="Name of a check, such as mask.shared, or a pattern such as gradient.*"
    )
    reason: Text = Field(description="Why the difference is known and right to accept.")
    sometimes: bool = Field(
        default=False,
        description="The difference does not show in every run, as a race does not: a pass is then a pass.",
    )
    until: Date | None = Field(
        default=None, description="When someone looks again; after it the difference fails the run."
    )
    variant: dict[str, Any] = Field(
        default_factory=dict, description="Matrix values that the difference is limited to."
    )


class FillEntry(StrictModel):
    """An array made from a rule."""

    shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, description="Sizes, batch first. Weights know theirs."
    )
    fill: Literal["zeros", "ones", "constant", "arange", "linspace", "uniform", "normal", "integers"] = Field(
        description="zeros, ones, constant (value), arange (0, 1, 2 …), linspace (low to high), "
        "uniform (low, high, seed), normal (mean, stddev, seed), integers (low, high, seed: both ends included)."
    )
    seed: Seed = Field(default=0, description="Seed of NumPy's PCG64 generator.")
    low: float = Field(default=-1.0, description="Lower end of uniform, linspace and integers.")
    high: float = Field(default=1.0, description="Upper end of uniform (excluded), linspace and integers (included).")
    mean: float = Field(default=0.0, description="Mean of normal.")
    stddev: float = Field(default=1.0, ge=0.0, description="Standard deviation of normal.")
    value: float = Field(default=0.0, description="The value of constant.")


class FileEntry(StrictModel):
    """An array from a NumPy file beside the case."""

    file: Text = Field(description="A .npy or .npz file, seen from the case's folder.")
    key: Text | None = Field(
        default=None, description="Name of the array in an .npz file; by default the name of the input or weight."
    )
    shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, description="The shape that the file must have."
    )


class ValuesEntry(StrictModel):
    """An array written out."""

    values: Any = Field(description="Nested lists of numbers.")
    shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, description="A shape to give the values, in C order."
    )


class BackendEntry(StrictModel):
    """One implementation of a backend, or a whole backend, with its settings. The key is the backend."""

    options: dict[str, Any] = Field(default_factory=dict, description="Choices of this implementation alone.")
    name: Text | None = Field(default=None, description="What rows are called.")
    environment: Text | None = Field(default=None, description="Interpreter and versions; `current` for this one.")


if TYPE_CHECKING:
    Ported = str
else:
    Ported = Literal[ported()]


class TargetEntry(StrictModel):
    """A user's own code, driven by the same draws."""

    name: Text = Field(description="What rows are called.")
    framework: Ported = Field(description="What the code is written in.")
    target: Target = Field(description="file.py:function, the file seen from the case's folder.")
    options: dict[str, Any] = Field(default_factory=dict, description="Passed to the function as case.options.")
    environment: Text | None = Field(default=None, description="Interpreter and versions; `current` for this one.")


class RecordedEntry(StrictModel):
    """Numbers printed in a document, standing as a backend."""

    name: Text = Field(description="What rows are called.")
    recorded: dict[str, Any] = Field(min_length=1, description="Output arrays by name (y, h, c …): values or a file.")
    digits: Annotated[int, Field(ge=1, le=17)] | None = Field(
        default=None, description="Significant digits that were printed; or give `decimals`."
    )
    decimals: Annotated[int, Field(ge=0, le=17)] | None = Field(
        default=None, description="Digits behind the decimal point that were printed; or give `digits`."
    )
    source: Text = Field(description="Where they are printed.")

    @model_validator(mode="after")
    def _one_precision(self) -> RecordedEntry:
        if (self.digits is None) == (self.decimals is None):
            raise ValueError("needs either `digits` (significant ones) or `decimals`: the precision that was printed")
        return self


class MatrixEntry(BaseModel):
    """Lists of values by name; the case is run for every combination, first key slowest."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    include: list[dict[str, Any]] = Field(
        default_factory=list, description="Further combinations, each with every key."
    )
    exclude: list[dict[str, Any]] = Field(
        default_factory=list, description="Combinations to leave out; a part matches all."
    )


class PredictEntry(StrictModel):
    """Whose masks to replay: predicted from the seed, with that framework not even installed."""

    like: Text = Field(description="The API by its import name, such as torch.nn.Dropout.")
    version: Text | None = Field(
        default=None, description="Its version; default: the newest that the rule was measured on."
    )
    backend: Text | None = Field(default=None, description="Keras's backend: tensorflow, torch, jax or numpy.")


class CaseFile(StrictModel):
    """One case: a layer, its data, its dropout, and the backends that shall mean the same."""

    about: Text = Field(description="What the case asks, and the answer, in a sentence or two.")
    layer: Text = Field(description="The layer kind.")
    config: dict[str, Any] = Field(default_factory=dict, description="The layer kind's settings.")
    dropout: list[dict[str, Any]] = Field(default_factory=list, description="Dropout sites of a recurrent layer.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Input arrays by name, batch first.")
    weights: Any = Field(
        default=None, description="One rule for all weights, or arrays by name. Default: {fill: uniform}."
    )
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=MAX_SEEDS)] = Field(
        default=[0], description="Seeds of the frameworks' random streams; the case runs once for each."
    )
    mode: Literal["train", "eval"] = Field(default="train", description="Whether dropout acts.")
    draws: Literal["native", "replay", "predicted"] = Field(
        default="native",
        description="Each backend's own draws, or one tape for all: from NumPy, or as `predict` says another framework draws.",
    )
    predict: PredictEntry | None = Field(
        default=None, description="With draws: predicted, whose masks every backend gets; the seed is the case's."
    )
    dtype: Literal["float16", "bfloat16", "float32", "float64"] = Field(
        "float32", description="Of arrays and arithmetic."
    )
    gradients: bool | Literal["inputs"] = Field(
        default=True, description="Whether gradients are compared too; inputs: those of the inputs alone."
    )
    backends: Annotated[list[Any], Field(min_length=1)] = Field(description="What is compared.")
    matrix: dict[str, Any] | None = Field(default=None, description="Values to run the case with, by name.")
    expect: list[Any] = Field(default_factory=list, description="Known differences.")
    tolerance: dict[str, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=dict,
        description="Limits that replace the derived ones: of one row (value.y), or of all values or gradients.",
    )
    checks: list[Text] = Field(default_factory=list, description="Names or patterns of the checks to make; empty: all.")
    repeats: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How often the first seed is run again, to find what is not deterministic."
    )
    timeout: Annotated[float, Field(gt=0.0, le=86_400.0)] = Field(default=120.0, description="Seconds for one backend.")
    tags: list[Text] = Field(default_factory=list, description="Words to select cases by.")
    environment: Text | None = Field(default=None, description="Environment of all backends that name none.")


assert set(CaseFile.model_fields["dtype"].annotation.__args__) == set(DTYPES)  # type: ignore[union-attr]
