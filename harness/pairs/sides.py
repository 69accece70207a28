"""The programs of a pair: where each runs, and how it is called under observation."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CellType, CodeType, ModuleType
from typing import Any

from harness.environments import resolve, why_not
from harness.errors import Place, Problem, UserError, did_you_mean
from harness.execution.process import Worker, WorkerDied, WorkerTimeout
from harness.frameworks.contract import programs
from harness.frameworks.contract.framework import backends, frameworks, owners
from harness.frameworks.contract.programs import ProgramError, Request, Trace
from harness.pairs.choosing import of_environment, of_file, of_process

TIMEOUT = 600.0


def imported_for() -> list[tuple[str, str]]:
    """A package that a program's file imports, and the backend that it is then written for; the first that is there counts."""
    differentiable = sorted((one for one in owners() if one.template and one.gradients), key=lambda one: -one.listed)
    own = [(record.packages[0], record.name) for record in differentiable]
    known = {made for _, made in own}
    others = [record for record in frameworks().values() if record.name not in record.backends]
    chosen = [(record.packages[0], of_environment(record.packages[0]) or record.backends[0]) for record in others]
    return own + [(package, backend) for package, backend in chosen if backend in known]


class ProgramLost(ProgramError):
    """The process that called the program died, or (`late`) gave no answer in time."""

    def __init__(self, message: str, late: bool) -> None:
        super().__init__(message)
        self.late = late


@dataclass
class Side:
    """One program. `target` is `file.py:name` or an object of this process; `backend` the framework it is written in; `timeout`
    the seconds that each call may take; `versions` and `device` those of the last call in a worker.
    """

    name: str
    backend: str
    target: Any
    environment: str = ""
    timeout: float = TIMEOUT
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    _worker: Worker | None = field(default=None, repr=False)

    def observe(self, request: Request) -> Trace:
        """Call the program. Raises ProgramError with its side's name, and UserError where it cannot be run here."""
        try:
            if not isinstance(self.target, str):
                return programs.observe(self.backend, self.target, request)
            return self._asked(request)
        except ProgramLost as error:
            raise ProgramLost(f"{self.name}: {error}", error.late) from error
        except ProgramError as error:
            raise ProgramError(f"{self.name}: {error}", error.detail) from error

    def _asked(self, request: Request) -> Trace:
        if self._worker is None:
            environment = resolve(self.environment)
            if environment is None:
                raise UserError(why_not(self.environment))
            self._worker = Worker(environment, self.backend)
        try:
            header, arrays = self._worker.ask(*programs.ask(request, self.target), timeout=self.timeout)
        except (WorkerDied, WorkerTimeout) as error:
            self.stop()
            raise ProgramLost(str(error), isinstance(error, WorkerTimeout)) from error
        if "error" in header:
            raise ProgramError(header["error"], header.get("detail", ""))
        self.versions, self.device = dict(header.get("versions", {})), str(header.get("device", ""))
        if "steps" not in header:
            raise ProgramError(str(header.get("message", "gave no answer")))
        return programs.unpack(header, arrays)

    def missing(self) -> str:
        """Why it cannot be called here at all; "" where it can."""
        if self.environment:
            return "" if resolve(self.environment) is not None else why_not(self.environment)
        package = frameworks()[self.backend].packages[0]
        return "" if importlib.util.find_spec(package) is not None else f"{package} is not installed here"

    def stop(self) -> None:
        """End the worker, where there is one."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


@contextlib.contextmanager
def running(*sides: Side) -> Iterator[None]:
    """Sides whose workers end with the block."""
    try:
        yield
    finally:
        for side in sides:
            side.stop()


def side(given: Any, name: str, *, installed: bool = True) -> Side:
    """The side of `[BACKEND[@ENVIRONMENT]:]file.py:name`, or of an object.

    installed  whether its framework must be there.

    Raises UserError for a file that is not there, has no such name at its top, or imports no framework that is known.
    """
    if not isinstance(given, str | Path):
        return Side(name, _backend_of_object(given), given)
    text = str(given)
    prefix, _, rest = text.partition(":")
    word, _, environment = prefix.partition("@")
    backend = ""
    if word in backends():
        backend, text = word, rest
    file, _, wanted = text.rpartition(":")
    path = Path(file)
    if not file.endswith(".py") or not wanted:
        raise UserError(Problem(f"{given!r} is no program: it is written file.py:name"))
    if not path.is_file():
        raise UserError(Problem(f"there is no such file{_meant(path)}", Place(file)))
    names, imports, chosen = _looked_at(path)
    if wanted not in names:
        message = f"no {wanted!r} at the top of the file{did_you_mean(wanted, names)}"
        raise UserError(Problem(message, Place(file)))
    if not backend:
        backend = chosen or next((made for package, made in imported_for() if package in imports), "")
        if not backend:
            known = ", ".join(dict.fromkeys(package for package, _ in imported_for()))
            raise UserError(
                Problem(f"imports none of {known}: say which framework it is for, as torch:{text}", Place(file))
            )
    made = Side(name, backend, f"{path.resolve()}:{wanted}", environment)
    if installed and not environment and made.missing():
        raise UserError(Problem(made.missing(), Place(file)))
    return made


def _meant(path: Path) -> str:
    """The framework or the file beside that a name which is no file was likely to be."""
    word, colon, rest = path.name.partition(":")
    if colon and path.with_name(rest).is_file():
        return did_you_mean(word, backends())
    beside = sorted(other.name for other in path.parent.glob("*.py")) if path.parent.is_dir() else []
    return did_you_mean(path.name, beside)


def _looked_at(path: Path) -> tuple[list[str], set[str], str]:
    """The names at the top of a file, the packages that it, or a neighbour that it imports, imports, and the backend that it
    chooses for a library that runs on several. No code runs.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        place = Place(str(path), error.lineno or 0, error.offset or 0)
        raise UserError(Problem(f"is no Python: {error.msg}", place)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Problem(str(error), Place(str(path)))) from None
    names: list[str] = []
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports.add(node.module.partition(".")[0])
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    for neighbour in [path.with_name(f"{name}.py") for name in sorted(imports)]:
        if neighbour.is_file() and neighbour != path and not imports & {package for package, _ in imported_for()}:
            imports |= _looked_at(neighbour)[1]
    return names, imports, of_file(tree, imports)


