"""How frameworks, layer kinds, checks and faults are found: by lying in their package, or by an entry point of another one.

A package of its own ships what it adds by entry points in these groups:

    harness.frameworks   a package like those in harness.frameworks: its `FRAMEWORK` record, its modules register implementations
    harness.layers       a module that registers layer kinds
    harness.checks       a module that registers checks

Whatever goes wrong there is one line that names the package (`complaints`); what it had registered by then is taken back, and
all others go on. In the harness itself it is an error.

Imported by workers: Python 3.6 with NumPy alone. Where Python has no importlib.metadata (before 3.8) there are no entry points.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

import importlib
import pkgutil
import threading
from typing import Any, Dict, Generic, List, Tuple, TypeVar

V = TypeVar("V")

#: What was wrong with packages beside the harness, in the order in which it was found.
_COMPLAINTS: List[str] = []
_POINTS: Dict[str, List[Tuple[str, Any]]] = {}


class Registry(Generic[V]):
    """Things by key; every module of a package is imported once, when they are first asked for.

    what      what one thing is called in messages.
    package   the package whose modules register them; modules with a leading underscore, and `base`, do not.
    group     the group of entry points that register more; "" for none.
    deep      whether the package's packages are searched too.
    """

    def __init__(self, what: str, package: str, group: str = "", deep: bool = False) -> None:
        self.what = what
        self.package = package
        self.group = group
        self.deep = deep
        self.things: Dict[Any, V] = {}
        self._origins: Dict[Any, Tuple[str, str]] = {}
        self._loaded = False
        # Another thread waits: of a half of all checks it would owe a half of the rows, and pass on it.
        self._lock = threading.RLock()
        #: whether everything has been imported.
        self.complete = False

    def add(self, key: Any, thing: V, source: Any, words: str = "") -> None:
        """Register a thing. `source`, a class or function, says where it comes from: a module that is imported anew may register
        its own again. Raises ValueError, with both places, for a key that something else has.
        """
        origin = (source.__module__, source.__qualname__)
        known = self._origins.get(key)
        if known is not None and known != origin:
            places = " and ".join(sorted("%s.%s" % place for place in (known, origin)))
            raise ValueError("%s %s is registered twice: %s" % (self.what, words or repr(key), places))
        self.things[key] = thing
        self._origins[key] = origin

    def all(self) -> Dict[Any, V]:
        """Everything by key, in the order of registration."""
        if not self.complete:
            with self._lock:
                self._load()
        return self.things

    def _load(self) -> None:
        if self._loaded:
            return
        # First: a module that is imported here may ask as well.
        self._loaded = True
        try:
            import_all(self.package, self.deep)
        except BaseException:
            self._loaded = False
            raise
        for name, point in entry_points(self.group):
            self.load_one(name, point)
        self.complete = True

    def load_one(self, name: str, point: Any) -> None:
        """Import what an entry point of the package `name` refers to; on any failure take back what it registered, and say so.

        What it imported from other packages stays: they are imported once, and would not register again.
        """
        before = set(self.things)
        try:
            module = point.load()
            if self.deep:
                import_all(module.__name__, False)
        except Exception as error:
            top = point.value.partition(":")[0].partition(".")[0]
            for key in set(self.things) - before:
                if self._origins[key][0].partition(".")[0] == top:
                    del self.things[key], self._origins[key]
            complain(name, point, error)


def import_all(package: str, deep: bool) -> None:
    """Import a package's modules, in the order of their names; `deep`: those of its packages too."""
    found = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(found.__path__), key=lambda info: info[1]):
        if (info[1] == "base" and not deep) or info[1].startswith("_"):
            continue
        inner = importlib.import_module("%s.%s" % (package, info[1]))
        if deep and info[2]:
            for module in sorted(each[1] for each in pkgutil.iter_modules(inner.__path__)):
                importlib.import_module("%s.%s.%s" % (package, info[1], module))


def entry_points(group: str) -> List[Tuple[str, Any]]:
    """(package, entry point) of a group, by package and name; looked for once a process."""
    if group not in _POINTS:
        found = []
        for distribution in _distributions() if group else ():
            name = (distribution.metadata or {}).get("Name") or "a package without a name"
            found += [(name, point) for point in distribution.entry_points if point.group == group]
        # A package that is found twice, in two folders of sys.path, is the one that is found first.
        unique = {(name, point.name, point.value): (name, point) for name, point in reversed(found)}
        _POINTS[group] = sorted(unique.values(), key=lambda item: (item[0], item[1].name))
    return _POINTS[group]


def _distributions() -> List[Any]:
    try:
        from importlib import metadata
    except ImportError:
        return []
    return list(metadata.distributions())


def complain(package: str, point: Any, error: BaseException) -> None:
    """Remember in one line what is wrong with a package."""
    said = " ".join(str(error).split()) or "no message"
    kind = "" if isinstance(error, ValueError) else type(error).__name__ + ": "
    line = "package %s: entry point %s = %s in %s: %s%s" % (package, point.name, point.value, point.group, kind, said)
    if line not in _COMPLAINTS:
        _COMPLAINTS.append(line)


def complaints() -> List[str]:
    """What was wrong with other packages so far, a line each."""
    return list(_COMPLAINTS)


def required(cls: type, base: type, methods: Tuple[str, ...], words: str) -> None:
    """Raise ValueError for methods that a class must write itself and has only from `base`."""
    missing = [name for name in methods if getattr(cls, name, None) is getattr(base, name)]
    if missing:
        raise ValueError(
            "%s: class %s of %s has no method %s" % (words, cls.__qualname__, cls.__module__, ", ".join(missing))
        )
