import dataclasses
import datetime
import json

import numpy as np
import pytest

from harness.cli import make
from harness.commands.guard import guarded
from harness.errors import Place, UserError
from harness.gate import baseline as text
from harness.gate.baseline import Baseline, Figure, Fingerprint, dump, from_run, merged
from harness.gate.changes import Kind, closes
from harness.gate.judge import judge, worse
from harness.records import AVAILABLE, Aim, Expectation, Verdict
from harness.reporting.store import read
from tests.reporting import fakes

TORCH = fakes.LSTM[2]
TODAY = datetime.date(2026, 11, 20)


@pytest.fixture
def stored(tmp_path):
    """Store a made-up run: `stored(check=("fail", 1.0), …)` of one case and torch."""
    counter = iter(range(1000))

    def make_run(
        *,
        mask=None,
        expect=(),
        case="cases/a.yaml",
        version="2.13.0",
        cpu="",
        names=("numpy", TORCH),
        backends=(),
        rows=None,
        cause="",
        place="",
        **checks,
    ):
        one = fakes.variant(case, backends or names, expect=expect)
        events = [fakes.compared(one, "numpy", fakes.row(one, "numpy"))] if "numpy" in names else []
        checks = checks or {"value": ("pass", 1e-6)}
        made = [
            fakes.row(one, TORCH, f"{name}.y", Verdict(verdict), measured=measured, version=version, cause=cause)
            for name, (verdict, measured) in checks.items()
        ]
        masks = {"input": fakes.mask(0) if mask is None else mask}
        if rows:
            made = [fakes.row(one, TORCH, name, Verdict(verdict), measured=None) for name, verdict in rows.items()]
            masks = {}
        made = [dataclasses.replace(row, place=place) for row in made]
        events.append(fakes.compared(one, TORCH, *made, masks=masks))
        folder = fakes.store(tmp_path / f"run{next(counter)}", [one], events)
        run = read(folder)
        if cpu:
            run.meta["machine"]["cpu"] = cpu
        return run

    return make_run


def changes(before, now, **options):
    return judge(from_run(before), from_run(now), now, TODAY, **options)


def kinds(found):
    return [(change.kind, change.check) for change in found]


def test_the_text_reads_back(tmp_path):
    run = read(fakes.store(tmp_path / "run", *fakes.small_run()))
    baseline = from_run(run)
    path = tmp_path / "baseline.txt"
    path.write_text(dump(baseline), encoding="utf-8")
    assert dump(text.read(path)) == dump(baseline)
    assert text.read(path).machines == baseline.machines
    assert len(baseline) == 13


@pytest.mark.parametrize(
    "name", ['a"b', "a | b", " a", "a ", "a\nb", "nul\x00", "\u202e", "lone\udc80", "ünïcode", "a: b"]
)
def test_odd_names_read_back(tmp_path, name):
    figure = Figure(Verdict.FAIL, float("nan"), float("inf"))
    entry = text.Entry({"value.y": figure, "run": Figure(Verdict.CRASH)}, {name: "bool 2x3 0123"})
    baseline = Baseline({(name, name): {Fingerprint(name, name, "m"): entry}}, {"m": "machine"})
    path = tmp_path / "baseline.txt"
    path.write_text(dump(baseline), encoding="utf-8")
    back = text.read(path)
    assert dump(back) == dump(baseline)
    assert list(back.entries) == [(name, name)]


def test_the_text_is_what_the_documentation_shows(stored):
    run = stored(value=("pass", 1.2e-6), mask=np.ones((2, 5, 3), bool), cpu="Processor")
    run.meta["machine"]["machine"] = "x86_64"
    lines = dump(from_run(run)).splitlines()
    machine = lines[1].split()[1].rstrip(":")
    assert lines == [
        "parity-harness baseline 1",
        f"machine {machine}: Processor, x86_64",
        "",
        "case cases/a.yaml",
        f"  numpy | 2.4.6 | cpu | {machine}",
        "    value.y pass 1.25e-07 of 4.5e-06",
        f"  torch: torch.nn.LSTM | 2.13.0 | cpu | {machine}",
        "    value.y pass 1.2e-06 of 4.5e-06",
        f"    mask input bool 2x5x3 {run.cases[0]['masks'][0]['sha256']}",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "not a baseline"),
        ("parity-harness baseline 2\n", "newer harness"),
        ("parity-harness baseline 1\n<<<<<<< HEAD\n", ":2:1: a merge left its marks"),
        ("parity-harness baseline 1\n    value.y pass\n", ":2:1: not understood"),
        ("parity-harness baseline 1\n  torch | 2 | cpu | m\n", ":2:1: not understood"),
        ("parity-harness baseline 1\ncase a\n  torch | 2 | cpu | m\n", ":3:1: not understood"),
        (
            "parity-harness baseline 1\nmachine m: x\ncase a\n  torch | 2 | cpu | m\n    value.y fine\n",
            ":5:1: not understood",
        ),
        (
            "parity-harness baseline 1\nmachine m: x\ncase a\n  t | 2 | c | m\n    v pass\n    v pass\n",
            ":6:1: not understood",
        ),
        (
            "parity-harness baseline 1\nmachine m: x\ncase a\n  t | 2 | c | m\n    v pass 1 or 2\n",
            ":5:1: not understood",
        ),
    ],
)
def test_what_is_not_a_baseline_is_refused_with_its_line(tmp_path, lines, message):
    path = tmp_path / "baseline.txt"
    path.write_text(lines)
    with pytest.raises(UserError, match=message):
        text.read(path)


