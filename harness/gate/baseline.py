"""The baseline: what every (case, implementation, check) gave, as text that reads well in a pull request.

    parity-harness baseline 1
    machine 3f2a9c: Intel(R) Xeon(R) Processor, x86_64

    case cases/lstm/variational.yaml::[rate=0.5]
      torch: torch.nn.LSTM | torch 2.13.0 | cpu | 3f2a9c
        mask.rate pass 0.487 of 1
        value.y pass 1.2e-07 of 4.5e-06
        mask input bool 2x5x3 9f86d081884c7d65

One line a check, in the order of the run: the verdict, the figure, and its limit. A framework's upgrade changes the line of the
implementation; a changed stream the line of its mask. Names that hold odd characters are quoted as JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import Place, Problem, UserError
from harness.records import Aim, Verdict
from harness.reporting.store import StoredRun
from harness.reporting.summary import plain_label
from harness.reporting.verdicts import severity

HEAD = "parity-harness baseline 1"
_PLAIN = re.compile(r"[^\s\"|](?:[^\n\"|]*[^\s\"|])?")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one check gave. aim: what the limit is to the figure, where they come from a run; a baseline's text does not say."""

    verdict: Verdict
    measured: float | None = None
    limit: float | None = None
    aim: Aim = field(default=Aim.MOST, compare=False)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Where it was measured: the framework's versions, the device, and the machine (a digest of processor and architecture)."""

    version: str
    device: str
    machine: str


@dataclass
class Entry:
    """One (case, implementation) on one fingerprint: its checks and its masks, each mask as `bool 2x5x3 digest`."""

    checks: dict[str, Figure] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)


Key = tuple[str, str]


@dataclass
class Baseline:
    """Entries by (case, implementation), then by fingerprint; and what each machine is."""

    entries: dict[Key, dict[Fingerprint, Entry]] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(entry.checks) for entries in self.entries.values() for entry in entries.values())


def machine_of(run: StoredRun) -> tuple[str, str]:
    """(digest, description) of the machine that a run ran on."""
    machine = run.meta["machine"]
    text = " ".join(f"{machine.get('cpu', '')}, {machine.get('machine', '')}".split())
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:6], text


def from_run(run: StoredRun) -> Baseline:
    """What a stored run would be as a baseline."""
    machine, text = machine_of(run)
    baseline = Baseline(machines={machine: text})
    fingerprints: dict[Key, Fingerprint] = {}
    for row in run.rows():
        key = (row.case, plain_label(row))
        fingerprint = fingerprints.setdefault(key, Fingerprint(row.version, row.device, machine))
        entry = baseline.entries.setdefault(key, {}).setdefault(fingerprint, Entry())
        figure = Figure(row.verdict, _rounded(row.measured), _rounded(row.limit), row.aim)
        known = entry.checks.get(row.check)
        if known is None or severity(figure.verdict) < severity(known.verdict):
            entry.checks[row.check] = figure
    for case in run.cases:
        for mask in case["masks"]:
            key = (case["id"], mask["backend"])
            if key in fingerprints:
                shape = "x".join(map(str, mask["shape"])) or "scalar"
                entry = baseline.entries[key][fingerprints[key]]
                entry.masks[mask["name"]] = f"{mask['dtype']} {shape} {mask['sha256']}"
    return baseline


def merged(old: Baseline, new: Baseline, *, partial: bool = False) -> Baseline:
    """The new entries, and those of the old baseline that were taken on other machines; with `partial`, also the cases that
    the new run did not have.
    """
    result = Baseline(machines={**old.machines, **new.machines})
    here = set(new.machines)
    for key in dict.fromkeys([*new.entries, *old.entries]):
        kept = {
            fingerprint: entry
            for fingerprint, entry in old.entries.get(key, {}).items()
            if fingerprint.machine not in here or (partial and key not in new.entries)
        }
        both = new.entries.get(key, {}) | kept
        if both:
            result.entries[key] = both
    used = {fingerprint.machine for entries in result.entries.values() for fingerprint in entries}
    result.machines = {name: text for name, text in result.machines.items() if name in used}
    return result


def dump(baseline: Baseline) -> str:
    """The text, in an order that does not depend on who finished first: by case, implementation and fingerprint."""
    return "\n".join(_lines(baseline)) + "\n"


