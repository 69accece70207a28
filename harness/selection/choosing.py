"""Which cases and which backends a command works on."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from harness.errors import Problem, UserError, did_you_mean
from harness.frameworks.contract.framework import backends
from harness.records import RECIPE, BackendRef, Variant
from harness.selection.expression import compile_expression
from harness.selection.stored import cases_of, is_run


def select_cases(
    paths: Sequence[str], expression: str = "", *, thorough: bool = False, programs: bool = True
) -> list[Variant]:
    """Load the cases of files, folders, ids (`file.yaml::[rate=0.5]`) and stored runs, in that order, each once, kept where
    `-k` matches. A stored run stands for the ids of its cases: what they are, their files say, as they are now.

    programs  whether pairs of programs belong to them. Where they do not, those of folders are left out, and one that is named is
              a problem.
    thorough  known differences and `checks` that no row could match are problems too; `list` and `show` need not wait for them.

    Raises UserError with every problem of every file, and for an id that does not exist.
    """
    from harness.cases import load

    matches = compile_expression(expression)
    runs = {path: cases_of(path) for path in paths if is_run(path)}
    paths = [name for path in paths for name in runs.get(path, [path])]
    files = list(dict.fromkeys(path.partition("::")[0] for path in paths))
    by_file: dict[str, list[Variant]] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            by_file[file] = loaded(file) if programs else load([Path(file)])
        except UserError as error:
            problems.extend(error.problems)
    if thorough:
        problems += unmatched(variant for found in by_file.values() for variant in found)
    if problems:
        raise UserError(dict.fromkeys(problems))
    chosen: dict[str, Variant] = {}
    endings = {file: {variant.id.partition("::")[2]: variant for variant in found} for file, found in by_file.items()}
    for path in paths:
        file, separator, ending = path.partition("::")
        found = by_file[file]
        if separator:
            one = endings[file].get(ending)
            if one is None:
                raise UserError(f"no case {path!r}{did_you_mean(path, [variant.id for variant in found])}")
            found = [one]
        chosen.update((variant.id, variant) for variant in found)
    return [variant for variant in chosen.values() if matches(searchable(variant))]


def loaded(path: Path | str) -> list[Variant]:
    """The cases of a file, or of a folder and what lies below in order of name, pairs of programs after all others.

    Raises UserError with every problem of every file.
    """
    from harness.cases import load

    pairs: list[str] = []
    problems: list[Problem] = []
    found: list[Variant] = []
    try:
        found = load([Path(path)], pairs)
    except UserError as error:
        problems.extend(error.problems)
    if pairs:
        # What calls programs is not imported before there is a pair.
        from harness.pairs.case import variant

        for name in pairs:
            try:
                found.append(variant(name))
            except UserError as error:
                problems.extend(error.problems)
    if problems:
        raise UserError(problems)
    return found


def unmatched(variants: Iterable[Variant]) -> list[Problem]:
    """Problems with known differences and `checks` that no row of these cases, which are whole files, could match."""
    # Of programs a case's reader asks that: what they return is not known before they run.
    some = [variant for variant in variants if (variant.expect or variant.checks) and not variant.programs]
    if not some:
        return []
    from harness.comparison import expecting

    return expecting.unmatched(some)


def searchable(variant: Variant) -> str:
    """The text that `-k` looks in: id, layer kind and tags."""
    return " ".join((variant.id, variant.layer, *variant.tags))


def backend_filter(names: Sequence[str], variants: Sequence[Variant] | None = ()) -> Callable[[BackendRef], bool]:
    """A predicate on concrete implementations for `--backend`: a backend, an implementation, a label, or a pattern
    of one.

    Raises UserError for a word that is none of these, nor a name that one of `variants` gives to a backend of its own. With
    None nothing is known of the cases yet, and any word will do.
    """
    # Reports mark recipes behind their label; the mark is no part of the name.
    names = [name.removesuffix(RECIPE) for name in names]
    own = {ref.name for variant in variants or () for ref in variant.backends if ref.name}
    for name in names if variants is not None else ():
        if not any(sign in name for sign in "*?[.: ") and name not in backends() and name not in own:
            hint = did_you_mean(name, [*backends(), *own]) or f"; the backends are {', '.join(backends())}"
            raise UserError(
                f"--backend {name!r}: no such backend{hint}, and an implementation is named like torch.nn.LSTM"
            )

    return lambda ref: not names or any(_named(ref, name) for name in names)


def _named(ref: BackendRef, name: str) -> bool:
    return any(word == name or fnmatch.fnmatchcase(word, name) for word in _words(ref))


def _words(ref: BackendRef) -> tuple[str, ...]:
    return ref.backend, ref.implementation or "", ref.label


def strangers(names: Sequence[str], variants: Sequence[Variant]) -> Iterator[str]:
    """A message for each word of `--backend` that speaks of no implementation of the cases, with the nearest one."""
    from harness.execution.plan import expand

    refs = [ref for variant in variants for ref in expand(variant)] if names else []
    for name in names:
        plain = name.removesuffix(RECIPE)
        if not any(_named(ref, plain) for ref in refs):
            near = did_you_mean(plain, dict.fromkeys(word for ref in refs for word in _words(ref) if word))
            yield f"--backend {name!r} names no implementation of these cases{near}"


def reproduce(case: str, backend: str = "") -> str:
    """The command that runs one case (and one implementation of it) again."""
    words = ["harness", "run", case]
    if backend:
        words += ["--backend", backend]
    return shlex.join(words)
