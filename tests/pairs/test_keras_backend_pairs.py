"""Keras 3 programs on torch, JAX and TensorFlow: against torch ports, and one program on two backends."""

import importlib.util

import numpy as np
import pytest

from harness import assert_parity, pair
from harness.cli import main
from harness.errors import UserError
from harness.pairs import report
from tests.pairs import keras_programs

pytest.importorskip("keras")
pytest.importorskip("torch")

BACKENDS = [name for name in ("torch", "jax", "tensorflow") if importlib.util.find_spec(name) is not None]
OTHERS = [name for name in BACKENDS if name != "torch"]
X = {"x": np.random.RandomState(0).standard_normal((4, 5)).astype(np.float32)}
TOKENS = {"tokens": np.random.RandomState(1).randint(0, 20, (4, 7))}

#: What is changed in the port, and what the report must say.
FAULTS = {
    "rate": (("nn.Dropout(0.25)", "nn.Dropout(0.5)"), "p = 0.5 where the first has 0.75"),
    "keep as rate": (("nn.Dropout(0.25)", "nn.Dropout(0.75)"), "the keep probability stands where the rate belongs"),
    "off": (("self.out(self.drop(h))", "self.out(h)"), "the second draws nothing in training"),
    "activation": (("torch.tanh(self", "torch.relu(self"), "port.py:14"),
    "twice": (("self.out(self.drop(h))", "self.out(self.drop(self.drop(h)))"), "drops twice"),
    "always on": (("self.drop(h))", "nn.functional.dropout(h, 0.25, True))"), "always on"),
    "unscaled": (
        ("self.out(self.drop(h))", "self.out(h * (torch.rand(h.shape) < 0.75) if self.training else h)"),
        "not divided by the keep probability 0.75",
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    keras_programs.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["Head", "functional"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_right_torch_port_passes_on_every_backend(backend, name):
    result = assert_parity(f"{backend}:original.py:{name}", "port.py:Head", inputs=X, seeds=[0], weights="auto")
    training = result.parts[-1]
    assert [draw.scope.replace("/", ".").split(".")[-1] for draw in training.mine.draws] == ["drop"]
    assert len(training.pairing.matches) == 1
    gradients = {row.name for row in training.gradients}
    assert "gradient/input/x" in gradients and len(gradients) == 5
    assert sum(source.axes is not None for source in result.mapping.sources.values()) == 2


@pytest.mark.parametrize(
    ("backend", "fault"), [("torch", fault) for fault in FAULTS] + [("jax", "activation"), ("jax", "unscaled")]
)
def test_a_planted_fault_is_told(folder, backend, fault):
    pytest.importorskip(backend)
    change, words = FAULTS[fault]
    keras_programs.write(folder, fault=change)
    result = pair(f"{backend}:original.py:Head", "port.py:Head", inputs=X, seeds=[0], weights="auto")
    assert not result.passed
    assert words in "\n".join(report.lines(result)), report.lines(result)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("backend", OTHERS)
def test_one_program_is_itself_on_two_backends(backend):
    sides = ("torch:original.py:Tagger", f"{backend}:original.py:Tagger")
    result = assert_parity(*sides, inputs=TOKENS, seeds=[0], weights="auto")
    evaluation, training = result.parts
    # Keras draws an LSTM's masks in evaluation too, and nothing rests on them.
    assert all(draw.idle for draw in evaluation.mine.draws)
    live = [draw for draw in training.mine.draws if not draw.idle]
    assert len(training.pairing.matches) == len(live) and {draw.kind for draw in live} == {"decision", "normal"}
    assert {row.name.split(".")[-1] for row in training.states} == {"moving_mean", "moving_variance"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_that_draws_by_keras_is_one_of_its_backend(backend):
    assert_parity(f"{backend}:original.py:free", "port.py:free", inputs=X, seeds=[0])


@pytest.mark.parametrize(
    "line", ['os.environ["KERAS_BACKEND"] = "torch"', 'os.environ.setdefault("KERAS_BACKEND", "torch")']
)
def test_a_file_that_chooses_its_backend_has_it(folder, line):
    (folder / "chosen.py").write_text(f"import os\n\n{line}\n{keras_programs.KERAS}")
    result = assert_parity("chosen.py:Head", "port.py:Head", inputs=X, seeds=[0], weights="auto")
    assert result.first.backend == "torch" and result.parts[0].mine.clean


@pytest.mark.usefixtures("folder")
def test_the_environment_chooses_where_the_file_does_not(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    result = pair("original.py:Head", "port.py:Head", inputs=X, seeds=[0], weights="auto")
    assert result.passed and result.first.backend == "torch"


def test_a_side_for_another_backend_is_a_line(capsys, folder):
    text = keras_programs.KERAS.replace(
        "import keras\n", 'import os\nos.environ["KERAS_BACKEND"] = "torch"\nimport keras\n', 1
    )
    (folder / "chosen.py").write_text(text)
    assert main(["pair", "jax:chosen.py:Head", "port.py:Head", "--input", "x=4,5"]) == 4
    said = capsys.readouterr().err
    assert (
        "is a Keras model on torch, and its side is for jax: KERAS_BACKEND is 'torch' here; say torch:file.py:name"
        in said
    )
    assert "Traceback" not in said


def test_a_model_that_raises_shows_its_own_line(folder):
    (folder / "bad.py").write_text(
        keras_programs.KERAS.replace("return self.out(self.drop", "return self.outt(self.drop")
    )
    with pytest.raises(UserError, match=r"bad\.py:\d+: AttributeError"):
        pair("torch:bad.py:Head", "port.py:Head", inputs=X)