def _backend_of_object(thing: Any) -> str:
    """The framework of an object: by its classes; of a function, by what it names, else by what its file has imported."""
    things = thing if isinstance(thing, tuple) else (thing,)
    backend = _first([_package(cls) for item in things for cls in type(item).__mro__])
    if not backend:
        named = _used(thing, set())
        backend = _first([name for value in named for name in (_package(value), _package(type(value)))])
    if not backend and hasattr(thing, "__globals__"):
        backend = _first([_package(value) for value in thing.__globals__.values()])
    if not backend:
        known = ", ".join(dict.fromkeys(made for _, made in imported_for()))
        raise UserError(f"{thing!r} belongs to no framework that is known: {known}")
    return backend


def _used(function: Any, seen: set[int]) -> list[Any]:
    """What a function names, and what the functions that it names do."""
    code, variables = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    if code is None or id(function) in seen:
        return []
    seen.add(id(function))
    named = [variables[name] for name in _names(code) if name in variables]
    named += [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    return named + [value for other in named for value in _used(other, seen)]


def _first(packages: list[str]) -> str:
    """The backend of the first package, in the order of the list, that has one."""
    known = dict(imported_for())
    chosen = next((backend for backend in map(of_process, packages) if backend), "")
    return chosen or next((known[package] for package in packages if package in known), "")


def _package(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return str(name or "").partition(".")[0]


def _names(code: CodeType) -> list[str]:
    """The names that a function uses, also in functions inside of it."""
    inner = [name for const in code.co_consts if isinstance(const, CodeType) for name in _names(const)]
    return [*code.co_names, *inner]


def _filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