def test_nothing_changed(stored):
    assert changes(stored(), stored()) == []


@pytest.mark.parametrize("verdict", ["fail", "crash", "timeout", "nondeterministic", "error", "ill_conditioned"])
def test_a_new_difference_closes_the_gate(stored, verdict):
    found = changes(stored(), stored(value=(verdict, 1.0)))
    assert kinds(found) == [(Kind.DIFFERENCE, "value.y")]
    assert "was pass at 1e-06" in found[0].message
    assert closes(found)


def test_an_old_difference_does_not(stored):
    assert not closes(changes(stored(value=("fail", 1.0)), stored(value=("fail", 1.0))))


def test_a_difference_that_is_gone_is_a_notice(stored):
    found = changes(stored(value=("fail", 1.0)), stored())
    assert kinds(found) == [(Kind.NOTICE, "value.y")]
    assert not closes(found)


def test_a_new_check_that_fails_is_a_difference_and_one_that_passes_a_notice(stored):
    before = stored(value=("pass", 0.0))
    assert kinds(changes(before, stored(value=("pass", 0.0), other=("fail", 1.0)))) == [(Kind.DIFFERENCE, "other.y")]
    assert kinds(changes(before, stored(value=("pass", 0.0), other=("pass", 0.0)))) == [(Kind.NOTICE, "other.y")]


def test_a_changed_mask(stored):
    found = changes(stored(mask=fakes.mask(0)), stored(mask=fakes.mask(1)))
    assert kinds(found) == [(Kind.MASK, "mask input")]
    assert "another mask from the same seed" in found[0].message
    assert closes(found)


def test_a_changed_mask_after_an_upgrade_says_so(stored):
    (found,) = changes(stored(), stored(mask=fakes.mask(1), version="2.14.0"))
    assert found.kind is Kind.MASK
    assert found.since == "2.13.0 -> 2.14.0"


def test_a_mask_of_another_shape(stored):
    (found,) = changes(stored(), stored(mask=fakes.mask(0, (2, 1, 3))))
    assert "another shape from the same seed: 2x5x3 -> 2x1x3" in found.message


def test_normal_draws_are_bits_on_the_same_machine_only(stored):
    noise = [np.random.default_rng(n).normal(size=(2, 3)).astype(np.float32) for n in (0, 1)]
    before = stored(mask=noise[0])
    assert kinds(changes(before, stored(mask=noise[1]))) == [(Kind.MASK, "mask input")]
    assert changes(before, stored(mask=noise[1], cpu="Other")) == []


def test_a_missing_comparison(stored):
    before = stored()
    found = changes(before, stored(case="cases/b.yaml"))
    assert [(c.kind, c.case, c.implementation) for c in found if c.kind < Kind.NOTICE] == [
        (Kind.MISSING, "cases/a.yaml", "numpy"),
        (Kind.MISSING, "cases/a.yaml", TORCH),
    ]
    assert not closes(changes(before, stored(case="cases/b.yaml"), partial=True))
    assert kinds(changes(stored(value=("pass", 0.0), other=("pass", 0.0)), stored(value=("pass", 0.0)))) == [
        (Kind.MISSING, "other.y")
    ]


def test_what_became_unsupported_is_missing(stored):
    assert kinds(changes(stored(), stored(value=("unsupported", None)))) == [(Kind.MISSING, "value.y")]


