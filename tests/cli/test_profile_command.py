"""`harness profile`: with the NumPy recipes, which need no framework; and each framework's own arrays, where it is installed."""

import importlib.util
import json

import pytest

from harness import environments
from harness.commands.profile import differences

LSTM = """about: One layer.
layer: lstm
config: {{units: 6, return_sequences: true, return_state: true}}
inputs: {{x: {{shape: [3, 4, 5], fill: normal, seed: 1}}}}
weights: {{fill: uniform, seed: 2}}
gradients: false
backends: [{backends}]
"""
FOUND = {
    "one.yaml": {
        "torch: torch.nn.LSTM": {"gate order": "i, f, g, o", "kernel": "(out, in)", "biases": "2, added"},
        "torch: keras.layers.LSTM": {"gate order": "i, f, g, o", "kernel": "(in, out)"},
        "numpy: numpy.lstm": {"gate order": "i, f, g, o"},
    }
}
NAMES = {label: label.partition(": ")[2] for label in FOUND["one.yaml"]}


def test_a_profile_and_what_differs(harness, case):
    code, out, _ = harness("profile", case, "--backend", "numpy", "-k", "rate=0.5")
    assert code == 0
    assert "input: shared over: nothing" in out
    code, out, _ = harness("profile", case, "--backend", "numpy", "--differing")
    assert code == 0
    assert "shared over" not in out
    code, out, _ = harness("profile", case, "--backend", "numpy", "--json")
    assert json.loads(out)["profiles"]["cases/plain.yaml::[rate=0.5]"]["numpy: numpy.dropout"]


def test_between_two_labels_only_what_differs():
    found = differences(FOUND, NAMES, ("torch: torch.nn.LSTM", "torch: keras.*"))
    assert found == {
        "one.yaml": {
            ("torch: torch.nn.LSTM", "torch: keras.layers.LSTM"): {
                "kernel": ("(out, in)", "(in, out)"),
                "biases": ("2, added", ""),
            }
        }
    }
    assert differences(FOUND, NAMES, ("numpy", "jax")) == {}
    # A pattern may name both; a pair is told once, and nothing is compared with itself.
    pairs = differences(FOUND, NAMES, ("torch", "*"))["one.yaml"]
    assert [tuple(label.partition(": ")[2] for label in pair) for pair in pairs] == [
        ("torch.nn.LSTM", "keras.layers.LSTM"),
        ("torch.nn.LSTM", "numpy.lstm"),
        ("keras.layers.LSTM", "numpy.lstm"),
    ]


def test_between_prints_pairs_and_says_where_there_is_none(harness, tmp_path):
    text = LSTM.format(backends="{numpy: numpy.lstm, name: one}, {numpy: numpy.lstm, name: two}")
    (tmp_path / "two.yaml").write_text(text)
    code, out, _ = harness("profile", "two.yaml", "--between", "one", "two")
    assert code == 4
    code, out, _ = harness("profile", "two.yaml", "--between", "one*", "two*")
    assert code == 0
    assert "the same in every entry" in out
    code, _, err = harness("profile", "two.yaml", "--between", "one*", "torch")
    assert code == 5
    assert "no case" in err


JOINED = "(in, out), input and recurrent in one array, input first"
LIVE = [
    ("torch", "torch.nn.LSTM", "i, f, g, o", "(out, in), input and recurrent apart", "2, added", "h, c"),
    ("torch", "torch.nn.LSTMCell", "i, f, g, o", "(out, in), input and recurrent apart", "2, added", "h, c"),
    ("jax", "equinox.nn.LSTMCell", "i, f, g, o", "(out, in), input and recurrent apart", "1", "h, c"),
    ("jax", "flax.linen.LSTMCell", "an array each: i hi/", "(in, out), input and recurrent apart", "1", "c, h"),
    ("jax", "flax.nnx.OptimizedLSTMCell", "i, f, g, o", "(in, out), input and recurrent apart", "1", "c, h"),
    ("jax", "keras.layers.LSTM", "i, f, g, o", "(in, out), input and recurrent apart", "1", "h, c"),
    ("torch", "keras.layers.LSTM", "i, f, g, o", "(in, out), input and recurrent apart", "1", "h, c"),
    ("tensorflow", "keras.layers.LSTM", "i, f, g, o", "(in, out), input and recurrent apart", "1", "h, c"),
    ("tensorflow", "tf_keras.layers.LSTM", "i, f, g, o", "(in, out), input and recurrent apart", "1", "h, c"),
]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_what_frameworks_hold_and_return(harness, tmp_path, backend):
    wanted = [one[1:] for one in LIVE if one[0] == backend and importlib.util.find_spec(one[1].partition(".")[0])]
    if importlib.util.find_spec(backend) is None or not wanted:
        pytest.skip(f"no {backend}")
    listed = ", ".join(f"{{{backend}: {name}}}" for name, *_ in wanted)
    (tmp_path / "live.yaml").write_text(LSTM.format(backends=listed))
    code, out, err = harness("profile", "live.yaml", "--json")
    assert code == 0, err
    profiles = json.loads(out)["profiles"]["live.yaml"]
    for name, order, kernel, biases, states in wanted:
        found = profiles[f"{backend}: {name}"]
        assert found["gate order"].startswith(order), name
        assert (found["kernel"], found["biases"], found["state order"]) == (kernel, biases, states), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "name", "order", "kernel", "states", "config"),
    [
        ("tf1.3", "tf.contrib.rnn.LSTMCell", "i, g, f, o", JOINED, "c, h", "forget_bias: 1.0"),
        ("tf1.8", "tf.contrib.rnn.LSTMBlockCell", "i, g, f, o", JOINED, "c, h", "forget_bias: 1.0"),
        ("tf1.3", "tf.contrib.keras.layers.LSTM", "i, f, g, o", "(in, out), input and recurrent apart", "h, c", ""),
    ],
)
def test_what_tensorflow_1_holds_and_returns(harness, tmp_path, environment, name, order, kernel, states, config):
    if environments.resolve(environment) is None:
        pytest.skip(f"environment {environment} is not built")
    text = LSTM.format(backends=f"{{tensorflow: {name}, environment: {environment}}}")
    (tmp_path / "old.yaml").write_text(
        text.replace("return_state: true", f"return_state: true, {config}").replace(", }", "}")
    )
    code, out, err = harness("profile", "old.yaml", "--json")
    assert code == 0, err
    (found,) = json.loads(out)["profiles"]["old.yaml"].values()
    assert (found["gate order"], found["kernel"], found["state order"]) == (order, kernel, states)
    assert found["biases"] == "1"
    assert found["forget bias"] == ("1, added at run time" if config else "nothing added")
