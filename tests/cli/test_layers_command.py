"""`harness layers` and the page that it makes: current, complete, and true to what the kinds accept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.commands.layers import one_kind
from harness.commands.layers_page import page
from harness.frameworks.contract.adapter import implementations
from harness.layers._described import LETTERS, SIZES
from harness.layers.base import kinds

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
KINDS = sorted(kinds())


def whole() -> str:
    return page([one_kind(name) for name in KINDS])


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == whole(), "harness layers --markdown --output docs/layers.md"


def test_another_default_is_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = implementations()["torch", "lstm", "torch.nn.LSTM"].adapter
    before = whole()
    monkeypatch.setattr(adapter, "options", {**adapter.options, "batch_first": True})
    assert whole() != before


@pytest.mark.parametrize("name", KINDS)
def test_every_setting_and_every_option_is_described(name: str) -> None:
    found = one_kind(name)
    assert [one["name"] for one in found["settings"] if not one["description"].endswith(".")] == []
    options = [option for one in found["implementations"] for option in one["options"]]
    assert [option["name"] for option in options if not option["description"]] == []
    assert {one["name"] for one in found["implementations"]} == {
        i.name for i in implementations().values() if i.layer == name
    }


def _numbers(shape: str) -> tuple[int, ...]:
    sizes = [part.strip() for part in shape.strip("()").split(",") if part.strip()]
    return tuple(int(size) if size.isdigit() else SIZES[size] for size in sizes)


@pytest.mark.parametrize("name", [name for name in KINDS if kinds()[name].input_letters])
def test_the_kind_takes_the_inputs_that_the_page_gives_it_and_no_others(name: str) -> None:
    kind, found = kinds()[name], one_kind(name)
    config = kind.Config(**{one["name"]: SIZES[LETTERS[one["name"]]] for one in found["settings"] if one["required"]})
    shapes = {one["name"]: _numbers(one["shape"]) for one in found["inputs"]}
    kind.check_inputs(config, shapes)
    for wrong in (one["name"] for one in found["inputs"] if not one["required"]):
        with pytest.raises(ValueError, match=wrong):
            kind.check_inputs(config, {**shapes, wrong: (*shapes[wrong], 1)})


def test_what_a_setting_changes_is_said() -> None:
    changes = {one["name"]: one["changes"] for one in one_kind("lstm")["settings"]}
    assert changes["projection"]["with"] == "projection: P"
    assert "weights recurrent_kernel (P, 4H), projection (H, P)" in changes["projection"]["has"]
    assert changes["padding"] == {"with": "padding: zeros", "has": ["input lengths (B,)"]}
    assert changes["forget_bias"] is None
    tied = {one["name"]: one["changes"] for one in one_kind("encoder_decoder")["settings"]}["tied"]
    assert "weights kernel (D, 4H), recurrent_kernel (H, 4H), bias (4H,)" in tied["has"]


def test_environments_are_those_whose_packages_fit() -> None:
    found = {one["name"]: one for one in one_kind("lstm")["implementations"]}
    assert found["tf.contrib.rnn.LSTMCell"]["environments"] == ["tf1.3", "tf1.8"]
    assert found["tf.keras.layers.LSTM"]["environments"] == ["tf1.3", "tf1.8", "tf2.0", "tf2.10"]
    assert found["torch.nn.LSTM"]["environments"] == []


def test_the_command(harness) -> None:
    code, out, _ = harness("layers")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, KINDS)
    code, out, _ = harness("layers", "gru")
    assert code == 0
    assert "recurrent_bias (3H,)" in out
    assert "batch_first=false" in out
    code, out, _ = harness("layers", "gru", "--json")
    assert [one["name"] for one in json.loads(out)["layers"]] == ["gru"]
    code, _, err = harness("layers", "lsmt")
    assert code == 4
    assert "did you mean 'lstm'?" in err
    assert harness("layers", "--markdown", "--json")[0] == 4


def test_the_page_goes_to_a_file(harness, tmp_path: Path) -> None:
    assert harness("layers", "--markdown", "--output", "new/layers.md") == (0, "", "")
    assert (tmp_path / "new" / "layers.md").read_text(encoding="utf-8") == whole()