def test_an_unexpected_pass(stored):
    before = stored(value=("known", 1.0))
    assert kinds(changes(before, stored(value=("unexpected_pass", 0.0)))) == [(Kind.UNEXPECTED_PASS, "value.y")]
    again = stored(value=("unexpected_pass", 0.0))
    assert kinds(changes(again, again)) == [(Kind.UNEXPECTED_PASS, "value.y")]


def test_a_known_difference_that_expired_is_told_once(stored):
    expect = (Expectation(TORCH, "value.*", "another formula", datetime.date(2026, 11, 19)),)
    found = changes(stored(value=("known", 1.0), expect=expect), stored(value=("fail", 1.0), expect=expect))
    assert kinds(found) == [(Kind.EXPIRED, "value.y")]
    assert found[0].message == "expired on 2026-11-19: look again (another formula)"
    later = (Expectation(TORCH, "value.*", "another formula", datetime.date(2026, 11, 20)),)
    assert changes(stored(value=("known", 1.0), expect=later), stored(value=("known", 1.0), expect=later)) == []


def test_a_known_difference_that_matches_nothing(stored):
    expect = (Expectation("torch: torch.nn.LSTN", "value.y", "a typo"),)
    found = changes(stored(expect=expect), stored(expect=expect))
    assert [(c.kind, c.implementation) for c in found] == [(Kind.UNMATCHED, "torch: torch.nn.LSTN")]


def test_a_known_difference_of_another_variant_is_not_unmatched(stored):
    expect = (Expectation("torch: none", "value.y", "of float16", variant={"dtype": "float16"}),)
    assert changes(stored(expect=expect), stored(expect=expect)) == []


def test_an_unmatched_known_difference_is_told_with_its_place_and_the_nearest_name(stored):
    place = Place("cases/a.yaml", 7, 5)
    expect = (Expectation("torch: torch.nn.LSTN", "value.y", "a typo", place=place),)
    (found,) = changes(stored(expect=expect), stored(expect=expect))
    assert found.place == "cases/a.yaml:7:5"
    assert "did you mean 'torch: torch.nn.LSTM'?" in found.message
    expect = (Expectation(TORCH, "valeu.y", "a typo", place=place),)
    (found,) = changes(stored(expect=expect), stored(expect=expect))
    assert (found.kind, "did you mean 'value.y'?" in found.message) == (Kind.UNMATCHED, True)
    assert closes([found])


def test_what_could_not_run_makes_no_known_difference_unmatched(stored):
    """It is missing, or a difference; that the known difference met no row is not its own fault."""
    expect = (Expectation(TORCH, "value.y", "another formula"),)
    before = stored(value=("known", 1.0), expect=expect)
    for check, verdict in ((AVAILABLE, "error"), (AVAILABLE, "unsupported"), ("run.completes", "unsupported")):
        now = stored(expect=expect, rows={check: verdict})
        assert Kind.UNMATCHED not in {change.kind for change in changes(before, now)}
        assert closes(changes(before, now))


def test_what_was_not_selected_makes_no_known_difference_unmatched(stored):
    expect = (Expectation(TORCH, "other.y", "another formula"),)
    run = stored(expect=expect)
    assert kinds(changes(run, run)) == [(Kind.UNMATCHED, "other.y")]
    assert changes(run, run, partial=True) == []


def test_an_implementation_of_other_versions_is_no_misspelling(stored):
    """A whole backend leaves out what the installed version does not have; the file still speaks of it."""
    expect = (Expectation("torch: keras.layers.LSTM", "value.y", "another formula"),)
    run = stored(expect=expect, backends=("torch",))
    assert changes(run, run) == []
    expect = (Expectation("torch: keras.layers.LSTN", "value.y", "another formula"),)
    run = stored(expect=expect, backends=("torch",))
    assert kinds(changes(run, run)) == [(Kind.UNMATCHED, "value.y")]


def test_a_known_difference_of_one_variant_of_a_file_is_matched(tmp_path):
    expect = (Expectation(TORCH, "gradient.x", "another formula"),)
    variants = [fakes.variant(f"cases/a.yaml::[rate={rate}]", (TORCH,), expect=expect) for rate in (0.25, 0.5)]
    rows = [fakes.row(variants[0], TORCH, "gradient.x", Verdict.KNOWN), fakes.row(variants[1], TORCH, "value.y")]
    events = [fakes.compared(one, TORCH, row) for one, row in zip(variants, rows, strict=True)]
    run = read(fakes.store(tmp_path / "both", variants, events))
    assert changes(run, run) == []
    run = read(fakes.store(tmp_path / "one", variants[1:], events[1:]))
    assert kinds(changes(run, run)) == [(Kind.UNMATCHED, "gradient.x")]


