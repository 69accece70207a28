"""Declarations are validated when a class registers: a typo is an error at once, with file and class.

What a noise, a scale or a dtype may be is known here. Layer kinds know their own sites and settings, and a worker has no
kinds: there only the rest is looked at. The host, which reads the same classes first, has refused what is wrong by then.
"""

import difflib
import inspect
import os
import sys
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Type

from harness.frameworks.contract.capabilities import DECLARED, DTYPES, EVERY, SCALES, Capabilities, Shared
from harness.noises import NOISES

#: Declarations that are tuples of words.
TEXTS = ("sites", "noises", "settings", "scales", "dtypes", "versions")
#: The same names without their plural: nobody reads an attribute of such a name.
SINGULAR = {name[:-1]: name for name in (*TEXTS, "options", "choices", "values", "ranks", "replays")}


class Words(NamedTuple):
    """What layer kinds know.

    kinds     their names.
    sites     sites that a case may list, of all kinds: one class may implement several.
    settings  settings of all kinds, each with the values that it may have where those are listed; () where not.
    """

    kinds: Tuple[str, ...]
    sites: Tuple[str, ...]
    settings: Dict[str, Tuple[Any, ...]]


def validate(cls: Type[Capabilities], layer: str) -> None:
    """Raise ValueError for what the class declares and is not there: `file:line: class Name: what is wrong (did you mean …?)`."""
    words = kind_words()
    if words is not None and layer not in words.kinds:
        raise ValueError("%s: no layer kind %r%s" % (place(cls), layer, near(layer, words.kinds)))
    for name, wrong in faults(cls, words):
        raise ValueError("%s: %s" % (place(declarer(cls, name)), wrong))


def kind_words() -> Optional[Words]:
    """What the layer kinds of this process know; None in a worker, which has none."""
    base = sys.modules.get("harness.layers.base")
    found = None if base is None else base.words()
    return None if found is None else Words(*found)


def faults(cls: Type[Capabilities], words: Optional[Words]) -> Iterator[Tuple[str, str]]:
    """(declaration, what is wrong with it), of all that is wrong."""
    for owner in cls.__mro__:
        for name, value in vars(owner).items():
            if name in SINGULAR and not callable(value):
                yield name, "nobody reads %r (did you mean %r?)" % (name, SINGULAR[name])
    for name in TEXTS:
        value = getattr(cls, name)
        if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
            yield name, "%s is a tuple of texts, not %r" % (name, value)
            return
    for name, what, known in (
        ("noises", "noise", tuple(NOISES)),
        ("scales", "scale", SCALES),
        ("dtypes", "dtype", DTYPES),
        ("sites", "dropout site", None if words is None else words.sites),
        ("settings", "setting", None if words is None else tuple(words.settings)),
    ):
        for text in getattr(cls, name):
            if known is not None and text not in known:
                yield name, "no %s %r%s" % (what, text, near(text, known))
    yield from _keys(cls, () if words is None else tuple(words.settings))
    for setting, values in cls.values.items():
        allowed = () if words is None else words.settings.get(setting, ())
        for value in values:
            if allowed and value not in allowed:
                yield "values", "setting %s is never %r%s" % (setting, value, near(str(value), map(str, allowed)))


def _keys(cls: Type[Capabilities], settings: Tuple[str, ...]) -> Iterator[Tuple[str, str]]:
    """What is declared of a name that is not declared itself. A setting of any kind (`settings`) may have a reason: why not."""
    # What a base says of a site that only some of its subclasses have is no slip.
    listed = {site for owner in cls.__mro__ for site in vars(owner).get("sites", ())}
    sites = {part for site in listed for part in (site, site.rpartition("coder.")[2])}
    settable = {name for owner in cls.__mro__ for name in vars(owner).get("settings", ())}
    for name, what, known in (
        ("values", "setting", settable),
        ("choices", "option", set(cls.options)),
        ("about_options", "option", set(cls.options)),
        ("shared", "dropout site", sites | {EVERY}),
        (
            "because",
            "declaration, setting, option or dropout site",
            {*DECLARED, *settable, *settings, *cls.options, *sites},
        ),
    ):
        for key in getattr(cls, name):
            if key not in known:
                yield name, "%s: no %s %r is declared%s" % (name, what, key, near(key, known))
    for key, ways in cls.shared.items():
        if not isinstance(ways, tuple) or not ways or not all(isinstance(way, Shared) for way in ways):
            yield "shared", "shared[%r] is a tuple of Shared, not %r" % (key, ways)


def declarer(cls: type, name: str) -> type:
    """The class in whose body an attribute stands."""
    return next((owner for owner in cls.__mro__ if name in vars(owner)), cls)


def place(cls: type) -> str:
    """`folder/file.py:line: class Name`, the file from the folder of its package."""
    module = sys.modules.get(cls.__module__)
    path = getattr(module, "__file__", None) or cls.__module__
    package = sys.modules.get(cls.__module__.partition(".")[0])
    top = getattr(package, "__file__", None)
    if top and package is not module:
        path = os.path.relpath(path, os.path.dirname(os.path.dirname(os.path.abspath(top))))
    try:
        line = ":%d" % inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        line = ""
    return "%s%s: class %s" % (path, line, cls.__qualname__)


def near(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no known word is near."""
    found: List[str] = difflib.get_close_matches(word, list(known), n=1)
    return " (did you mean %r?)" % found[0] if found else ""
