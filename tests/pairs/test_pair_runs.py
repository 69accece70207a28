"""Pairs of programs in a run: planned, stored, drawn, explained, gated and collected by pytest as every case is."""

import json
import os
import re
import subprocess
import sys

import pytest

import harness
from harness.cli import main
from harness.pairs import rows
from harness.pairs.judging import PairRow
from harness.records import Verdict
from harness.reporting.store import read

pytest.importorskip("torch")

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.fc = nn.Linear(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.25)

    def forward(self, x):
        return {"y": self.drop(self.norm(torch.tanh(self.fc(x))))}
"""
#: What is planted in the port: (old, new, the rows that fail, what their cause says, a row that is not asked and why).
FAULTS = {
    "dropped twice": (
        "self.drop(self.norm(", "self.drop(0.75 * self.norm(", ["eval.value.y"], "0.75", ("value.y", "evaluation differs"),
    ),
    "no scale": (
        'self.drop(self.norm(torch.tanh(self.fc(x))))',
        'self.norm(torch.tanh(self.fc(x))) * (torch.rand(x.shape[0], 4) < 0.75 if self.training else 1.0)',
        ["value.y"], "not divided by the keep probability 0.75", None,
    ),
    "another rate": (
        "Dropout(0.25)", "Dropout(0.5)", ["draws.paired"], "0.5", ("value.y", "the draws do not pair"),
    ),
    "another momentum": (
        "BatchNorm1d(4)", "BatchNorm1d(4, momentum=0.3)", ["state.norm.running_mean"], "momentum", None,
    ),
}  # fmt: skip
CASE = """about: Is the port the model?
reference: {name: model, framework: torch, target: "model.py:Net"}
backends:
  - {name: port, framework: torch, target: "port.py:Net"}
inputs: {x: {shape: [6, 5], fill: normal, seed: 1}}
seeds: [0, 1]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "port.py").write_text(MODEL)
    (tmp_path / "case.yaml").write_text(CASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *words):
    code = main(["run", "case.yaml", "--out", "out", *words])
    return code, {row.check: row for row in read("out").rows()}, capsys.readouterr()


def test_a_right_port_passes_row_by_row(capsys, folder):
    code, found, said = run(capsys)
    assert code == 0, said.out
    assert {row.verdict for row in found.values()} == {Verdict.PASS}
    weights = [f"gradient.weight/{name}" for name in ("fc.weight", "fc.bias", "norm.weight", "norm.bias")]
    assert set(found) >= {"draws.paired", "value.y", "eval.value.y", "state.norm.running_var", *weights}
    # Of both seeds one row, with the worse of the two; evaluation draws nothing and is called once.
    assert (found["value.y"].seed, found["draws.paired"].note) == ("0,1", "1 pair")
    assert found["value.y"].limit > found["value.y"].measured >= 0.0
    assert found["value.y"].layer == "programs" and found["value.y"].version.startswith("torch ")
    # What is kept by a resumed run is the same.
    code, again, said = run(capsys, "--resume")
    assert code == 0 and "1 of 1 cases are kept" in said.err and again == found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_port_fails_with_its_cause_and_its_place(capsys, folder, fault):
    old, new, wrong, words, unasked = FAULTS[fault]
    assert MODEL.count(old) == 1
    (folder / "port.py").write_text(MODEL.replace(old, new))
    code, found, said = run(capsys)
    assert code == 1
    failed = [row for row in found.values() if row.verdict is Verdict.FAIL]
    assert set(wrong) <= {row.check for row in failed}
    assert all(words in row.diagnosis for row in failed), failed
    assert f"fail  port: {failed[0].diagnosis}" in said.out
    if unasked is not None:
        check, why = unasked
        assert (found[check].verdict, found[check].cause) == (Verdict.UNSUPPORTED, f"not asked, since {why}") or (
            found[check].cause.startswith(f"not asked, since {why}")
        )
    # The stored run has what `harness pair` says, and `explain` gives it again without calling anything.
    (folder / "port.py").unlink()
    assert main(["explain", "out"]) == 0
    told = capsys.readouterr().out
    assert "as the run stored it" in told and "✕ port d" in told and failed[0].diagnosis in told
    drawn = [one["charts"]["programs"] for one in read("out").charts()]
    assert [(one["first"], one["second"]) for one in drawn] == [("model", "port")]
    if fault == "no scale":
        lines = drawn[0]["operations"]
        assert [kind for kind, *_ in lines].count("parts") == 1
        assert ["agrees", "fc addmm (6, 4) model.py:15", "fc addmm (6, 4) port.py:15", "", ""] in lines
        assert (
            drawn[0]["draws"][0][2] in ("", "the other way round")
            and "p=0.75 at drop, model.py:15" in drawn[0]["draws"][0][0]
        )


