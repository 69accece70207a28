import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import make
from harness.commands.group import COMMANDS
from harness.environments import interpreters
from harness.errors import UserError
from harness.selection.expression import compile_expression

GROUP = make()
NAMES = GROUP.list_commands(click.Context(GROUP))


def test_help_lists_every_command(harness):
    code, out, _ = harness("--help")
    assert code == 0
    for name in NAMES:
        assert re.search(rf"^  {name} ", out, re.M)


def sections(text: str) -> dict[str, list[str]]:
    """The commands below each heading of a help text."""
    blocks = re.findall(r"^(\w[\w ]*):\n((?:  .*\n)+)", text + "\n", re.M)
    return {title: re.findall(r"^  ([a-z]+) ", lines, re.M) for title, lines in blocks}


def test_help_has_four_sections_and_every_command_in_one(harness):
    found = sections(harness("--help")[1])
    found.pop("Options")
    assert list(found) == ["Run", "Look", "Gate", "Study"]
    assert [name for names in found.values() for name in names] == NAMES
    assert found["Gate"] == ["gate", "baseline", "compare", "history"]


def test_a_command_of_no_section_is_shown_all_the_same():
    group = make({"run": COMMANDS["run"], "novel": COMMANDS["list"]})
    found = sections(group.get_help(click.Context(group)))
    assert (found["Run"], found["Other commands"]) == (["run"], ["novel"])


@pytest.mark.parametrize("name", NAMES)
def test_every_help_shows_an_example(harness, name):
    code, out, _ = harness(name, "--help")
    assert code == 0
    assert re.search(rf"Examples?:\n\s+harness {name}", out)


@pytest.mark.parametrize("name", NAMES)
def test_the_groups_table_names_commands_with_their_name_and_a_sentence(name):
    """The list in the group's help is a table of its own, so that it imports no command."""
    command = GROUP.get_command(click.Context(GROUP), name)
    assert command.name == name
    assert command.help
    assert re.fullmatch(r"[A-Z][^\n]{10,100}\.", COMMANDS[name][1])


def test_a_command_whose_module_is_missing_is_left_out():
    group = make({"gone": ("harness.commands.gone:gone", "Not there.")})
    assert group.list_commands(click.Context(group)) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["docter"], "did you mean 'doctor'?"),
        (["run", "--bakend", "x", "cases"], "Did you mean '--backend'?"),
        (["nonsense"], "no command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["report", "--format", "htlm"], "did you mean 'html'?"),
        (["report", "--format", "jnit"], "did you mean 'junit'?"),
        (["mask", "--like", "torch.nn.Dropot"], "did you mean 'torch.nn.Dropout'?"),
        (["mask", "--like", "torch.nn.Dropout"], "--shape 3,4"),
        (["show", "cases/plain.yaml::[rate=0.26]"], "did you mean 'cases/plain.yaml::[rate=0.25]'?"),
        ([], "Usage: harness"),
    ],
)
def test_bad_usage_gives_4_and_a_suggestion(harness, case, arguments, words):
    code, out, err = harness(*arguments)
    assert code == 4
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_version(harness):
    from harness import __version__

    assert harness("--version")[:2] == (0, f"harness {__version__}\n")


def test_list(harness, case):
    code, out, err = harness("list", "cases")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        "cases/plain.yaml::[rate=0.25]",
        "cases/plain.yaml::[rate=0.5]",
    ]
    assert "2 cases" in err
    assert [one["id"] for one in json.loads(harness("list", "cases", "-k", "0.5", "--json")[1])["cases"]] == [
        "cases/plain.yaml::[rate=0.5]"
    ]
    assert harness("list", "cases", "-k", "none")[0] == 5


def test_validate(harness, case, tmp_path):
    assert harness("validate", "cases")[:2] == (0, "1 file, 2 cases: valid\n")
    (tmp_path / "cases" / "bad.yaml").write_text("layer: dropuot\nsurprise: 1\n")
    code, out, err = harness("validate", "cases")
    assert code == 4
    assert out == ""
    assert len(re.findall(r"^error: cases/bad.yaml:\d+:\d+: ", err, re.M)) >= 2
    value = json.loads(harness("validate", "cases", "--json")[1])
    assert value["valid"] is False
    assert all(problem["file"] == "cases/bad.yaml" and problem["line"] for problem in value["problems"])


