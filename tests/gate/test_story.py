"""A year of a project with a gate, told from its first green run on. Everything runs: no worker, file or verdict is made up."""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from harness import environments
from harness.cli import make
from harness.commands.guard import guarded

SOON = datetime.date.today() + datetime.timedelta(days=90)
LATER = SOON + datetime.timedelta(days=1)

PORT = """about: One mask for the whole sequence.
layer: dropout
config: {rate: 0.5, shared: [time]}
inputs: {x: {shape: [4, 5, 8], fill: normal, seed: 1}}
seeds: [7]
gradients: false
backends:
  - numpy
  - {name: our port, framework: numpy, target: "port.py:run"}
"""
CODE = """def run(case):
    x = case.inputs["x"]
    if case.mode == "eval":
        return {{"y": x}}
    kept = case.rng.bernoulli(0.5, {shape})
    return {{"y": x * kept / 0.5}}
"""
MODEL = """about: A mask for each gate, drawn once for the whole sequence.
layer: lstm
config: {units: 6, return_sequences: true, return_state: true}
dropout:
  - {at: input, rate: 0.5, shared: [time]}
  - {at: state.h, rate: 0.25, shared: [time]}
inputs: {x: {shape: [4, 5, 3], fill: normal, seed: 1}}
weights: {fill: uniform, seed: 2}
seeds: [7]
backends:
  - numpy
  - {tensorflow: tf.keras.layers.LSTM, environment: production}
"""


@dataclass
class Upgrade:
    """What is under test, and how it changes: `before()` sets it up as it was, `after()` brings the new version.

    since, cause, mask  what the gate shall say of it; name: what rows call it.
    """

    case: str
    name: str
    before: Callable[[], None]
    after: Callable[[], None]
    since: str
    cause: str
    mask: str


@pytest.fixture
def port(tmp_path):
    """A port of one's own. Its new version draws at every time step."""

    def version(shape):
        return lambda: (tmp_path / "port.py").write_text(CODE.format(shape=shape), encoding="utf-8") and None

    return Upgrade(
        PORT,
        "our port",
        version("(x.shape[0], 1, x.shape[2])"),
        version("x.shape"),
        "",
        "draw the mask once, before the loop over the steps, and use it throughout",
        "another shape from the same seed: 4x1x8 -> 4x5x8",
    )


@pytest.fixture
def tensorflow(tmp_path, monkeypatch):
    """An environment that is moved from TensorFlow 1.8 to 2.0, whose LSTM draws one mask for all gates."""
    shipped = tomllib.loads(environments.SHIPPED.read_text(encoding="utf-8"))
    own = {}
    places = tmp_path / "environments"
    places.mkdir()
    for name in ("tf1.8", "tf2.0"):
        entry = {key: shipped[name][key] for key in ("python", "packages")}
        described = environments.Description.model_validate(entry)
        built = environments.place_of(name, described)
        if not (built / environments.COMPLETE).is_file():
            pytest.skip(f"{name} is not built: harness env create {name}")
        (places / f"production-{described.key}").symlink_to(built)
        own[name] = "[production]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(places))

    def version(name):
        return lambda: (tmp_path / environments.OWN).write_text(own[name], encoding="utf-8") and None

    return Upgrade(
        MODEL,
        "tensorflow: tf.keras.layers.LSTM @production",
        version("tf1.8"),
        version("tf2.0"),
        "tensorflow 1.8.0 -> tensorflow 2.0.0",
        "one mask for all gates at input",
        "another shape from the same seed: 4x4x1x3 -> 1x4x1x3",
    )


