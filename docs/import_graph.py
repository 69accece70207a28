"""The packages of `harness/` and what each imports: the picture in docs/design.md. `--write` draws it anew.

Every import counts, also one within a function: what is imported late is needed all the same. What only a type checker reads
(`if TYPE_CHECKING:`) does not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- import graph: python docs/import_graph.py --write -->", "<!-- end of the import graph -->"

#: The floors of the house, the lowest first: (what it is, its packages and single files). Who stands on one may import what
#: stands before it, on its own floor too.
FLOORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "words",
        (
            "version",
            "tape",
            "noises",
            "formats",
            "registry",
            "errors",
            "rounding",
            "traces",
            "power",
            "records",
            "internal",
        ),
    ),
    ("frameworks", ("frameworks.contract", "frameworks.*", "worker")),
    ("facts", ("layers", "environments", "streams")),
    ("cases", ("cases",)),
    ("execution", ("execution",)),
    ("comparison", ("comparison",)),
    ("diagnosis", ("diagnosis", "pairs")),
    ("run", ("selection", "running")),
    ("reporting", ("reporting", "history")),
    ("gate", ("gate",)),
    (
        "doors",
        (
            *("session", "api", "harness", "commands", "cli", "__main__"),
            *("pytest_session", "pytest_items", "pytest_report", "pytest_plugin"),
        ),
    ),
)
ORDER = tuple(unit for _, units in FLOORS for unit in units)


def files() -> dict[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for path in sorted((ROOT / "harness").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it."""
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, but for what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id in ("TYPE_CHECKING", "MYPY")
        ):
            for other in child.orelse:
                yield from (other, *_run(other))
        else:
            yield from (child, *_run(child))


def unit_of(module: str) -> str:
    """The package of a module, or the module where it stands alone; frameworks are one, but for their contract."""
    parts = module.split(".")
    if parts[1:2] == ["frameworks"]:
        return "frameworks.contract" if parts[2:3] == ["contract"] else "frameworks.*"
    return parts[1] if len(parts) > 1 else "harness"


def file_graph() -> dict[str, set[str]]:
    """What each module imports."""
    known = files()
    return {module: set(imports(path, known)) - {module} for module, path in known.items()}


def package_graph() -> dict[str, set[str]]:
    """What each package imports."""
    graph: dict[str, set[str]] = {unit: set() for unit in ORDER}
    for module, imported in file_graph().items():
        graph.setdefault(unit_of(module), set()).update(map(unit_of, imported))
    return {unit: imported - {unit} for unit, imported in graph.items()}


def upwards() -> list[str]:
    """Every import of what stands later in ORDER, as `module imports module`; a package without a floor too."""
    found = []
    for module, imported in file_graph().items():
        for name in sorted(imported):
            here, there = unit_of(module), unit_of(name)
            if {here, there} - set(ORDER) or ORDER.index(there) > ORDER.index(here):
                found.append(f"{module} imports {name}")
    return found


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle, in that order; [] where there is none."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for other in sorted(graph[node]):
            found = walk(other, [*path, node])
            if found:
                return found
        done.add(node)
        return []

    for start in graph:
        found = walk(start, [])
        if found:
            return found
    return []


def direct(graph: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """The arrows that no longer way round implies: what a reader needs to see."""
    reach: dict[str, set[str]] = {}
    for unit in ORDER:
        reach[unit] = set(graph[unit]).union(*(reach[other] for other in graph[unit]))
    for unit in ORDER:
        for other in sorted(graph[unit], key=ORDER.index):
            if not any(other in reach[between] for between in graph[unit] - {other}):
                yield unit, other


def picture() -> str:
    """The graph as Mermaid draws it: who imports whom, arrows downwards."""
    lines = ["```mermaid", "flowchart TD"]
    for title, units in reversed(FLOORS):
        lines.append(f"  subgraph {title}")
        lines += [f'    {_id(unit)}["{unit}"]' for unit in units]
        lines.append("  end")
    lines += [f"  {_id(unit)} --> {_id(other)}" for unit, other in direct(package_graph())]
    return "\n".join([*lines, "```"])


def _id(unit: str) -> str:
    return "p_" + unit.strip("_").replace(".*", "_all").replace(".", "_")


def drawn(text: str) -> str:
    """A page with the picture as it is now. Raises ValueError where the page has no place for it."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{picture()}\n\n{END}{after}"


if __name__ == "__main__":
    page = drawn(PAGE.read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(picture())