def test_show(harness, case):
    code, out, _ = harness("show", "cases/plain.yaml::[rate=0.5]")
    assert code == 0
    for words in (
        "The mask is where it is kept.",
        "input bernoulli rate 0.5",
        "torch: torch.nn.Dropout",
        "harness run 'cases/plain.yaml::[rate=0.5]'",
    ):
        assert words in out
    (one,) = json.loads(harness("show", "cases/plain.yaml::[rate=0.5]", "--json")[1])["cases"]
    assert one["inputs"] == {"x": [4, 8]}
    assert "torch: torch.nn.Dropout" in one["implementations"]


def test_schema(harness, tmp_path):
    code, out, _ = harness("schema")
    assert code == 0
    assert "properties" in json.loads(out)
    assert harness("schema", "--output", "schema.json")[0] == 0
    assert (tmp_path / "schema.json").read_text() == out


def test_doctor(harness):
    code, out, _ = harness("doctor", "-v")
    assert code == 0
    value = json.loads(harness("doctor", "--json")[1])
    assert [backend["name"] for backend in value["backends"]] == ["numpy", "tensorflow", "torch", "jax", "onnxruntime"]
    assert value["backends"][0]["available"]
    for backend in value["backends"]:
        assert backend["name"] in out
        for one in backend["implementations"]:
            assert one["available"] == (backend["available"] and not one["missing"])
    (here,) = [one for one in value["interpreters"] if one["current"]]
    assert here["version"] == ".".join(map(str, sys.version_info[:3]))


def test_doctor_says_what_is_missing(harness, monkeypatch):
    monkeypatch.setattr("harness.environments.has", lambda package: package != "torch")
    out = harness("doctor")[1]
    assert "✕ torch" in out
    assert "not installed: torch; pip install 'parity-harness[torch]'" in out


def test_an_interpreter_that_does_not_answer_has_a_problem(tmp_path):
    broken = tmp_path / "python3.9"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    slow = tmp_path / "python3.8"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    assert "cannot be run" in interpreters._ask(str(broken), 5)["problem"]
    assert "did not answer" in interpreters._ask(str(slow), 0.2)["problem"]


@pytest.mark.parametrize(
    ("expression", "text", "matches"),
    [
        ("", "anything", True),
        ("lstm", "cases/LSTM/x.yaml", True),
        ("lstm and not float16", "lstm float32", True),
        ("lstm and not float16", "lstm float16", False),
        ("a or b and c", "a", True),
        ("(a or b) and c", "a", False),
        ("not (a or b)", "c", True),
        ("not not a", "a", True),
        ("rate=0.5", "x::[rate=0.5]", True),
    ],
)
def test_expressions(expression, text, matches):
    assert compile_expression(expression)(text) is matches


@pytest.mark.parametrize("expression", ["(", ")", "a and", "or a", "a b", "not", "(a", "a)"])
def test_bad_expressions(expression):
    with pytest.raises(UserError, match="-k"):
        compile_expression(expression)


# Start-up: what must never be imported, and that pipes, NO_COLOR and completion work, is seen from outside.

HEAVY = ("tensorflow", "torch", "jax", "keras", "pandas", "scipy", "matplotlib", "numba", "ml_dtypes")
PROBE = f"""
import sys
from harness.cli import main
code = main(sys.argv[1:])
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules], code)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list", "cases"], ["validate", "cases"], ["show", "cases/plain.yaml"], ["doctor"], ["run", "--help"]],
)
def test_no_framework_pandas_or_scipy_is_imported(case, tmp_path, arguments):
    done = outside([sys.executable, "-c", PROBE, *arguments], tmp_path)
    assert done.stdout.splitlines()[-1] == "LOADED [] 0", done.stderr


def test_help_imports_not_even_numpy(tmp_path):
    probe = PROBE.replace(repr(HEAVY), repr(("numpy", "pydantic", "ruamel", "rich")))
    assert outside([sys.executable, "-c", probe, "--help"], tmp_path).stdout.splitlines()[-1] == "LOADED [] 0"


def test_the_probe_would_see_an_import(tmp_path):
    done = outside([sys.executable, "-c", "import pandas\n" + PROBE, "--help"], tmp_path)
    assert "'pandas'" in done.stdout.splitlines()[-1]


def test_module_and_reader_that_goes_away(case, tmp_path):
    """As `harness list cases | head -1`."""
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "list", "cases"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(),
    ) as process:
        first = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert first.startswith("cases/plain.yaml")
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_shell_completion(tmp_path):
    env = environment() | {"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": "harness va", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "harness"], capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert done.stdout == "plain,validate\n"


def environment():
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def outside(command, folder):
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(), check=False)
