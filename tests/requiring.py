"""HARNESS_REQUIRE: what must be here, so that no test is left out in silence where CI is to have run it.

    HARNESS_REQUIRE="chromium torch tensorflow jax pyarrow tf1.8"

A word is a command, a package or a named environment. Where one is missing nothing runs; and a test that is left out for a reason
that names one fails.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Sequence

#: Other names that a program goes by.
COMMANDS = {"chromium": ("chromium", "chromium-browser", "google-chrome")}


def required() -> list[str]:
    """The words of the variable."""
    return (
        re.split(r"[,\s]+", os.environ.get("HARNESS_REQUIRE", "").strip(", "))
        if os.environ.get("HARNESS_REQUIRE")
        else []
    )


def absent(words: Sequence[str]) -> list[str]:
    """Those that are not here."""
    return [word for word in words if not _here(word)]


def named(reason: str, words: Sequence[str]) -> str:
    """The first of the words that a reason names as missing, or "": "no Chromium", "could not import 'torch'"."""
    if not re.search(r"\b(?:no|not|needs|missing|without)\b", reason, re.IGNORECASE):
        return ""
    return next((one for one in words if re.search(rf"(?<![\w.]){re.escape(one)}(?!\w|\.\d)", reason, re.I)), "")


def _here(word: str) -> bool:
    from harness.environments import descriptions, resolve

    if word in descriptions():
        return resolve(word) is not None
    if word in COMMANDS:
        return any(map(shutil.which, COMMANDS[word]))
    try:
        return importlib.util.find_spec(word) is not None or shutil.which(word) is not None
    except ModuleNotFoundError:
        return False
