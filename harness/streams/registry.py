"""Rules and how one is found: every module in harness/streams/rules registers its own; there is no central list.

A rule is a function `rule(query, *, option=default, ...) -> Decision` (or Normals). Its keyword-only parameters are its
options, so an option that a rule doesn't have is refused. Two rules for one API whose versions and backends overlap are
an error.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.errors import Problem, UserError, did_you_mean
from harness.frameworks.contract.framework import frameworks
from harness.streams.decision import Decision
from harness.streams.normals import Normals

Version = tuple[int, ...]
F = TypeVar("F", bound=Callable[..., Any])

_LATEST: Version = (1 << 30,)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a rule.

    like     the API, by its import name.
    version  as numbers, e.g. (2, 13); the newest measured version where the user named none.
    seed     the user's seed (what the framework's own seeding function is given).
    shape    shape of the dropped tensor.
    rate     probability of dropping an element.
    dtype    float32, float64, float16 or bfloat16: of the dropped tensor, or of the probability where the rule says so.
    call     which call since seeding, from 0.
    backend  Keras's backend, or "cuda" for torch on a GPU; "" elsewhere.
    """

    like: str
    version: Version
    seed: int
    shape: tuple[int, ...]
    rate: float
    dtype: str = "float32"
    call: int = 0
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered rule; `since` is included, `before` is not."""

    function: Callable[..., Any]
    likes: tuple[str, ...]
    stream: str
    measured: tuple[str, ...]
    backends: tuple[str, ...]
    since: Version
    before: Version
    dtypes: tuple[str, ...]
    confirmed: bool
    note: str
    searched: tuple[dict[str, Any], ...]
    repeats: bool
    kind: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`file.function`, for provenance."""
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__name__}"

    def accepts(self, version: Version) -> bool:
        """Whether the rule covers a version."""
        return self.since <= version < self.before

    def decide(self, query: Query, options: dict[str, Any]) -> Decision:
        """Run a rule for masks; raises UserError for options that it hasn't got."""
        if self.kind != "mask":
            raise UserError(f"{query.like} draws normals, no mask: harness.streams.predict_normal predicts those")
        decision = self._run(query, options)
        assert isinstance(decision, Decision)
        return decision

    def normals(self, query: Query, options: dict[str, Any]) -> Normals:
        """Run a rule for normals; raises UserError for options that it hasn't got."""
        if self.kind != "normal":
            raise UserError(f"{query.like} draws a mask, no normals: harness.streams.predict predicts it")
        normals = self._run(query, options)
        assert isinstance(normals, Normals)
        return normals

    def _run(self, query: Query, options: dict[str, Any]) -> Any:
        unknown = [name for name in options if name not in self.options]
        if unknown:
            known = ", ".join(sorted(self.options)) or "it has none"
            raise UserError(
                f"{query.like}: unknown option {unknown[0]!r}{did_you_mean(unknown[0], self.options)}; options: {known}"
            )
        self._check(query, options)
        return self.function(query, **options)

    def _check(self, query: Query, options: dict[str, Any]) -> None:
        """Raise UserError for options whose values are of another type than the rule says."""
        if not options:
            return
        import pydantic

        hints = typing.get_type_hints(self.function)
        problems = []
        for name, value in options.items():
            try:
                pydantic.TypeAdapter(hints[name]).validate_python(value, strict=True)
            except pydantic.ValidationError as error:
                said = error.errors()[0]["msg"]
                problems.append(Problem(f"{query.like}: option {name}={value!r}: {said[:1].lower()}{said[1:]}"))
        if problems:
            raise UserError(problems)


_rules: dict[str, list[Rule]] = {}
_loaded = False

_ABBREVIATIONS = (
    (r"^tf\.", "tensorflow."),
    (r"^tensorflow\.compat\.v1\.", "tensorflow."),
    (r"^tensorflow\.contrib\.rnn\.", "tensorflow.nn.rnn_cell."),
    (r"^F\.", "torch.nn.functional."),
    (r"^nnx\.", "flax.nnx."),
    (r"^linen\.", "flax.linen."),
    (r"^eqx\.", "equinox."),
)


def _said_already(package: str) -> tuple[str, ...]:
    """The backends that an API's package implies."""
    owners = [record for record in frameworks().values() if package in record.packages and len(record.backends) == 1]
    return (owners[0].backends[0], "cpu") if owners else ()


