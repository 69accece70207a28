"""Importing a user's file in a worker, with its neighbours, and showing its errors as its own.

Ports of several folders run in one worker, and each may have a neighbour of the same name (`layers.py`): a folder's neighbours
are importable while its own port runs, and put aside while another's does.
"""

import importlib.util
import os
import sys
import traceback
from typing import Any, Dict, List, Set

PREFIX = "harness_target_"


class TargetError(Exception):
    """The user's code raised, could not be imported, or returned what is no result; `detail` shows its own lines."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Neighbours:
    """The modules that lie directly in one port's folder; at most one folder's are importable at a time."""

    def __init__(self) -> None:
        self._folder = ""
        self._on_path = False
        self._before: Set[str] = set()
        self._aside: Dict[str, Dict[str, Any]] = {}

    def enter(self, folder: str) -> None:
        """Make a folder's neighbours importable; what it has imported before comes back, another's goes aside."""
        if folder == self._folder:
            return
        if not self._folder:
            # What this process had before the first port is nobody's neighbour, wherever it lies.
            self._before = {name.partition(".")[0] for name in sys.modules}
        else:
            mine = self._mine()
            for name in mine:
                del sys.modules[name]
            self._aside[self._folder] = mine
            if self._on_path and self._folder in sys.path:
                sys.path.remove(self._folder)
        self._on_path = folder not in sys.path
        if self._on_path:
            sys.path.insert(0, folder)
        sys.modules.update(self._aside.pop(folder, {}))
        self._folder = folder

    def _mine(self) -> Dict[str, Any]:
        """What was imported from the folder, by name, with all that lies below its packages."""
        tops = {name.partition(".")[0] for name in sys.modules} - self._before
        own = {
            top
            for top in tops
            if not top.startswith(PREFIX) and self._folder in homes(sys.modules.get(top))
        }  # fmt: skip
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in own}


def homes(module: Any) -> List[str]:
    """The folders that a top-level module or package lies in."""
    paths = list(getattr(module, "__path__", None) or [])
    file = getattr(module, "__file__", None)
    if not paths and isinstance(file, str):
        paths = [file]
    return [os.path.dirname(os.path.abspath(path)) for path in paths]


_NEIGHBOURS = Neighbours()


def load(target: str) -> Any:
    """The function that `file.py:function` names. Raises TargetError with the user's own traceback lines."""
    function = load_object(target)
    if not callable(function):
        file, _, name = target.rpartition(":")
        raise TargetError("%s has no function %r" % (file, name))
    return function


def load_object(target: str) -> Any:
    """What `file.py:name` names, None where the file has no such name; it is imported. Raises TargetError as `load`."""
    file, _, name = target.rpartition(":")
    _NEIGHBOURS.enter(os.path.dirname(os.path.abspath(file)))
    module_name = PREFIX + "%x" % (hash(os.path.abspath(file)) & 0xFFFFFFFF)
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise TargetError("%s is no Python file" % file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            # No bytecode beside a user's files: it would also hide an edit of the same second and size.
            before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
            try:
                spec.loader.exec_module(module)
            finally:
                sys.dont_write_bytecode = before
        except BaseException as error:
            del sys.modules[module_name]
            raise TargetError("%s cannot be imported: %s" % (file, said(error, file)), own_lines(error, file))
    return getattr(module, name, None)


def said(error: BaseException, file: str) -> str:
    """`my_port.py:12: ValueError: …`: the last of the user's own lines, and the error."""
    text = "%s: %s" % (type(error).__name__, error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame[0], file)]
    return "%s:%d: %s" % (os.path.basename(own[-1][0]), own[-1][1], text) if own else text


def own_lines(error: BaseException, file: str) -> str:
    """The traceback without the harness's own lines."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame[0], file)]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    return "".join(lines + traceback.format_exception_only(type(error), error))


def _is_users(frame_file: str, file: str) -> bool:
    return os.path.abspath(frame_file).startswith(os.path.dirname(os.path.abspath(file)) + os.sep)
