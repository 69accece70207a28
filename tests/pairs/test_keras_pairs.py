"""torch against Keras 3 on TensorFlow, and TensorFlow functions: weights brought over, draws replayed."""

import numpy as np
import pytest

from harness import assert_parity, pair

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend here", allow_module_level=True)

X = {"x": np.random.RandomState(0).standard_normal((6, 5)).astype(np.float32)}


def port():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Dropout(0.25), torch.nn.Linear(7, 3)
    )  # fmt: skip


def model(rate=0.25):
    layers = [keras.layers.Dense(7, activation="tanh"), keras.layers.Dropout(rate), keras.layers.Dense(3)]
    made = keras.Sequential(layers)
    made.build((None, 5))
    return made


@pytest.mark.parametrize("turned", [False, True])
def test_keras_and_torch_share_draws_and_weights_in_both_directions(turned):
    sides = (model(), port()) if turned else (port(), model())
    result = assert_parity(*sides, inputs=X, seeds=[0], weights="auto")
    assert len(result.parts[1].pairing.matches) == 1
    assert any(row.name == "gradient/input/x" for row in result.parts[1].gradients)
    assert sum(source.axes is not None for source in result.mapping.sources.values()) == 2


def test_another_rate_is_told():
    result = pair(port(), model(0.5), inputs=X, seeds=[0], weights="auto")
    assert result.parting.cause == "the second draws with p = 0.5 where the first has 0.75"


def test_another_activation_has_its_place():
    made = model()
    made.layers[0].activation = keras.activations.softsign
    result = pair(port(), made, inputs=X, seeds=[0], weights="auto")
    part = result.parting
    assert part.mode == "eval" and part.mine.steps[part.parting.first].op == "tanh"


def test_a_function_of_tensorflow_that_compares_a_uniform():
    def dropped(x, training):
        if not training:
            return x
        return tf.where(tf.random.uniform(x.shape) >= 0.25, x / 0.75, 0.0)

    assert_parity(torch.nn.Dropout(0.25), dropped, inputs=X, seeds=[0])


def test_an_lstm_with_one_bias_is_brought_into_one_with_two(tmp_path):
    from harness.pairs import weights

    one = {"lstm/kernel": (6, 20), "lstm/recurrent_kernel": (5, 20), "lstm/bias": (20,)}
    two = {
        "lstm.weight_ih_l0": (20, 6),
        "lstm.weight_hh_l0": (20, 5),
        "lstm.bias_ih_l0": (20,),
        "lstm.bias_hh_l0": (20,),
    }
    mine, theirs = ({name: np.full(shape, 2.0, np.float32) for name, shape in part.items()} for part in (one, two))
    mapping = weights.propose(mine, theirs)
    assert not mapping.unmapped and not mapping.unused
    brought = mapping.bring(mine, theirs)
    assert np.all(brought["lstm.bias_ih_l0"] + brought["lstm.bias_hh_l0"] == 2.0)
    (tmp_path / "map.json").write_text(weights.as_text(mapping), encoding="utf-8")
    assert weights.read(tmp_path / "map.json", mine, theirs).sources == mapping.sources
