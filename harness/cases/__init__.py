"""Case files: reading them with positions, checking them, expanding their matrix, making their arrays."""

from typing import Any

from harness.cases.filling import materialise, numpy_dtype, recorded_arrays
from harness.cases.loading import from_text, iterate, load, load_one

__all__ = ["from_text", "iterate", "json_schema", "load", "load_one", "materialise", "numpy_dtype", "recorded_arrays"]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a case file; see harness.cases.export."""
    from harness.cases import export  # seldom wanted

    return export.json_schema()
