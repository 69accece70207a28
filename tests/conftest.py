"""What all tests share: helpers of one folder may be used by another's tests."""

from __future__ import annotations

import sys
from pathlib import Path

HELPERS = ("comparison",)
sys.path[:0] = [str(Path(__file__).parent / name) for name in HELPERS]
