"""Stored runs put together: the shards of one run, or what an interrupted run had finished."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.records import Variant
from harness.reporting.described import describe
from harness.reporting.parts import parts_of
from harness.reporting.store import StoredRun
from harness.reporting.summary import plain_label
from harness.reporting.writer import Writer
from harness.version import __version__


def shard_of(text: str) -> tuple[int, int]:
    """(i, n) of "i/n". Raises UserError unless 1 <= i <= n."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UserError(f"--shard {text!r}: it takes i/n with i from 1 to n, as in 2/3")
    return int(match[1]), int(match[2])


def shard(variants: Sequence[Variant], part: tuple[int, int]) -> list[Variant]:
    """Every n-th case from the i-th on, so that neighbours, which cost alike, are shared out."""
    return list(variants[part[0] - 1 :: part[1]])


def merge(runs: Sequence[StoredRun], folder: Path, command: Sequence[str] = ()) -> Path:
    """Store all shards of a run as the one run that they are parts of.

    Raises UserError where a shard is missing, there twice, or of another run.
    """
    parts: dict[int, StoredRun] = {}
    total = len(runs)
    for run in runs:
        text = str(run.meta.get("shard") or "")
        if not text:
            raise UserError(f"{run.folder}: not a shard: `harness run --shard i/n` makes them")
        number, of = shard_of(text)
        if of != total:
            raise UserError(f"{run.folder}: is shard {text}, and {total} were given: all {of} are needed")
        if number in parts:
            raise UserError(f"{run.folder}: is shard {text}, and so is {parts[number].folder}")
        parts[number] = run
    versions = {run.meta["machine"].get("harness") for run in runs}
    if len(versions) > 1:
        raise UserError(f"the shards are of different versions of the harness: {', '.join(sorted(map(str, versions)))}")
    cases = []
    for position in range(max(len(run.cases) for run in runs)):
        cases += [run.cases[position] for _, run in sorted(parts.items()) if position < len(run.cases)]
    if len({case["id"] for case in cases}) != len(cases):
        raise UserError("a case is in two shards: they are not of one run")
    return joined(runs, cases, folder, command, interrupted=any(run.meta["interrupted"] for run in runs))


def joined(
    runs: Sequence[StoredRun],
    cases: Sequence[Mapping[str, Any]],
    folder: Path,
    command: Sequence[str] = (),
    *,
    interrupted: bool,
) -> Path:
    """Store all that some runs compared as one run of these cases, whatever comparisons of a case each of them made."""
    texts = {path: text for run in runs for path, text in run.sources.items()}
    sources = {case["path"]: texts[case["path"]] for case in cases}
    with Writer(folder, cases, sources, command) as writer:
        for run in runs:
            writer.adopt(run, {case["id"] for case in run.cases})
        writer.parts = [part for run in runs for part in parts_of(run.meta)]
        writer.computes = False
        return writer.finish(interrupted=interrupted)


def finished(run: StoredRun, planned: dict[str, set[str]], variants: Sequence[Variant]) -> set[str]:
    """Ids of the cases that a stored run has finished: nothing about them changed, and every planned label has rows.

    What another version of the harness compared is compared anew.
    """
    if run.meta["machine"].get("harness") != __version__:
        return set()
    done: dict[str, set[str]] = {}
    for row in run.rows():
        done.setdefault(row.case, set()).add(plain_label(row))
    stored = {case["id"]: case for case in run.cases}
    same = set()
    for variant in variants:
        case = stored.get(variant.id)
        if case is None or done.get(variant.id) != planned[variant.id]:
            continue
        now = describe(variant)
        if run.sources.get(variant.path) == variant.source and all(case.get(key) == now[key] for key in now):
            same.add(variant.id)
    return same
