"""Pair cases: those that are shipped pass, planted faults are caught, a bad file is told with its places; docs/pairs.md."""

import importlib.util
import linecache
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.cli import main
from harness.pairs import report

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
BLOCK = ROOT / "cases" / "pairs"

#: What is changed in the port's text, the mode that shows it, what the report must say.
FAULTS = [
    ("norm2 = nn.LayerNorm(width, eps=1e-5)", "norm2 = nn.LayerNorm(width, eps=1e-6)", "evaluation", "epsilon"),
    (
        "0.5 * h * (1.0 + torch.erf(h / math.sqrt(2.0)))",
        'torch.nn.functional.gelu(h, approximate="tanh")',
        "evaluation",
        "gelu",
    ),
    (
        "dropout(scores.softmax(-1), 0.1, self.training)",
        "dropout(scores, 0.1, self.training).softmax(-1)",
        "training",
        "port.py:12",
    ),
    ("torch.rand(x.shape[0]) >= self.rate", "torch.rand(1) >= self.rate", "training", "one draw for the whole batch"),
    ("x / (1.0 - rate), torch", "x, torch", "training", "not divided by the keep probability"),
    ("    if not training:\n        return x\n", "", "evaluation", "always on"),
    ("math.sqrt(width // self.heads)", "math.sqrt(width)", "evaluation", "port.py:29"),
    (
        "h = dropout(h, 0.2, self.training)",
        "h = dropout(h, 0.8, self.training)",
        "training",
        "keeps with probability 0.2 where the first keeps with 0.8",
    ),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(BLOCK, tmp_path / "pairs", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "pairs")
    return tmp_path / "pairs"


def run(capsys, *words):
    code = main(["pair", *words])
    return code, capsys.readouterr()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("case", sorted(file.name for file in BLOCK.glob("*.yaml")))
def test_shipped_pairs_are_right(capsys, case):
    code, said = run(capsys, case)
    assert (code, said.err) == (0, ""), said.out


def module(file, name):
    spec = importlib.util.spec_from_file_location(name, file)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(("old", "new", "mode", "words"), FAULTS)
def test_planted_faults_are_caught(folder, old, new, mode, words):
    file = folder / "block" / "port.py"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    linecache.checkcache()
    original, port = module(folder / "block" / "original.py", "original"), module(file, "port")
    tokens = {"tokens": np.random.RandomState(1).randint(0, 49, (5, 6))}
    result = harness.pair(
        original.build(), port.Port(), inputs=tokens, seeds=[0], gradients=False, weights=port.convert
    )
    lines = report.lines(result)
    assert not result.passed
    assert f"in {mode}" in lines[0]
    assert words in "\n".join(lines), lines


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("original, framework: torch", "original, framework: troch", "block.yaml:2:40: reference.framework: must be one of"),
        ("original.py:build", "original.py:biuld", "no 'biuld' at the top of the file (did you mean 'build'?)"),
        ("block/port.py:convert", "block/portt.py:convert", "backends.0.weights: there is no such file"),
        ("low: 0", "lwo: 0", "inputs.tokens.lwo: "),
        ("seeds: [0]", "seeds: []", "block.yaml:6:8: seeds: must not be empty"),
        ("backends:", "backend:", "unknown key (did you mean 'backends'?)"),
    ],
)  # fmt: skip
def test_a_bad_case_is_told_with_its_place(capsys, folder, old, new, line):
    file = folder / "block.yaml"
    file.write_text(file.read_text().replace(old, new))
    code, said = run(capsys, "block.yaml")
    assert code == 4 and said.out == ""
    assert line in said.err


@pytest.mark.parametrize("command", ["power", "profile"])
@pytest.mark.usefixtures("folder")
def test_commands_of_known_layers_say_that_a_pair_is_none(capsys, command):
    assert main([command, "block.yaml"]) == 4
    assert (
        "block.yaml: is a pair of programs, which this command cannot take: harness run block.yaml"
        in capsys.readouterr().err
    )
    assert main([command, "."]) == 5


def test_the_page_begins_with_an_example_that_does_what_it_says(capsys, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "pairs.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^```python (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    console = re.search(r"^```console\n\$ harness pair ([^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    code, said = run(capsys, *console[1].split())
    assert code == 1, said
    printed = said.out.splitlines()
    for wanted, line in zip(console[2].splitlines(), printed, strict=False):
        assert line.startswith(wanted.rstrip("… ").rstrip()), (wanted, line)