@pytest.fixture
def harness(capsys, monkeypatch, tmp_path):
    """The command line, as a person types it: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)

    def call(*arguments):
        code = guarded(make(), list(arguments))
        return int(code), *capsys.readouterr()

    return call


@pytest.mark.parametrize("which", ["port", pytest.param("tensorflow", marks=pytest.mark.exhaustive)])
def test_a_year_with_the_gate(which, request, harness, tmp_path, monkeypatch):
    upgrade = request.getfixturevalue(which)
    path = tmp_path / "cases" / "model.yaml"
    path.parent.mkdir()
    path.write_text(upgrade.case, encoding="utf-8")
    (path.parent / "port.py").symlink_to(tmp_path / "port.py")

    # All is well. There is no baseline yet, and the gate says how to get one.
    upgrade.before()
    assert harness("run", "cases")[0] == 0
    code, _, err = harness("gate")
    assert code == 4
    assert "`harness baseline update` writes it" in err

    # A person writes the baseline, and sees in a diff what is promised.
    code, out, _ = harness("baseline", "update")
    assert code == 0
    assert f"+  {upgrade.name} | " in out
    assert "+    mask.shared pass" in out

    # Run again, the gate is open, and there is nothing to update.
    assert harness("run", "cases")[0] == 0
    code, out, _ = harness("gate")
    assert (code, out) == (0, "The gate is open: nothing got worse.\n")
    assert harness("baseline", "update")[1:] == ("", "parity-baseline.txt is up to date\n")

    # The new version changes the masks. The gate says what, since which version, why, and in which line of the case.
    upgrade.after()
    assert harness("run", "cases")[0] == 1
    code, out, _ = harness("gate")
    assert code == 1
    assert "New differences (1)\n  cases/model.yaml\n" in out
    assert f"    {upgrade.name}  mask.shared  was pass" in out
    assert "now fail" in out
    assert upgrade.cause in out
    assert upgrade.mask in out
    assert f"cases/model.yaml:{line_of(upgrade)}:" in out
    assert (f"since the baseline: {upgrade.since}" in out) == bool(upgrade.since)
    assert out.index("New differences (1)") < out.index("Masks that changed") < out.index("The gate is closed")

    # To accept it, CI may not update the baseline; that takes a person, and a known difference that has a reason and a date.
    monkeypatch.setenv("CI", "true")
    assert harness("baseline", "update")[0] == 4
    monkeypatch.delenv("CI")
    path.write_text(upgrade.case + expectation(upgrade, "mask.sharde"), encoding="utf-8")
    code, _, err = harness("run", "cases")
    assert code == 4
    assert "'mask.sharde' is no check" in err
    assert "did you mean 'mask.shared'?" in err
    path.write_text(upgrade.case + expectation(upgrade, "mask.shared"), encoding="utf-8")
    code, out, _ = harness("run", "cases")
    assert code == 0
    assert "1 known" in out and "-v tells known differences." in out
    code, out, _ = harness("gate")
    assert code == 1
    assert "New differences" not in out
    assert "Masks that changed" in out
    code, out, _ = harness("baseline", "update")
    assert code == 0
    assert "+    mask.shared known" in out
    code, out, _ = harness("gate")
    assert (code, out) == (0, "The gate is open: nothing got worse.\n")

    # On its last day it still holds; on the next one somebody has to look again.
    assert harness("gate", "--today", str(SOON))[0] == 0
    code, out, _ = harness("gate", "--today", str(LATER))
    assert code == 1
    assert f"expired on {SOON}: look again (the new version draws otherwise)" in out
    assert "Known differences that have expired (1)" in out
    assert "The gate is closed: 1 change." in out
    changes = json.loads(harness("gate", "--today", str(LATER), "--json")[1])["changes"]
    assert [(one["kind"], one["check"]) for one in changes] == [("expired", "mask.shared")]
    assert changes[0]["place"].startswith("cases/model.yaml:")

    # A run on that day says so too, and the gate of that run tells it once.
    path.write_text(upgrade.case + expectation(upgrade, "mask.shared", datetime.date(2020, 1, 1)), encoding="utf-8")
    assert harness("run", "cases")[0] == 1
    code, out, _ = harness("gate")
    assert code == 1
    assert "The gate is closed: 1 change." in out

    # The old version comes back: the difference is gone, and nobody needs to know of it any more.
    upgrade.before()
    path.write_text(upgrade.case + expectation(upgrade, "mask.shared"), encoding="utf-8")
    assert harness("run", "cases")[0] == 1
    code, out, _ = harness("gate")
    assert code == 1
    assert "Known differences that are gone (1)" in out
    path.write_text(upgrade.case, encoding="utf-8")
    assert harness("run", "cases")[0] == 0
    assert harness("baseline", "update")[0] == 0
    assert harness("gate")[0] == 0


def expectation(upgrade: Upgrade, check: str, until: datetime.date = SOON) -> str:
    """The known difference, as somebody writes it into the case."""
    return (
        "expect:\n"
        f'  - {{backend: "{upgrade.name}", check: {check}, reason: the new version draws otherwise, until: {until}}}\n'
    )


def line_of(upgrade: Upgrade) -> int:
    """The line of the case that names what was upgraded: the last of the backends."""
    return len(upgrade.case.splitlines())
