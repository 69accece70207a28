"""docs/cases.md: every example loads, every key is explained, every default is what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.cases import load
from harness.cases.schema import FILLS, CaseFile, ExpectEntry, FillEntry
from harness.layers.base import DropoutSpec, kinds

PAGE = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml case\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 9
    assert PAGE.count("```yaml") == len(EXAMPLES)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((5, 7, 3)))
    np.savez("weights.npz", kernel=np.ones((3, 8)), recurrent_kernel=np.ones((2, 8)), bias=np.zeros(8))
    Path("my_port.py").write_text("raise SystemExit('loading runs nothing')\n")
    return tmp_path


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_loads(number: int, beside: Path) -> None:
    Path("case.yaml").write_text(EXAMPLES[number])
    assert load(["case.yaml"])


def test_the_ids_are_the_ones_shown(beside: Path) -> None:
    Path("case.yaml").write_text(EXAMPLES[1])
    assert "\n".join(variant.id for variant in load(["case.yaml"])) in PAGE
    (matrix,) = (example for example in EXAMPLES if "include:" in example)
    Path("case.yaml").write_text(matrix)
    found = load(["case.yaml"])
    assert f"`{found[0].id}`" in PAGE
    assert len(found) == 7


def rows(section: str) -> dict[str, str]:
    """First and second cell of the first table after a heading."""
    table = PAGE.split(section, 1)[1].split("|---", 1)[1].split("\n\n", 1)[0]
    cells = [line.split(" | ") for line in table.splitlines()[1:]]
    return {cell[0].strip("| `"): cell[1] for cell in cells}


def test_every_key_is_explained_with_its_default() -> None:
    table = rows("\n## Keys\n")
    assert list(table) == list(CaseFile.model_fields)
    for name, field in CaseFile.model_fields.items():
        if field.is_required():
            assert table[name] == "required"
        elif name in ("weights", "matrix", "environment", "predict"):
            assert field.default is None
        else:
            default = field.get_default(call_default_factory=True)
            shown = table[name].strip("`")
            assert shown == (default if isinstance(default, str) else json.dumps(default).removesuffix(".0")), name


def test_every_dropout_setting_and_expectation_is_explained() -> None:
    assert list(rows("\n### dropout\n")) == list(DropoutSpec.model_fields)
    assert list(rows("\n### expect\n")) == list(ExpectEntry.model_fields)


def test_every_fill_is_explained_with_its_settings() -> None:
    table = rows("**A fill**")
    shown = {name: cell for key, cell in table.items() for name in key.replace("`", "").split(", ")}
    assert list(shown) == list(FILLS)
    for name, settings in FILLS.items():
        told = dict(re.findall(r"`(\w+)` \(([-\d.]+)\)", shown[name]))
        assert {key: float(value) for key, value in told.items()} == {
            key: float(FillEntry.model_fields[key].default) for key in settings
        }


def test_every_layer_kind_is_named() -> None:
    cell = PAGE.split("| `layer` |", 1)[1].split("\n", 1)[0]
    assert [name for name in kinds() if f"`{name}`" not in cell] == []
