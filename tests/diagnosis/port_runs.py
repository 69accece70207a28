"""Finding ports by their docstrings, running them through workers, and reading what the run names as their cause."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from port_cases import CASES, case

from harness.comparison.context import Context
from harness.diagnosis.diagnose import numbered
from harness.diagnosis.fault import catalogue
from harness.diagnosis.power import own_passes
from harness.records import Compared, Verdict
from harness.reporting.verdicts import reason
from tests.workers import run

PORTS = Path(__file__).resolve().parent / "ports"
FRAMEWORKS = {"numpy": "numpy", "torch": "torch", "jax": "jax", "tensorflow": "tensorflow", "keras": "tensorflow"}


@dataclass(frozen=True)
class Port:
    """One function of a ports file. planted: alternatives, each a set of faults; () for a right port."""

    framework: str
    file: str
    function: str
    case: str
    planted: tuple[frozenset[str], ...]

    @property
    def right(self) -> bool:
        return not self.planted

    @property
    def target(self) -> str:
        return f"{PORTS / self.file}:{self.function}"

    @property
    def id(self) -> str:
        return f"{self.file.removesuffix('.py')}.{self.function}"


def ports(framework: str = "") -> Iterator[Port]:
    """Every port: a function whose docstring begins with `case | faults` (`a + b`: both; `or`: the same by another name)."""
    for path in sorted(PORTS.glob(f"{framework}*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            text = (ast.get_docstring(node) or "").split("\n")[0] if isinstance(node, ast.FunctionDef) else ""
            if isinstance(node, ast.FunctionDef) and " | " in text:
                name, _, faults = text.partition(" | ")
                assert name in CASES, f"{path.name}:{node.lineno}: no case {name!r}"
                planted = (
                    tuple(frozenset(one.split(" + ")) for one in faults.split(" or ")) if faults != "right" else ()
                )
                framework_of = FRAMEWORKS[path.name.split("_")[0]]
                yield Port(framework_of, path.name, node.name, name, planted)


def outcomes(found: Iterable[Port]) -> dict[Port, Compared]:
    """Run ports, each on its case."""
    listed = list(found)
    variants = [case(port.case, port.framework, port.target) for port in listed]
    return dict(zip(listed, run(variants), strict=True))


def failures(compared: Compared) -> dict[str, str]:
    """The rows that are no pass, with their causes."""
    fine = (Verdict.PASS,)
    return {row.check: f"{row.verdict}: {reason(row)}" for row in compared.rows if row.verdict not in fine}


@cache
def causes(name: str) -> dict[str, str]:
    """The words for every fault that can be planted in a case; and for precisions."""
    from harness.diagnosis.precision import WORDS

    passes = own_passes(Context(CASES[name]))
    found = {fault.name: fault.cause for fault in catalogue(passes[0].setting)}
    return found | {
        f"precision.{key}": f"computed in less precision than asked for: {word}" for key, word in WORDS.items()
    }


def named_right(port: Port, compared: Compared) -> bool:
    """Whether the first-named cause is what was planted."""
    bad = failures(compared)
    for planted in port.planted:
        if all(name.startswith("row ") for name in planted):
            if all(name.removeprefix("row ") in bad for name in planted):
                return True
            continue
        words = [causes(port.case)[name] for name in planted]
        for text in bad.values():
            first = re.search(r"cause: (.*)", text, re.DOTALL)
            said = first[1].partition(": explains")[0] if first else ""
            ends = said in (numbered(words), numbered(words[::-1]))
            if ends or (len(words) == 1 and "precision" in words[0] and said.startswith(words[0])):
                return True
    return False
