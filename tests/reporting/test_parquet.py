"""Parquet: the same table as the data frame, and a clear word where pyarrow is missing."""

import importlib.util

import pytest

from harness.cli import main
from tests.reporting import fakes

HERE = importlib.util.find_spec("pyarrow") is not None


@pytest.fixture
def folder(tmp_path):
    fakes.store(tmp_path / "run", *fakes.small_run())
    return tmp_path / "run"


@pytest.mark.skipif(not HERE, reason="pyarrow is not installed")
def test_it_is_the_table(folder, tmp_path):
    import pandas as pd

    from harness.reporting.store import read

    assert main(["report", str(folder), "--format", "parquet", "--output", str(tmp_path / "t.parquet")]) == 0
    found = pd.read_parquet(tmp_path / "t.parquet")
    table = read(folder).frame()
    pd.testing.assert_frame_equal(found, table, check_dtype=False, check_categorical=False)
    assert found["verdict"].astype(str).tolist() == table["verdict"].astype(str).tolist()
    assert (found["measured"].dtype, found["limit"].dtype) == ("float64", "float64")


def test_without_pyarrow_it_says_what_to_install(folder, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pyarrow" else real(name, *rest)
    )
    assert main(["report", str(folder), "--format", "parquet"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "pip install 'parity-harness[parquet]'" in err
