"""Manners of the command line towards newcomers, terminals, pipes, disks and shells."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness.cli import make
from harness.commands.guard import guarded
from harness.records import Verdict
from harness.reporting.store import read

ROOT = Path(__file__).parents[2]
GROUP = make()
MASK = ["mask", "--like", "torch.nn.Dropout", "--version", "2.13", "--seed", "7", "--shape", "2,3", "--rate", "0.5"]
#: A command line with --json for every command that has it.
WITH_JSON = [
    ["list", "cases"],
    ["show", "cases/plain.yaml"],
    ["validate", "cases"],
    ["validate", "bad.yaml"],
    ["run", "cases"],
    ["report"],
    ["compare", "reports/latest", "reports/latest"],
    ["history"],
    ["history", "cases"],
    ["merge", "reports/part", "--out", "reports/merged"],
    ["gate"],
    ["baseline", "show"],
    ["explain", "--stored"],
    ["layers"],
    ["profile", "cases/numpy.yaml"],
    ["power", "cases/numpy.yaml"],
    ["pair", "program.py:run", "program.py:run", "--input", "x=2,3"],
    MASK,
    ["mask", "--rules"],
    ["env", "list"],
    ["doctor"],
]


@pytest.fixture
def stored(harness, case, execution, monkeypatch, tmp_path):
    """A run, its history and its baseline, and a shard that is a whole run."""
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "bad.yaml").write_text("layer: dropuot\n", encoding="utf-8")
    assert harness("run", "cases", "--history", "reports/history.sqlite")[0] == 0
    assert harness("run", "cases", "--shard", "1/1", "--out", "reports/part")[0] == 0
    assert harness("baseline", "update")[0] == 0
    return harness


def commands(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, *names, name)
    else:
        yield names, command


# JSON


def test_every_command_with_json_is_looked_at():
    have = {names for names, one in commands(GROUP) if any("--json" in option.opts for option in one.params)}
    assert {
        tuple(words[: len(names)]) for names in have for words in WITH_JSON if tuple(words[: len(names)]) == names
    } == have


@pytest.mark.parametrize("words", WITH_JSON, ids=" ".join)
def test_json_says_what_it_is_and_nothing_else_is_on_stdout(stored, words, tmp_path, monkeypatch):
    if words[0] in ("profile", "power"):
        # These compute; the stand-in for workers does not.
        monkeypatch.setitem(sys.modules, "harness.running", sys.modules["harness.running"].real)
        text = (tmp_path / "cases" / "plain.yaml").read_text().replace("[numpy, {torch: torch.nn.Dropout}]", "[numpy]")
        (tmp_path / "cases" / "numpy.yaml").write_text(text.replace("[0.25, 0.5]", "[0.5]"))
    if words[0] == "pair":
        pytest.importorskip("torch")
        (tmp_path / "program.py").write_text("import torch\n\n\ndef run(x):\n    return torch.tanh(x)\n")
    code, out, _ = stored(*words, "--json")
    assert code == (4 if "bad.yaml" in words else 0)
    value = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert re.fullmatch(r"parity-harness [a-z]+", value["format"])
    assert value["version"] == (2 if value["format"] == "parity-harness summary" else 1)
    assert out.isascii()


# Typing errors


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["run", "cass"], "no such file or folder (did you mean 'cases'?)"),
        (["run", "cases/plian.yaml"], "did you mean 'plain.yaml'?"),
        (["show", "cases/plain.yml"], "did you mean 'plain.yaml'?"),
        (["run", "nothing/at/all.yaml"], "no such file or folder"),
        (["baseline", "updat"], "Did you mean 'update'?"),
        (["gate", "--today", "tomorrow"], "does not match the format '%Y-%m-%d'"),
    ],
)
def test_a_typing_error_is_met_with_the_nearest_name(harness, case, words, hint):
    code, out, err = harness(*words)
    assert (code, out) == (4, "")
    assert hint in err


def test_a_backend_that_no_case_has_is_told_whatever_else_is_run(harness, case, execution):
    code, _, err = harness("run", "cases", "--backend", "torch.nn.Dropuot")
    assert code == 5
    assert (
        "--backend 'torch.nn.Dropuot' names no implementation of these cases (did you mean 'torch.nn.Dropout'?)" in err
    )
    assert "nothing selected: no case of cases with --backend 'torch.nn.Dropuot'" in err
    code, _, err = harness("run", "cases", "--backend", "numpy", "--backend", "jax")
    assert code == 0
    assert err.splitlines()[:-1] == ["--backend 'jax' names no implementation of these cases"]
    assert harness("run", "cases", "--backend", "torch.nn.*", "--backend", "numpy", "-q")[2] == ""
    assert "with -k 'lstm' --last-failed" in harness("run", "cases", "-k", "lstm", "--last-failed")[2]


# Terminals


@pytest.fixture
def terminal(monkeypatch, case, tmp_path):
    """Run the command line at a terminal of some columns: (exit code, what was seen)."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    import struct

    def see(columns, *words, **variables):
        host, guest = pty.openpty()
        fcntl.ioctl(guest, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        removed = {"NO_COLOR", "COLUMNS", "FORCE_COLOR", "TERM"}
        known = {name: text for name, text in os.environ.items() if name not in removed}
        env = known | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | variables
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *words], stdin=guest, stdout=guest, stderr=guest, cwd=tmp_path, env=env
        )
        os.close(guest)
        seen = b""
        while True:
            try:
                part = os.read(host, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(host)
        return process.wait(timeout=60), seen.decode()

    return see


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m")


def test_forty_columns_are_enough(terminal):
    code, seen = terminal(40, "list", "cases")
    assert code == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[0] == "cases/plain.yaml::[rate=0.25]"
    assert "…" not in seen


@pytest.mark.slow
def test_colour_is_for_terminals_that_want_it(terminal, tmp_path):
    text = (tmp_path / "cases" / "plain.yaml").read_text().replace("[numpy, {torch: torch.nn.Dropout}]", "[numpy]")
    (tmp_path / "cases" / "plain.yaml").write_text(text)
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        code, seen = terminal(100, "run", "cases", **variables)
        assert code == 0
        assert bool(COLOUR.search(seen)) is coloured
        assert "No unexplained difference." in seen


def test_a_pipe_sees_neither_colour_nor_bar(harness, case, execution):
    code, out, err = harness("run", "cases")
    assert code == 0
    assert re.fullmatch("Next: .*\n", err)
    assert "\x1b" not in out


# Encodings and names


def outside(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "harness", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, ASCII], ids=["utf8", "ascii"])
def test_any_name_of_a_case(case, tmp_path, variables):
    folder = tmp_path / "cases" / "モデル ünï"
    folder.mkdir()
    text = (tmp_path / case).read_text().replace("[numpy, {torch: torch.nn.Dropout}]", "[numpy]")
    (folder / "ca'se 1.yaml").write_text(text)
    listing, history = ["list", "cases"], ["history", "--history", "h.sqlite", "cases"]
    for words in (listing, ["run", str(folder), "--history", "h.sqlite"], history):
        done = outside(tmp_path, *words, **variables)
        assert done.returncode == 0, done.stderr
        assert "ca'se 1.yaml" in done.stdout or words[0] == "run"
    assert len(list(read(tmp_path / "reports" / "latest").rows())) > 10


