"""The rules against masks that the frameworks drew: recorded ones always, fresh ones where a framework is there."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from comparing import DATA, differences, entries
from record import PLANS, record

from harness.streams import mt19937
from harness.streams.rules import tensorflow2

FILES = sorted(DATA.glob("*.json"))
NEEDS = {
    "tensorflow2": ("tensorflow",),
    "keras2": ("tensorflow", "tf_keras"),
    "keras3-tensorflow": ("keras", "tensorflow"),
    "keras3-torch": ("keras", "torch"),
    "keras3-jax": ("keras", "jax"),
    "keras3-numpy": ("keras", "jax"),
    "torch_cpu": ("torch",),
    "torch_compile": ("torch",),
    "jax_family": ("jax", "flax", "equinox"),
    "normals-torch": ("torch",),
    "normals-tensorflow": ("tensorflow",),
    "normals-jax": ("jax",),
    "normals-keras-tensorflow": ("keras", "tensorflow"),
    "normals-keras-torch": ("keras", "torch"),
    "normals-keras-jax": ("keras", "jax"),
    "normals-keras-numpy": ("keras", "jax"),
}
#: e.g. HARNESS_INTERPRETERS="tf1.8=/path/to/python3.6,torch2.6=/path/to/python"
INTERPRETERS = dict(each.split("=", 1) for each in os.environ.get("HARNESS_INTERPRETERS", "").split(",") if each)


def test_every_plan_has_a_recording():
    assert {path.stem for path in FILES} == set(PLANS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_masks(path):
    assert list(differences(path)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recordings_are_worth_comparing(path):
    masks = entries(path)
    assert len(masks) >= 10
    assert max(len(entry.get("bits") or entry.get("values") or "") for entry in masks) > 10
    assert len({entry["seed"] for entry in masks}) > 1


def _tampered(tmp_path, path, change):
    content = json.loads(path.read_text())
    change(content["masks"])
    (tmp_path / "tampered.json").write_text(json.dumps(content))
    return list(differences(tmp_path / "tampered.json"))


def test_one_wrong_bit_is_seen(tmp_path):
    import base64

    def flip(masks):
        bits = bytearray(base64.b64decode(masks[0]["bits"]))
        bits[0] ^= 0x80
        masks[0]["bits"] = base64.b64encode(bytes(bits)).decode()

    assert len(_tampered(tmp_path, DATA / "torch-current.json", flip)) == 1


def test_a_wrong_digest_is_seen(tmp_path):
    def change(masks):
        next(entry for entry in masks if "sha256" in entry)["sha256"] = "0" * 64

    assert len(_tampered(tmp_path, DATA / "torch-current.json", change)) == 1


def test_a_wrong_rule_is_seen(monkeypatch):
    monkeypatch.setattr(tensorflow2, "_SKIP", 255)
    assert len(list(differences(DATA / "tensorflow-current.json"))) > 10


def test_a_wrong_generator_is_seen(monkeypatch):
    monkeypatch.setattr(mt19937.Stream, "words64", lambda self, count: self.words32(count).astype("uint64"))
    assert len(list(differences(DATA / "torch-current.json"))) > 10


def test_normals_beyond_their_promise_are_seen(tmp_path):
    import base64

    import numpy as np

    def shift(masks):
        entry = next(each for each in masks if len(base64.b64decode(each["values"])) > 40)
        values = np.frombuffer(base64.b64decode(entry["values"]), entry["dtype"]).copy()
        values[3] += 20 * np.spacing(values[3])
        entry["values"] = base64.b64encode(values.tobytes()).decode()

    (said,) = _tampered(tmp_path, DATA / "normals-torch.json", shift)
    assert "ulps where 8 are promised" in said


def _missing(name):
    plan = PLANS[name]
    if plan[1]:
        return [] if plan[1] in INTERPRETERS else [f"an interpreter {plan[1]} in HARNESS_INTERPRETERS"]
    return [module for module in NEEDS.get(name) or NEEDS[plan[0]] if importlib.util.find_spec(module) is None]


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(PLANS))
def test_live_masks(name, tmp_path):
    missing = _missing(name)
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    path = tmp_path / f"{name}.json"
    record(name, path, INTERPRETERS.get(PLANS[name][1], sys.executable), thin=1, timeout=1500)
    recorded = len(entries(DATA / f"{name}.json"))
    assert len(entries(path)) >= recorded
    assert list(differences(path)) == []


def test_a_probe_that_fails_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="keras3-numpy"):
        record("keras3-numpy", tmp_path / "no" / "such" / "folder.json", sys.executable, 1)


def test_prediction_needs_no_framework():
    code = (
        "import sys\n"
        "for name in ('torch', 'tensorflow', 'jax', 'flax', 'equinox', 'keras', 'tf_keras', 'numba'):\n"
        "    sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from comparing import DATA, differences\n"
        "assert not [d for path in DATA.glob('*.json') for d in differences(path)]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