def canonical(like: str) -> str:
    """Return the import name behind a customary abbreviation: `tf.` is `tensorflow.`, `eqx.` is `equinox.` ..."""
    for pattern, full in _ABBREVIATIONS:
        like = re.sub(pattern, full, like)
    return like


def version_of(text: str) -> Version:
    """Return `2.13.0+cpu` as (2, 13, 0); raises UserError where there is no number."""
    found = re.match(r"\d+(\.\d+)*", text.strip().removeprefix("v"))
    if not found:
        raise UserError(f"version {text!r} is not a number such as 2.13")
    return tuple(int(part) for part in found.group().split("."))


def rule(
    *likes: str,
    stream: str,
    measured: tuple[str, ...],
    backends: tuple[str, ...] = ("",),
    since: str = "0",
    before: str = "",
    dtypes: tuple[str, ...] = ("float32", "float64", "float16", "bfloat16"),
    confirmed: bool = True,
    note: str = "",
    searched: tuple[dict[str, Any], ...] = ({},),
    repeats: bool = False,
    kind: str = "mask",
) -> Callable[[F], F]:
    """Register a rule for some APIs; duplicates raise ValueError. Arguments as the fields of Rule, and:

    searched  the options that `find` tries ("version" among them is the version it tries).
    repeats   every call with one seed gives the same mask.
    kind      "mask": the rule returns a Decision; "normal": it returns Normals.
    """

    def register(function: F) -> F:
        parameters = inspect.signature(function).parameters.values()
        options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        upper = version_of(before) if before else _LATEST
        made = Rule(
            function=function,
            likes=likes,
            stream=stream,
            measured=measured,
            backends=backends,
            since=version_of(since),
            before=upper,
            dtypes=dtypes,
            confirmed=confirmed,
            note=note,
            searched=searched,
            repeats=repeats,
            kind=kind,
            options=options,
        )
        for like in likes:
            for other in _rules.setdefault(like, []):
                shared = set(other.backends) & set(backends)
                if shared and made.since < other.before and other.since < made.before:
                    raise ValueError(f"two rules for {like}: {other.name} and {made.name}")
            _rules[like].append(made)
        return function

    return register


def _load() -> None:
    global _loaded
    if _loaded:
        return
    from harness.streams import rules

    for module in sorted(entry.name for entry in pkgutil.iter_modules(rules.__path__)):
        importlib.import_module(f"{rules.__name__}.{module}")
    _loaded = True


def known() -> dict[str, list[Rule]]:
    """Return all rules by API name."""
    _load()
    return _rules


def lookup(like: str, version: str | None, backend: str | None) -> tuple[Rule, Version, str]:
    """Return the rule for an API in a version on a backend, with the version and backend that it is asked about.

    Raises UserError naming what is near, or which versions and backends there are.
    """
    name = canonical(like)
    rules = known().get(name)
    if not rules:
        raise UserError(f"no rule for {like!r}{did_you_mean(name, known())}; `harness mask --rules` lists them")
    backends = sorted({each for entry in rules for each in entry.backends})
    chosen = backend or ""
    if chosen in _said_already(name.split(".")[0]) and chosen not in backends:
        # Naming the framework itself as the backend says nothing new.
        chosen = ""
    if chosen not in backends:
        named = [each for each in backends if each]
        if not chosen:
            raise UserError(f"{name} needs a backend: one of {', '.join(named)}")
        others = f": one of {', '.join(named)}" if named else "; leave the backend out"
        raise UserError(f"{name} has no backend {chosen!r}{did_you_mean(chosen, named)}{others}")
    rules = [entry for entry in rules if chosen in entry.backends]
    if version is None:
        newest = max(rules, key=lambda entry: entry.since)
        return newest, version_of(newest.measured[-1]) if newest.measured else newest.since, chosen
    numbers = version_of(version)
    for entry in rules:
        if entry.accepts(numbers):
            return entry, numbers, chosen
    spans = "; ".join(span(entry) for entry in rules)
    notes = "".join(f"; {note}" for note in dict.fromkeys(entry.note for entry in rules) if note)
    raise UserError(f"no rule for {name} in version {version}; there are rules for {spans}{notes}")


def span(entry: Rule) -> str:
    """Return in words which versions a rule covers."""
    low = f"{'.'.join(map(str, entry.since))} on" if entry.since != (0,) else "any version"
    return low if entry.before == _LATEST else f"{low}, before {'.'.join(map(str, entry.before))}"
