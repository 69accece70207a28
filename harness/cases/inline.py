"""A case given as a mapping in Python instead of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.cases.building import Builder
from harness.cases.document import parse
from harness.cases.loading import display_name
from harness.errors import UserError
from harness.records import Variant


def from_mapping(case: Mapping[str, Any], *, name: str = "inline", folder: str | Path = ".") -> list[Variant]:
    """The variants of a case that is given as a mapping, keys and values as in a case file.

    NumPy arrays and paths may stand in it too. `name` is what ids and messages call it; `folder` is where its files (arrays,
    targets) are seen from. Raises UserError with every problem; places are lines of the case as JSON, one value a line.
    """
    try:
        text = json.dumps(case, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: cannot be written as a case file: {error}") from None
    builder = Builder(parse(text + "\n", name), display_name(Path(folder)))
    variants = list(builder.variants())
    if builder.problems:
        raise UserError(builder.problems)
    return variants


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is no value of a case file")
