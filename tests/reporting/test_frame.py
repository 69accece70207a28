import numpy as np
import pandas as pd
import pytest

from harness.reporting.frame import frame
from harness.reporting.rows import COLUMNS, FIGURES
from harness.reporting.store import read
from harness.reporting.verdicts import ORDER
from tests.reporting import fakes


@pytest.fixture
def table(tmp_path):
    return read(fakes.store(tmp_path, *fakes.small_run())).frame()


def test_columns_and_types(table):
    assert tuple(table.columns) == COLUMNS
    for column in COLUMNS:
        if column in FIGURES:
            assert table[column].dtype == np.float64
        elif column != "verdict":
            assert table[column].dtype == "string"
            assert not table[column].isna().any()


def test_an_empty_frame_has_the_same_columns_and_types(table):
    assert frame([]).dtypes.to_dict() == table.dtypes.to_dict()


def test_sorting_by_verdict_puts_the_worst_first(table):
    found = list(dict.fromkeys(table.sort_values("verdict")["verdict"]))
    assert found == [str(verdict) for verdict in ORDER]


def test_it_says_what_the_csv_says(table, tmp_path):
    stored = pd.read_csv(
        tmp_path / "results.csv",
        dtype={"seed": str},
        keep_default_na=False,
        na_values={column: [""] for column in FIGURES},
    )
    for column in FIGURES:
        np.testing.assert_array_equal(table[column].to_numpy(), stored[column].to_numpy(dtype=float))
    for column in ("case", "variant", "seed", "name", "check", "verdict", "cause", "where"):
        assert table[column].astype(str).tolist() == stored[column].tolist()


def test_variant_is_text(table):
    assert set(table["variant"]) == {"rate=0.5", ""}
