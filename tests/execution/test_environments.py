"""Named environments: described, keyed by what they install, built whole or not at all, run by workers of Python 3.6 on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated import variant

from harness import environments
from harness.comparison.context import Context
from harness.environments import building
from harness.environments.interpreters import find_interpreters
from harness.errors import UserError
from harness.execution.plan import passes_of, planned
from harness.execution.process import Worker
from harness.records import BackendRef, Verdict
from harness.running import run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path / "built"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_descriptions_pin_every_package(place: Path) -> None:
    found = environments.descriptions()
    assert {"tf1.3", "tf1.8", "tf2.0"} < set(found)
    for one in found.values():
        assert all("==" in line for line in one.packages)
        assert one.has("tensorflow")
        assert not one.has("torch")


def test_the_key_follows_what_is_installed_and_nothing_else() -> None:
    one = environments.Description(python="3.6", packages=["a==1", "b==2"], about="x")
    assert one.key == environments.Description(python="3.6", packages=["b==2", "a==1"]).key
    assert one.key != environments.Description(python="3.7", packages=["a==1", "b==2"]).key
    assert one.key != environments.Description(python="3.6", packages=["a==1", "b==3"]).key


def test_a_projects_own_file_adds_environments(place: Path) -> None:
    Path("environments.toml").write_text('[mine]\npython = "3.11"\npackages = ["numpy==2.0.0"]\n')
    assert environments.descriptions()["mine"].python == "3.11"
    assert "tf1.8" in environments.descriptions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[mine]\npython = "3.11"\npackges = []\n', "environments.toml: mine.packges"),
        ('[mine]\npython = "2.7"\npackages = []\n', "environments.toml: mine.python"),
        ("[mine\n", "environments.toml"),
        ('["a b"]\npython = "3.11"\npackages = []\n', "a name has letters"),
    ],
)
def test_a_bad_description_names_its_place(place: Path, text: str, message: str) -> None:
    Path("environments.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        environments.descriptions()


def test_an_environment_that_is_not_built_is_an_error_row(place: Path) -> None:
    ref = BackendRef("numpy", "numpy.dropout", environment="tf1.8")
    one = variant("dropout", {"rate": 0.5}, {"x": (3, 4)}, backends=(ref,))
    job = planned(one, ref, passes_of(one))
    assert (job.verdict, job.missing) == (Verdict.ERROR, True)
    assert job.message == "environment 'tf1.8' has not been created: harness env create tf1.8"
    (compared,) = run([one])
    assert [(row.check, row.verdict) for row in compared.rows] == [("backend.available", Verdict.ERROR)]


def test_a_package_that_the_description_lacks_is_missing(place: Path) -> None:
    assert not environments.offers("tf1.8", "torch")
    assert environments.offers("tf2.10", "tensorflow")  # as tensorflow-cpu


def test_a_build_that_fails_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_command: list[str]) -> str:
        raise building.BuildError("no")

    monkeypatch.setattr(building, "_call", fail)
    monkeypatch.setattr(building, "interpreter", lambda _version: "python3")
    with pytest.raises(building.BuildError):
        building.create("tf1.8")
    assert list((place / "built").iterdir()) == []
    assert environments.resolve("tf1.8") is None


def test_what_is_this_interpreters_alone_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "XLA_FLAGS"):
        monkeypatch.setenv(name, "--xla_cpu_use_fusion_emitters=false")
        assert name in environments.CURRENT.variables("jax")
        assert name not in environments.Environment("tf2.0", "python3.7").variables("tensorflow")


def test_a_missing_interpreter_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "find_interpreters", list)
    with pytest.raises(building.BuildError, match=r"no Python 3\.6 on this machine"):
        building.create("tf1.8")
    assert building.problem("tf1.8") == "no Python 3.6 on this machine"


def test_unknown_names_get_a_suggestion(place: Path) -> None:
    with pytest.raises(UserError, match=r"did you mean 'tf1\.8'"):
        building.describe("tf18")


@pytest.mark.slow
def test_a_worker_runs_on_the_oldest_interpreter(place: Path) -> None:
    """A whole comparison in an environment of NumPy alone, in the oldest Python 3 here that this project's workers support."""
    pins = {"3.6": "1.19.5", "3.7": "1.21.6", "3.8": "1.24.4", "3.9": "2.0.2", "3.10": "2.2.6", "3.11": "2.2.6"}
    found = [one["version"].rsplit(".", 1)[0] for one in find_interpreters() if not one["problem"]]
    oldest = next((version for version in found if version in pins), None)
    if oldest is None:
        pytest.skip("no interpreter of Python 3.6 to 3.11 here")
    numpy = pins[oldest]
    Path("environments.toml").write_text(f'[oldest]\npython = "{oldest}"\npackages = ["numpy=={numpy}"]\n')
    building.create("oldest")
    record = environments.installed("oldest")
    assert record["packages"] == [f"numpy=={numpy}"]
    environment = environments.resolve("oldest")
    assert environment is not None
    worker = Worker(environment, "numpy")
    assert worker.hello["python"].startswith(oldest)
    worker.stop()
    ref = BackendRef("numpy", "numpy.lstm", environment="oldest")
    config = {"units": 5, "return_sequences": True, "return_state": True}
    one = variant("lstm", config, {"x": (3, 4, 2)}, [{"at": "output", "rate": 0.5}], backends=(ref,))
    assert Context(one).output_shapes["y"] == (3, 4, 5)
    (compared,) = run([one])
    assert {row.check: row.cause for row in compared.rows if row.verdict is not Verdict.PASS} == {}
    assert compared.versions["numpy"] == numpy
    assert json.loads(
        (environments.folder() / next(environments.folder().iterdir()).name / "environment.json").read_text()
    )
    assert building.remove("oldest")
