"""Tracebacks as they may be stored and published.

Imported by workers: Python 3.6 syntax.
"""

import os
import sys
from pathlib import Path


def placeless(text: str) -> str:
    """A traceback without the folders of this machine."""
    package = str(Path(__file__).absolute().parent.parent)
    for folder in sorted({package, sys.prefix, sys.base_prefix}, key=len, reverse=True):
        text = text.replace(folder + os.sep, "")
    return text
