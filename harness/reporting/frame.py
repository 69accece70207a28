"""The one table as a pandas DataFrame. pandas is imported when a frame is made, never before."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.records import Row
from harness.reporting.rows import COLUMNS, FIGURES
from harness.reporting.verdicts import ORDER

if TYPE_CHECKING:
    import pandas as pd


def frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a DataFrame: columns as in `COLUMNS`, row order kept.

    Text columns are strings (never missing), `measured`, `limit`, `seconds` and `comparison_seconds` float64 (NaN where there is
    no figure), `verdict` a category ordered from the worst, `pass` being the greatest, so that sorting by it puts first what
    needs a look. `variant` is "rate=0.5 dtype=float32". An empty run has the same columns and types.
    """
    import pandas as pd

    columns: dict[str, list[object]] = {column: [] for column in COLUMNS}
    for row in rows:
        for column, value in row.flat().items():
            columns[column].append(value)
    verdicts = pd.CategoricalDtype([str(verdict) for verdict in ORDER], ordered=True)
    series: dict[str, pd.Series[Any]] = {}
    for column, values in columns.items():
        if column in FIGURES:
            series[column] = pd.Series([float("nan") if v is None else v for v in values], dtype="float64")
        elif column == "verdict":
            series[column] = pd.Series(pd.Categorical(values, dtype=verdicts))
        else:
            series[column] = pd.Series([str(value) for value in values], dtype="string")
    return pd.DataFrame(series, columns=list(COLUMNS))


def parquet(rows: Iterable[Row]) -> bytes:
    """The same table as a Parquet file, `verdict` as a dictionary. Raises UserError where pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError("Parquet needs pyarrow: pip install 'parity-harness[parquet]'")
    buffer = io.BytesIO()
    frame(rows).to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()
