"""Every command that takes a case takes a file, a folder, an id and a stored run."""

import json

import pytest

from harness import history as histories
from harness.errors import UserError
from harness.records import Verdict
from harness.reporting.packing import pack
from harness.reporting.store import read
from harness.selection.choosing import select_cases
from harness.selection.stored import is_run, meant, names_cases

ID = "cases/plain.yaml::[rate=0.5]"
#: Ways to say a case, and how many of its two variants that is.
WAYS = [("cases", 2), ("cases/plain.yaml", 2), (ID, 1), ("reports/whole", 2), ("reports/one", 1), ("reports/packed", 1)]


@pytest.fixture
def stored(harness, case, execution, tmp_path):
    """Runs of both variants and of one, and of that one packed; one implementation differs."""
    execution.verdicts["torch"] = [("value.y", Verdict.FAIL)]
    (tmp_path / case).write_text((tmp_path / case).read_text() + "tags: [told]\n")
    harness("run", "cases", "--out", "reports/whole", "--history", "h.sqlite")
    harness("run", ID, "--out", "reports/one")
    pack(read(tmp_path / "reports/one"), tmp_path / "reports/packed")
    harness("run", "cases")
    return harness


@pytest.mark.parametrize(("word", "count"), WAYS)
def test_list_show_validate_and_run(stored, execution, word, count):
    assert len(json.loads(stored("list", word, "--json")[1])["cases"]) == count
    assert len(json.loads(stored("show", word, "--json")[1])["cases"]) == count
    assert json.loads(stored("validate", word, "--json")[1])["cases"] == count
    assert stored("run", word, "--out", "again")[0] == 1
    assert len(execution.seen["variants"]) == count


@pytest.mark.parametrize(("word", "count"), WAYS)
def test_power_and_profile(stored, monkeypatch, tmp_path, word, count):
    import sys

    monkeypatch.setitem(sys.modules, "harness.running", sys.modules["harness.running"].real)
    text = (tmp_path / "cases/plain.yaml").read_text().replace("[numpy, {torch: torch.nn.Dropout}]", "[numpy]")
    (tmp_path / "cases/plain.yaml").write_text(text)
    assert len(json.loads(stored("power", word, "--json")[1])["cases"]) == count
    assert len(json.loads(stored("profile", word, "--json")[1])["profiles"]) == count


@pytest.mark.parametrize(("word", "count"), [*WAYS, ("./cases", 2), ("cases/*.yaml::[rate=*]", 2), ("*=0.25]", 1)])
def test_explain_and_history(stored, word, count):
    code, out, _ = stored("explain", "reports/latest", word, "--stored", "--json")
    assert (code, len(json.loads(out)["explanations"])) == (0, count)
    code, out, _ = stored("history", word, "--backend", "torch", "--history", "h.sqlite", "--json")
    assert (code, len(json.loads(out)["series"])) == (0, count)


@pytest.mark.parametrize(("word", "count"), WAYS)
def test_explain_takes_the_latest_run_for_granted(stored, word, count):
    found = json.loads(stored("explain", word, "--stored", "--json")[1])["explanations"]
    # A stored run alone is the run to explain.
    assert len(found) == count


def test_what_a_run_does_not_have(stored, tmp_path):
    for words in (["explain", "cases/plian.yaml"], ["explain", "reports/one", "cases/plian.yaml"]):
        code, _, err = stored(*words, "--stored")
        assert code == 4
        assert "'cases/plian.yaml' is no case of this run (did you mean 'cases/plain.yaml'?)" in err
    assert "no run.json" in stored("explain", "reports/nothing", "--stored")[2]
    (tmp_path / "reports/empty").mkdir()
    assert "no run.json" in stored("explain", "reports/empty", "--stored")[2]


def test_a_stored_run_whose_cases_have_gone(stored, tmp_path):
    path = tmp_path / "cases/plain.yaml"
    path.write_text(path.read_text().replace("0.5", "0.75"))
    code, _, err = stored("list", "reports/one")
    assert code == 4
    assert f"no case {ID!r} (did you mean " in err
    path.unlink()
    code, _, err = stored("list", "reports/whole")
    assert code == 4
    assert err.count("cases/plain.yaml: no such file or folder") == 1


def test_a_broken_run_is_no_run_and_told(stored, tmp_path):
    (tmp_path / "reports/one/cases.json").write_text('{"cases": [{}]}')
    code, _, err = stored("list", "reports/one")
    assert code == 4
    assert "reports/one: not a stored run: cases.json holds no cases (KeyError('id'))" in err
    (tmp_path / "cases/run.json").write_text('{"format": "of another program"}')
    assert stored("list", "cases")[0] == 0
    for text in ("[]", "{", ""):
        (tmp_path / "cases/run.json").write_text(text)
        assert not is_run("cases")


def test_the_python_api_takes_a_stored_run_too(stored):
    assert [one.id for one in select_cases(["reports/one"])] == [ID]


def test_words_that_mean_cases(stored, tmp_path):
    assert [names_cases(word) for word in (ID, "a.yaml", "gone.yml", "cases")] == [True] * 4
    assert [names_cases(word) for word in ("reports/one", "reports/nothing", "runs", "x.json")] == [False] * 4
    ids = ["a/b.yaml::[x=1]", "a/b.yaml::[x=2]", "a/bc.yaml", "d.yaml"]
    for word, found in (
        ("a", 3),
        ("a/", 3),
        ("a/b.yaml", 2),
        ("a/b.yaml::[x=2]", 1),
        ("a/b*", 3),
        (".", 4),
        ("d.yaml", 1),
    ):
        assert len(meant(word, ids)) == found
    with pytest.raises(UserError, match="no case of this run"):
        meant("a/b", ids)
    assert len(histories.runs(tmp_path / "h.sqlite")) == 1