@pytest.mark.slow
def test_a_known_difference_is_known_until_it_is_gone(capsys, folder):
    (folder / "port.py").write_text(MODEL.replace("BatchNorm1d(4)", "BatchNorm1d(4, momentum=0.3)"))
    (folder / "case.yaml").write_text(
        CASE + "expect:\n  - {backend: port, check: state.norm.running_*, reason: Another convention.}\n"
    )
    code, found, _ = run(capsys)
    assert code == 0
    known = {name for name, row in found.items() if row.verdict is Verdict.KNOWN}
    assert {"state.norm.running_mean", "state.norm.running_var"} <= known
    (folder / "port.py").write_text(MODEL)
    code, found, _ = run(capsys)
    assert code == 1 and found["state.norm.running_mean"].verdict is Verdict.UNEXPECTED_PASS


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seeds: [0, 1]", 'expect: [{check: "valu.y", reason: no}]', "case.yaml:6:18: expect.0.check: 'valu.y' is no check"),
        ("seeds: [0, 1]", "expect: [{backend: prot, reason: no}]", "'prot' is no backend of this case (did you mean 'port'?)"),
        ("seeds: [0, 1]", "timeout: 0", "case.yaml:6:10: timeout: must be"),
        ("  - {", "  - {name: port, target: 'port.py:Net'}\n  - {", "case.yaml:5:12: backends.1.name: 'port' stands twice"),
    ],
)  # fmt: skip
def test_a_bad_case_is_told_before_anything_runs(capsys, folder, old, new, line):
    (folder / "case.yaml").write_text(CASE.replace(old, new))
    for command in ("run", "validate", "list"):
        assert main([command, "."]) == 4
        assert line in capsys.readouterr().err
    assert not (folder / "reports").exists()


#: A program's body -> the verdict on it, and its words.
ODD = {
    "raise ValueError('not today')": (Verdict.ERROR, "ValueError: not today"),
    "import os; os._exit(3)": (Verdict.CRASH, "the worker ended with exit status 3"),
    "return 'text'": (Verdict.ERROR, "returned no array"),
}


def test_a_program_that_gives_nothing_costs_its_own_comparison(capsys, folder):
    text = CASE
    for number, body in enumerate(ODD):
        (folder / f"odd{number}.py").write_text(f"import torch\n\n\ndef run(x):\n    {body}\n")
        entry = f'  - {{name: odd{number}, framework: torch, target: "odd{number}.py:run"}}\n'
        text = text.replace("inputs:", entry + "inputs:")
    (folder / "case.yaml").write_text(text)
    assert main(["run", "case.yaml", "--out", "out"]) == 1
    stored = read("out")
    for number, (verdict, words) in enumerate(ODD.values()):
        found = [row for row in stored.rows() if row.name == f"odd{number}"]
        assert [(row.check, row.verdict) for row in found] == [("run.completes", verdict)]
        assert words in found[0].cause and not found[0].cause.startswith(f"odd{number}: ")
        assert found[0].implementation == f"odd{number}.py:run"
    assert {row.verdict for row in stored.rows() if row.name == "port"} == {Verdict.PASS}
    assert "raise ValueError('not today')" in stored.cases[0]["details"][0]["text"]
    assert "Traceback" not in capsys.readouterr().err


def test_a_program_that_takes_too_long_is_ended(folder):
    (folder / "port.py").write_text(MODEL + "\n\nimport time\n\ntime.sleep(60)\n")
    (folder / "case.yaml").write_text(CASE.replace("model.py", "port.py") + "timeout: 1\n")
    (row,) = harness.run("case.yaml").rows
    assert (row.check, row.verdict) == ("run.completes", Verdict.TIMEOUT)
    assert row.cause.startswith("model: "), "the believed one is named: it is not the row's own"