def _lines(baseline: Baseline) -> Iterator[str]:
    yield HEAD
    for name, text in sorted(baseline.machines.items()):
        yield f"machine {name}: {text}"
    previous = None
    for (case, implementation), entries in sorted(baseline.entries.items()):
        if case != previous:
            yield ""
            yield f"case {quoted(case)}"
            previous = case
        for where, entry in sorted(
            entries.items(), key=lambda item: (item[0].machine, item[0].version, item[0].device)
        ):
            words = (implementation, where.version, where.device, where.machine)
            yield "  " + " | ".join(map(quoted, words))
            for check, figure in entry.checks.items():
                yield f"    {check} {figure.verdict}{_figures(figure)}"
            for name, mask in sorted(entry.masks.items()):
                yield f"    mask {quoted(name)} {mask}"


def _figures(figure: Figure) -> str:
    if figure.measured is None and figure.limit is None:
        return ""
    measured = "-" if figure.measured is None else f"{figure.measured:g}"
    return f" {measured}" + ("" if figure.limit is None else f" of {figure.limit:g}")


def _rounded(value: float | None) -> float | None:
    """Three digits: what a reader takes in, and more than a headroom needs."""
    return None if value is None else float(f"{value:.3g}")


def quoted(text: str) -> str:
    """A name as it stands where it is plain, else as a JSON string."""
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text)


def read(path: Path) -> Baseline:
    """Read a baseline. Raises UserError with file and line for what is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no baseline yet: `harness baseline update` writes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the baseline: {error}") from error
    lines = text.split("\n")
    if lines[0] != HEAD:
        hint = (
            "written by a newer harness: upgrade it"
            if lines[0].startswith(HEAD[:-1])
            else f"it does not begin with {HEAD!r}"
        )
        raise UserError(Problem(f"not a baseline: {hint}", Place(str(path), 1)))
    return _Reader(path).read(lines)


class _Reader:
    """Reads the lines of a baseline by their indentation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.baseline = Baseline()
        self.case: str | None = None
        self.entry: Entry | None = None

    def read(self, lines: list[str]) -> Baseline:
        for number, line in enumerate(lines[1:], 2):
            if not line:
                continue
            try:
                self.line(line)
            except (ValueError, KeyError, IndexError) as error:
                what = (
                    "a merge left its marks here" if line[:7] in ("<<<<<<<", "=======", ">>>>>>>") else "not understood"
                )
                raise UserError(Problem(f"{what}: {line.strip()!r}", Place(str(self.path), number))) from error
        return self.baseline

    def line(self, line: str) -> None:
        if line.startswith("    "):
            if self.entry is None:
                raise ValueError
            self.check(line[4:], self.entry)
        elif line.startswith("  "):
            if self.case is None:
                raise ValueError
            implementation, version, device, machine = _split(line[2:])
            self.baseline.machines[machine]  # the machine must have been described
            entries = self.baseline.entries.setdefault((self.case, implementation), {})
            where = Fingerprint(version, device, machine)
            if where in entries:
                raise ValueError
            self.entry = entries[where] = Entry()
        elif line.startswith("case "):
            (self.case,) = _split(line[5:])
            self.entry = None
        elif line.startswith("machine "):
            name, _, text = line[8:].partition(": ")
            self.baseline.machines[name] = text
        else:
            raise ValueError

    @staticmethod
    def check(text: str, entry: Entry) -> None:
        if text.startswith("mask "):
            rest, _, digest = text[5:].rpartition(" ")
            rest, _, shape = rest.rpartition(" ")
            rest, _, dtype = rest.rpartition(" ")
            (name,) = _split(rest)
            entry.masks[name] = f"{dtype} {shape} {digest}"
            return
        name, verdict, *figures = text.split(" ")
        if name in entry.checks:
            raise ValueError
        measured = float(figures[0]) if figures and figures[0] != "-" else None
        limit = None
        if len(figures) > 1:
            of, value = figures[1:]
            if of != "of":
                raise ValueError
            limit = float(value)
        entry.checks[name] = Figure(Verdict(verdict), measured, limit)


def _split(text: str) -> list[str]:
    """Names between bars, each plain or a JSON string."""
    names = []
    decoder = json.JSONDecoder()
    while True:
        if text.startswith('"'):
            name, end = decoder.raw_decode(text)
        else:
            end = text.find(" | ")
            end = len(text) if end < 0 else end
            name = text[:end]
        names.append(name)
        if end == len(text):
            return names
        if text[end : end + 3] != " | ":
            raise ValueError
        text = text[end + 3 :]
