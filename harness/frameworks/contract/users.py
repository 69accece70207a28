"""Where in the user's own code something happens: the innermost line that is neither a library's nor the harness's."""

import linecache
import os
import sys
import sysconfig
import traceback
from types import CodeType, FrameType
from typing import Any, Dict, List, Optional, Tuple

_HARNESS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_OUTSIDE = tuple(
    os.path.abspath(path) + os.sep
    for path in {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_KNOWN: Dict[CodeType, bool] = {}


def is_users(file: str) -> bool:
    """Whether a source file is the user's: not the harness's, no library's, and a file at all."""
    if file.startswith("<"):
        return False
    path = os.path.abspath(file)
    return not path.startswith((_HARNESS, *_OUTSIDE)) and (os.sep + "site-packages" + os.sep) not in path


def line(frame: Optional[FrameType] = None) -> Tuple[str, str]:
    """(`file:line`, the line's text) of the innermost frame of the user's code; two empty texts where there is none."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        known = _KNOWN.get(code)
        if known is None:
            known = _KNOWN[code] = is_users(code.co_filename)
        if known:
            return place(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return "", ""


def place(file: str, number: int) -> Tuple[str, str]:
    """A line as it is shown: the file's name with its number, and the text."""
    return "%s:%d" % (os.path.basename(file), number), linecache.getline(file, number).strip()


def said(error: BaseException) -> str:
    """`my_model.py:12: ValueError: …`: the innermost of the user's own lines, and the error."""
    text = "%s: %s" % (type(error).__name__, str(error).strip() or "no message")
    own = _frames(error)
    return "%s:%d: %s" % (os.path.basename(own[-1][0]), own[-1][1], text) if own else text


def own_lines(error: BaseException) -> str:
    """The traceback without the lines of libraries and of the harness."""
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(_frames(error))]
    return "".join(lines + traceback.format_exception_only(type(error), error))


def _frames(error: BaseException) -> List[Any]:
    return [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame[0])]