def test_what_is_missing_is_a_row_and_exit_10(capsys, folder, monkeypatch):
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(folder / "none"))
    text = CASE.replace('target: "port.py:Net"', 'target: "port.py:Net", environment: tf1.8').replace(
        "port, framework: torch", "port, framework: tensorflow"
    )
    (folder / "case.yaml").write_text(text)
    code, found, said = run(capsys)
    assert code == 10
    assert [(row.check, row.verdict) for row in found.values()] == [("backend.available", Verdict.ERROR)]
    assert "harness env create tf1.8" in said.out


def test_an_error_of_ours_is_an_internal_row_and_exit_3(capsys, folder, monkeypatch):
    from harness.pairs import case

    def broken(*_rest, **_options):
        raise IndexError("planted")

    monkeypatch.setattr(case, "compare", broken)
    code, found, _ = run(capsys)
    assert code == 3
    assert [(row.check, row.internal) for row in found.values()] == [("run.internal", True)]


@pytest.mark.slow
def test_a_baseline_tells_what_is_new(capsys, folder):
    assert run(capsys)[0] == 0
    assert main(["baseline", "update", "out", "--baseline", "baseline.txt", "--in-ci"]) == 0, capsys.readouterr().err
    (folder / "port.py").write_text(MODEL.replace("Dropout(0.25)", "Dropout(0.5)"))
    capsys.readouterr()
    assert run(capsys)[0] == 1
    assert main(["gate", "out", "--baseline", "baseline.txt"]) == 1
    assert "draws.paired" in capsys.readouterr().out


@pytest.mark.slow
def test_from_python(folder):
    result = harness.run("case.yaml")
    assert result.exit_code == 0 and {row.layer for row in result.rows} == {"programs"}
    (folder / "port.py").write_text(MODEL.replace("Dropout(0.25)", "Dropout(0.5)"))
    with pytest.raises(AssertionError, match=r"0\.5"):
        harness.assert_parity("case.yaml")
    assert harness.run("case.yaml", backend="other*").exit_code == 5


def test_pytest_collects_it(folder):
    (folder / "port.py").write_text(MODEL.replace("Dropout(0.25)", "Dropout(0.5)"))
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "COLUMNS": "200"}
    words = ["-p", "harness.pytest_plugin", "-p", "no:cacheprovider", "case.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert re.search(r"^FAILED case.yaml::port - .*0\.5", done.stdout, re.MULTILINE), done.stdout


def test_programs_are_not_imported_before_there_is_a_pair(folder):
    """A run of known layers does not pay for pairs."""
    (folder / "plain.yaml").write_text(
        "about: None.\nlayer: dropout\nconfig: {rate: 0.5}\ninputs: {x: {shape: [3, 4], fill: ones}}\nbackends: [numpy]\n"
    )
    code = (
        "import sys; from harness.cli import main; main(['run', 'plain.yaml', '--quiet']); "
        "print([name for name in sys.modules if name.startswith('harness.pairs')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1].replace("'", '"')) == []


@pytest.mark.parametrize(
    "pattern", ["*", "draws.*", "value.y", "eval.value.?", "gradient.weight/*", "e*", "run.completes", "state.*"]
)
def test_patterns_that_a_row_could_match(pattern):
    assert rows.possible(pattern)


@pytest.mark.parametrize("pattern", ["valu.y", "eval.y", "mask.*", "value", "gradients.x", "draws"])
def test_patterns_that_no_row_could_match(pattern):
    assert not rows.possible(pattern)


def test_an_ill_conditioned_output_is_no_pass():
    row = PairRow("y", "y", 0.5, 1.0, 0.125, (0,), "first", ill_conditioned=True)
    assert rows._compared("value.y", row, "0", "output").verdict is Verdict.ILL_CONDITIONED
    # A gradient that is zero but for rounding is an ordinary thing.
    gradient = rows._compared("gradient.b", row, "0", "gradient")
    assert gradient.verdict is Verdict.PASS and "ill-conditioned" in gradient.note


def test_operations_stand_in_both_programs_order():
    import numpy as np

    from harness.pairs import picture
    from harness.pairs.divergence import Parting

    # The first's 1 has its value late in the second, which would cross all that follow.
    parting = Parting((3, 2), 4, 3, 9.0, 0.1, np.array([0, 5, 1, 2, -1, -1]))
    assert picture._before(parting) == [
        ("agrees", 0, 0),
        ("agrees", 1, None),
        ("agrees", 2, 1),
        ("agrees", 3, 2),
        ("parts", 4, 3),
    ]
    assert picture._after(parting, 6, 7) == [("alone", 5, 4), ("alone", None, 5), ("alone", None, 6)]