def test_what_crashed_is_told_once_and_not_for_each_check(stored):
    before = stored(value=("pass", 0.0), other=("pass", 0.0), third=("pass", 0.0))
    found = changes(before, stored(rows={"run.completes": "crash"}))
    assert kinds(found) == [(Kind.DIFFERENCE, "run.completes")]
    assert found[0].message == "crash, and none of its 3 checks was made"
    found = changes(before, stored(rows={"run.completes": "unsupported"}))
    assert kinds(found) == [(Kind.MISSING, "run.completes")]


def test_a_change_says_why_and_where(stored):
    (found,) = changes(stored(), stored(value=("fail", 1.0), cause="gates swapped", place="cases/a.yaml:4:5"))
    assert (found.cause, found.place) == ("gates swapped", "cases/a.yaml:4:5")


@pytest.mark.parametrize(
    ("old", "new", "headroom", "result"),
    [
        (1e-6, 1.9e-6, 2, False),
        (1e-6, 2.1e-6, 2, True),
        (1e-6, 2.1e-6, 8, False),
        (0.0, 1e-7, 2, False),
        (0.0, 1e-6, 2, True),
        (1e-6, float("nan"), 2, True),
        (1e-6, 1e-9, 2, False),
    ],
)
def test_headroom(old, new, headroom, result):
    assert worse(Figure(Verdict.PASS, old, 4.5e-6), Figure(Verdict.PASS, new, 4.5e-6), headroom) is result


@pytest.mark.parametrize("aim", [Aim.LEAST, Aim.MEET])
def test_what_is_no_error_cannot_grow(aim):
    """A p-value that went up is no worse, and a share has a value to meet, which its verdict judges."""
    old, new = Figure(Verdict.PASS, 0.01, 0.3, aim), Figure(Verdict.PASS, 0.9, 0.3, aim)
    assert not worse(old, new, 2)
    assert worse(old, dataclasses.replace(new, aim=Aim.MOST), 2)


def test_a_figure_that_grew(stored):
    before = stored(value=("pass", 4e-7))
    now = stored(value=("pass", 3e-6))
    assert kinds(changes(before, now)) == [(Kind.WORSE, "value.y")]
    assert changes(before, now, headroom=10) == []
    elsewhere = stored(value=("pass", 3e-6), cpu="Other")
    assert changes(before, elsewhere) == []


def test_the_nearest_fingerprint_is_compared_with(stored):
    here, there = stored(value=("pass", 1e-6)), stored(value=("fail", 1.0), cpu="Other")
    both = merged(from_run(there), from_run(here))
    assert len(both.machines) == 2
    assert judge(both, from_run(here), here, TODAY) == []
    third = stored(value=("fail", 1.0), cpu="Third")
    found = judge(both, from_run(third), third, TODAY)
    assert all("taken on" in change.since for change in found)


def test_an_update_drops_what_this_machine_no_longer_has(stored):
    old, new = from_run(stored()), from_run(stored(case="cases/b.yaml", version="2.14.0"))
    assert {case for case, _ in merged(old, new).entries} == {"cases/b.yaml"}
    assert {case for case, _ in merged(old, new, partial=True).entries} == {"cases/a.yaml", "cases/b.yaml"}


def test_the_order_is_that_of_need(stored):
    expect = (Expectation("torch: none", "value.y", "a typo"),)
    before = stored(a=("pass", 0.0), b=("pass", 4e-7), c=("pass", 0.0), d=("pass", 0.0), expect=expect)
    now = stored(a=("fail", 1.0), b=("pass", 4e-6), d=("unexpected_pass", 0.0), mask=fakes.mask(1), expect=expect)
    found = [change.kind for change in changes(before, now)]
    assert found == sorted(found)
    assert set(found) == set(Kind) - {Kind.EXPIRED, Kind.NOTICE} | {Kind.MISSING} - {Kind.MISSING}


# The commands, as a story.


@pytest.fixture
def harness(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)

    def call(*arguments):
        code = guarded(make(), list(arguments))
        return int(code), *capsys.readouterr()

    return call


def test_an_update_is_written_before_anything_is_printed(harness, stored, monkeypatch, tmp_path):
    def closed(*words, err=False, **_):
        if not err:
            raise BrokenPipeError

    monkeypatch.setattr("click.echo", closed)
    harness("baseline", "update", str(stored().folder))
    assert "case cases/a.yaml" in (tmp_path / "parity-baseline.txt").read_text()