# Disks


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", [["list", "cases"], ["doctor"], ["--help"], ["report", "--json"], ["run", "cases"]], ids=" ".join
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_stdout_is_no_bug_of_ours(case, tmp_path, words, unbuffered):
    from tests.reporting import fakes

    fakes.store(tmp_path / "reports" / "latest", *fakes.green_run())
    text = (tmp_path / case).read_text().replace("[numpy, {torch: torch.nn.Dropout}]", "[numpy]")
    (tmp_path / case).write_text(text)
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *words],
            cwd=tmp_path,
            env=env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert done.stderr == "error: No space left on device\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("where", ["write_bytes", "mkdir", "replace"])
def test_a_disk_that_cannot_be_written_to(harness, case, execution, monkeypatch, tmp_path, number, where):
    """It is told in one line, and the run that was there before is as it was."""
    assert harness("run", "cases")[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "reports" / "latest").iterdir()}

    def fail(self, *_arguments, **_options):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, where, fail)
    code, _, err = harness("run", "cases")
    assert code == 4
    assert os.strerror(number) in err
    assert "bug" not in err
    assert "Traceback" not in err
    monkeypatch.undo()
    kept = {path.name: path.read_bytes() for path in (tmp_path / "reports" / "latest").iterdir() if path.is_file()}
    if where != "replace":
        # That the page could not be written does not undo the run, whose tables are those of before.
        for path in kept.keys() - {"run.json"} if where == "write_bytes" else kept:
            assert kept[path] == before[path]
        assert read(tmp_path / "reports" / "latest").meta["rows"] == 4


