"""What the host knows of a framework: one record, declared as `FRAMEWORK` in the framework's own package.

The words of the case file, what a worker reports, what `doctor`, `init` and the checks say come from these records. They are
listed without importing any framework.
"""

import contextlib
import fnmatch
import importlib
import pkgutil
import re
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from harness.frameworks.contract.capabilities import within
from harness.registry import complain, entry_points

Quiet = Callable[[], ContextManager[Any]]


class Template(NamedTuple):
    """The port that `harness init` writes: an LSTM as a loop, with dropout on its output, in the framework's words.

    imports   the lines that import it.             start    the lines that make the initial h and c.
    step      the line that makes the gates.        sigmoid, tanh   its functions.
    output    the lines that make `y` of `steps`.   source   what of `case` the port draws from.
    """

    imports: str
    start: str
    step: str
    sigmoid: str
    tanh: str
    output: str
    source: str = "seed"


class Fix(NamedTuple):
    """What to do about a fault, in a framework's own words and naming what exists there.

    fault   a pattern (fnmatch) of the fault's name, as `gates.order*`.
    text    the sentence; {words} in it are the fault's own.
    when    the values that some of the fault's words must have.
    needs   the version that it is for, as `keras>=3`: of a package whose version is known.
    """

    fault: str
    text: str
    when: Dict[str, str] = {}
    needs: str = ""

    def fits(self, fault: str, words: Mapping[str, str], versions: Mapping[str, str]) -> bool:
        """Whether it is for this fault in these versions (by package)."""
        if not fnmatch.fnmatchcase(fault, self.fault) or any(words.get(key) != self.when[key] for key in self.when):
            return False
        if not self.needs:
            return True
        package = re.split("[<>]", self.needs)[0]
        return package in versions and within(versions[package], self.needs)

    def said(self, words: Mapping[str, str]) -> str:
        """The sentence, with the fault's words in it."""
        text = self.text
        for key, value in words.items():
            text = text.replace("{%s}" % key, value)
        return text


class Framework(NamedTuple):
    """One folder of harness.frameworks.

    name        the folder's.
    backends    the case file's words for what its layers run on; one of its own name makes that word.
    listed      where that word stands in lists of backends: small numbers first.
    offered     where `harness init` offers it: small numbers first.
    packages    whose versions a worker reports, by import name.
    extra       what `pip install` takes; "" where it comes with the harness.
    uses        frameworks that it imports from.
    device      where a worker computes: `cpu`, or the accelerator's kind as the framework names it.
    seen        what code under test draws from, for its tap to see it.
    keyed       whether the caller hands in the key of every call, so that a second call's draws are the caller's.
    gradients   whether gradients are taken through code under test; else the code returns its own.
    jit         whether code under test is traced unless its option `jit` says no.
    template    the port that `harness init` writes; None where code under test cannot be written in it.
    api         `harness init`'s word for an API that runs on several backends, whose port `port` writes for one of them;
                the environment variable `chosen_by` says which one, and is set for workers; the first where it is not set.
    around      of a library that ports of a backend may use: (backend, quiet) -> a context in which its draws are the tap's and
                its initial values are drawn inside of `quiet()`.
    variables   further environment variables that a worker needs.
    written     the modules by which code under test shows that it is written in it, beside the backend's own: `flax.nnx`, or
                `keras>=3` where their version tells.
    fixes       what to do about faults; the first that fits is taken.
    """

    name: str
    backends: Tuple[str, ...]
    packages: Tuple[str, ...]
    listed: int = 100
    offered: int = 100
    extra: str = ""
    uses: Tuple[str, ...] = ()
    device: Optional[Callable[[], str]] = None
    seen: str = ""
    keyed: bool = False
    gradients: bool = True
    jit: bool = False
    template: Optional[Template] = None
    api: str = ""
    port: Optional[Callable[[str], str]] = None
    chosen_by: str = ""
    around: Optional[Callable[[str, Quiet], ContextManager[None]]] = None
    variables: Optional[Callable[[], Dict[str, str]]] = None
    written: Tuple[str, ...] = ()
    fixes: Tuple[Fix, ...] = ()


_RECORDS: Dict[str, Framework] = {}


def frameworks() -> Dict[str, Framework]:
    """Every framework's record by its name."""
    if not _RECORDS:
        package = importlib.import_module("harness.frameworks")
        found: Dict[str, Framework] = {}
        for folder in sorted(info[1] for info in pkgutil.iter_modules(package.__path__)):
            if folder != "contract":
                record = importlib.import_module("harness.frameworks." + folder).FRAMEWORK
                if record.name != folder:
                    raise ValueError("harness.frameworks.%s declares the framework %r" % (folder, record.name))
                found[folder] = record
        for name, point in entry_points("harness.frameworks"):
            try:
                record = _declared(point.load())
                if record.name in found:
                    raise ValueError("there is a framework %r already" % record.name)
            except Exception as error:
                complain(name, point, error)
            else:
                found[record.name] = record
        _RECORDS.update(found)
    return _RECORDS


def _declared(package: Any) -> Framework:
    """The record of another package's framework. Raises ValueError where it is none."""
    record = getattr(package, "FRAMEWORK", None)
    if not isinstance(record, Framework):
        raise ValueError("declares no FRAMEWORK, a harness.frameworks.contract.framework.Framework")
    if not record.backends or not record.packages:
        raise ValueError("the framework %r names no backends, or no packages" % record.name)
    return record


def owners() -> List[Framework]:
    """The frameworks whose name is a word of the case file, in the order of lists."""
    own = [record for record in frameworks().values() if record.name in record.backends]
    return sorted(own, key=lambda record: (record.listed, record.name))


def backends() -> Tuple[str, ...]:
    """The case file's words for what layers run on."""
    return tuple(record.name for record in owners())


def ported() -> Tuple[str, ...]:
    """The backends that code under test may be written in."""
    return tuple(record.name for record in owners() if record.template is not None)


def owner(backend: str) -> Optional[Framework]:
    """The framework that a backend's word belongs to; None of a word that is no backend's (a document's recorded outputs)."""
    return frameworks().get(backend)


def apis() -> Dict[str, Framework]:
    """Frameworks that `harness init` knows by the word of their API."""
    return {record.api: record for record in frameworks().values() if record.api}


def variables(backend: str) -> Dict[str, str]:
    """The environment variables that a worker of a backend needs."""
    found: Dict[str, str] = {}
    for record in frameworks().values():
        if backend in record.backends and record.chosen_by:
            found[record.chosen_by] = backend
        if backend in record.backends and record.variables is not None:
            found.update(record.variables())
    return found


@contextlib.contextmanager
def around_ports(backend: str, quiet: Quiet) -> Iterator[None]:
    """A context for code under test, in which libraries that run on its backend draw as it does."""
    with contextlib.ExitStack() as stack:
        for record in frameworks().values():
            if record.around is not None and backend in record.backends:
                stack.enter_context(record.around(backend, quiet))
        yield


def packages() -> Tuple[str, ...]:
    """All packages whose versions are reported."""
    return tuple(dict.fromkeys(name for record in frameworks().values() for name in record.packages))