def test_the_story(harness, stored, monkeypatch, tmp_path):
    green = stored()
    code, out, err = harness("gate", str(green.folder))
    assert (code, out) == (4, "")
    assert "`harness baseline update` writes it" in err

    code, out, err = harness("baseline", "update", str(green.folder))
    assert code == 0
    assert "+case cases/a.yaml" in out
    assert "parity-baseline.txt updated" in err
    assert harness("baseline", "update", str(green.folder))[1:] == ("", "parity-baseline.txt is up to date\n")
    code, out, _ = harness("gate", str(green.folder))
    assert code == 0
    assert "The gate is open" in out

    upgraded = stored(mask=fakes.mask(1), value=("fail", 0.5), version="2.14.0")
    code, out, _ = harness("gate", str(upgraded.folder))
    assert code == 1
    for words in (
        "New differences (1)",
        "Masks that changed (1)",
        "another mask from the same seed",
        "2.13.0 -> 2.14.0",
        "The gate is closed: 2 changes.",
    ):
        assert words in out
    assert out.index("New differences") < out.index("Masks that changed")

    expect = (Expectation(TORCH, "value.y", "2.14 draws anew", datetime.date(2999, 1, 1)),)
    known = stored(mask=fakes.mask(1), value=("known", 0.5), version="2.14.0", expect=expect)
    monkeypatch.setenv("CI", "true")
    code, _, err = harness("baseline", "update", str(known.folder))
    assert code == 4
    assert "--in-ci" in err
    monkeypatch.delenv("CI")
    code, out, _ = harness("baseline", "update", str(known.folder))
    assert code == 0
    assert "-    value.y pass 1e-06 of 4.5e-06" in out
    assert "+    value.y known 0.5 of 4.5e-06" in out
    assert harness("gate", str(known.folder))[0] == 0

    passed = (Expectation(TORCH, "value.y", "2.14 draws anew", datetime.date(2020, 1, 1)),)
    expired = stored(mask=fakes.mask(1), value=("fail", 0.5), version="2.14.0", expect=passed)
    code, out, _ = harness("gate", str(expired.folder), "--json")
    assert code == 1
    value = json.loads(out)
    assert value["passed"] is False
    assert [change["kind"] for change in value["changes"]] == ["expired"]


def test_show(harness, stored):
    harness("baseline", "update", str(stored().folder))
    code, out, _ = harness("baseline", "show")
    assert code == 0
    assert out.startswith("2 checks in 1 case: 2 pass\n")
    value = json.loads(harness("baseline", "show", "--json", "-k", "torch")[1])
    assert value["verdicts"] == {"pass": 1}
    assert [one["version"] for one in value["taken"]] == ["2.13.0"]


def test_compare_two_runs(harness, stored):
    before, after = stored(), stored(mask=fakes.mask(1), version="2.14.0")
    code, out, _ = harness("compare", str(before.folder), str(after.folder))
    assert code == 1
    assert "Masks that changed (1)" in out
    assert "Something got worse: 1 change." in out
    code, out, _ = harness("compare", str(before.folder), str(before.folder))
    assert (code, out) == (0, "Nothing got worse.\n")
    value = json.loads(harness("compare", str(before.folder), str(after.folder), "--json")[1])
    assert value["format"] == "parity-harness compare"
    assert [change["since"] for change in value["changes"]] == ["2.13.0 -> 2.14.0"]


def test_compare_names_what_was_upgraded(harness, tmp_path):
    variants, events = fakes.green_run()
    before = fakes.store(tmp_path / "a", variants, events)
    newer = [dataclasses.replace(event, versions={"torch": "2.14.0"}) for event in events]
    after = fakes.store(tmp_path / "b", variants, newer)
    code, out, _ = harness("compare", str(before), str(after))
    assert code == 0
    assert out == "numpy 2.4.6 -> not there\ntorch 2.13.0 -> 2.14.0\nNothing got worse.\n"


def test_an_interrupted_run_is_no_baseline(harness, tmp_path):
    folder = fakes.store(tmp_path / "run", *fakes.green_run(), interrupted=True)
    code, _, err = harness("baseline", "update", str(folder))
    assert code == 4
    assert "interrupted" in err
    assert not (tmp_path / "parity-baseline.txt").exists()


@pytest.mark.parametrize("name", [["baseline", "update"], ["baseline", "show"]])
def test_help_has_an_example(harness, name):
    code, out, _ = harness(*name, "--help")
    assert code == 0
    assert f"harness {' '.join(name)}" in out.split("Example:")[1]