def test_a_bug_of_ours_is_still_called_one(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    @click.command()
    def broken():
        raise FileNotFoundError(errno.ENOENT, "No such file", "lost")

    assert guarded(broken, []) == 3
    assert "internal error" in capsys.readouterr().err


# Pipes and shells


@pytest.mark.parametrize(
    "words", ["list cases", "--help", "mask --rules", "schema", "doctor --json", "env list", "show cases/plain.yaml"]
)
def test_a_reader_that_goes_away_is_no_error(case, tmp_path, words):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{shlex.quote(sys.executable)} -m harness {words} | head -c 1 > /dev/null; echo ${{PIPESTATUS[0]}}",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0\n"
    assert not re.search("Traceback|Exception ignored|Broken", done.stderr)


@pytest.mark.parametrize("words", ["run cases", "gate after", "compare before after"])
def test_a_reader_that_goes_away_makes_no_difference_a_success(case, tmp_path, words):
    from tests.reporting import fakes

    (one,), (numpy, torch) = fakes.green_run()
    fakes.store(tmp_path / "before", [one], [numpy, torch])
    row = fakes.row(one, torch.backend.label, verdict=Verdict.FAIL, measured=1.0)
    fakes.store(tmp_path / "after", [one], [numpy, fakes.compared(one, torch.backend.label, row)])
    assert outside(tmp_path, "baseline", "update", "before", CI="").returncode == 0
    path = tmp_path / case
    path.write_text(
        path.read_text().replace("torch: torch.nn.Dropout", 'name: p, framework: numpy, target: "port.py:run"')
    )
    (tmp_path / "cases" / "port.py").write_text("def run(case):\n    return {'y': case.inputs['x']}\n")
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m harness {words} | true; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell, tmp_path):
    done = outside(tmp_path, _HARNESS_COMPLETE=f"{shell}_source")
    assert done.returncode == 0
    assert "_HARNESS_COMPLETE" in done.stdout
    if shutil.which(shell):
        script = tmp_path / f"completion.{shell}"
        script.write_text(done.stdout, encoding="utf-8")
        assert subprocess.run([shell, "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("harness ga", ["plain,gate"]),
        ("harness run ca", ["file,ca"]),
        ("harness gate reports/", ["file,reports/"]),
        ("harness gate --baseline p", ["file,p"]),
        ("harness report --format j", ["plain,jsonl", "plain,junit"]),
        ("harness baseline u", ["plain,update"]),
        ("harness env create tf2", ["plain,tf2.0", "plain,tf2.10"]),
        ("harness run cases --backend numpy.gr", ["plain,numpy.gru"]),
        ("harness run cases --backend torch.nn.LS", ["plain,torch.nn.LSTM", "plain,torch.nn.LSTMCell"]),
        ("harness gate --t", ["plain,--today"]),
    ],
)
def test_completions(typed, completed, tmp_path):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = outside(tmp_path, _HARNESS_COMPLETE="bash_complete", **words)
    assert done.stdout.split() == completed


@pytest.mark.parametrize(
    ("shell", "seen"),
    [("zsh", "plain\nrun\nRun cases and write a report.\n"), ("fish", "plain,run\tRun cases and write a report.\n")],
)
def test_completions_of_other_shells(shell, seen, tmp_path):
    words = {"COMP_WORDS": "harness ru", "COMP_CWORD": "1" if shell == "zsh" else "ru"}
    assert outside(tmp_path, _HARNESS_COMPLETE=f"{shell}_complete", **words).stdout == seen
