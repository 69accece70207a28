"""`harness pair`: what it prints, how it exits, and that bad input is a line."""

import textwrap

import pytest

from harness.cli import main

pytest.importorskip("torch")

MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.fc = nn.Linear(5, 4)
        self.drop = nn.Dropout(RATE)

    def forward(self, x):
        return self.drop(torch.tanh(self.fc(x)))

def raises(x):
    raise ValueError("not today")
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text(MODEL.replace("RATE", "0.25"))
    (tmp_path / "b.py").write_text(MODEL.replace("RATE", "0.5"))
    (tmp_path / "odd.py").write_text("def f(:\n")
    (tmp_path / "plain.py").write_text("def f(x):\n    return x\n")
    monkeypatch.chdir(tmp_path)


def run(capsys, *words):
    code = main(["pair", *words])
    return code, capsys.readouterr()


@pytest.mark.usefixtures("files")
def test_a_model_is_itself_and_another_rate_is_a_difference(capsys):
    code, said = run(capsys, "a.py:Net", "a.py:Net", "--input", "x=3,5", "--seed", "0")
    assert (code, said.err) == (0, "")
    assert said.out.startswith("✓ a.py:Net computes what a.py:Net computes: evaluation and training, 1 draws replayed")
    code, said = run(capsys, "a.py:Net", "b.py:Net", "--input", "x=3,5", "--seed", "0")
    assert code == 1
    assert "only in the second: decision (3, 4) p=0.5 at drop, b.py:13: p = 0.5 where the first has 0.75" in said.out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a.py:Nett", "b.py:Net"], "error: a.py: no 'Nett' at the top of the file (did you mean 'Net'?)"),
        (["c.py:Net", "b.py:Net"], "error: c.py: there is no such file"),
        (["plan.py:f", "b.py:Net"], "error: plan.py: there is no such file (did you mean 'plain.py'?)"),
        (["trch:a.py:Net", "b.py:Net"], "error: trch:a.py: there is no such file (did you mean 'torch'?)"),
        (["a.py", "b.py:Net"], "error: 'a.py' is no program: it is written file.py:name"),
        (["odd.py:f", "b.py:Net"], "error: odd.py:1:7: is no Python: invalid syntax"),
        (["plain.py:f", "b.py:Net"], "error: plain.py: imports none of jax, torch, tensorflow"),
        (["a.py:Net", "b.py:Net", "--input", "x=3;5"], "error: --input x=3;5: '3;5' is no shape such as 4,9"),
        (["a.py:Net", "b.py:Net", "--input", "x=3:norml"], "unknown fill 'norml' (did you mean 'normal'?)"),
        (["a.py:Net", "a.py:raises", "--input", "x=3,5"], 'raise ValueError("not today")'),
        (["a.py:Net", "a.py:Net"], "takes (x); the inputs are: none"),
        (["a.py:Net", "a.py:Net", "--input", "x=3,4"], "mat1 and mat2 shapes cannot be multiplied"),
    ],
)  # fmt: skip
def test_bad_input_is_a_line_and_exit_4(capsys, words, line):
    code, said = run(capsys, *words)
    assert code == 4
    assert line in said.err
    assert "harness/" not in said.err and said.out == ""


@pytest.mark.usefixtures("files")
def test_json(capsys):
    import json

    code, said = run(capsys, "a.py:Net", "a.py:Net", "--input", "x=3,5", "--seed", "0", "--json")
    found = json.loads(said.out)
    assert code == 0 and found["passed"] and found["parts"][1]["paired"] == [[[0], 0, False]]
    assert textwrap.shorten(found["parts"][1]["draws"]["first"][0]["place"], 20) == "a.py:13"
