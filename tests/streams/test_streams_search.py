"""Finding the stream, seed, call and rate of a mask."""

import math

import numpy as np
import pytest

from harness.errors import UserError
from harness.streams import find, predict
from harness.streams.search import _candidates

CASES = [
    ("torch.nn.Dropout", {}),
    ("torch.nn.Dropout", {"version": "2.6"}),
    ("torch.bernoulli", {}),
    ("torch.compile", {}),
    ("tensorflow.nn.dropout", {}),
    ("tensorflow.nn.dropout", {"op_seed": 42}),
    ("tensorflow.nn.dropout", {"version": "1.8", "op_seed": 1}),
    ("tensorflow.function", {}),
    ("tensorflow.random.Generator", {}),
    ("tensorflow.nn.rnn_cell.DropoutWrapper", {"slot": "state.h", "version": "1.8"}),
    ("keras.layers.Dropout", {"backend": "numpy"}),
    ("keras.layers.Dropout", {"backend": "torch"}),
    ("flax.nnx.Dropout", {}),
    ("flax.linen.Dropout", {}),
]


@pytest.mark.parametrize(("like", "options"), CASES)
@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_what_was_predicted_is_found(like, options, rate):
    mask = predict(like, seed=17, shape=(20, 30), rate=rate, call=1, **options)
    search = find(mask.keep, seeds=range(15, 20), like=like)
    # TensorFlow 1 and 2 decide alike but for the rounding of the rate, so either may explain the other's mask.
    (hit,) = [each for each in search.found if (each.seed, each.call, each.stream) == (17, 1, mask.stream)]
    assert hit.rate == rate
    assert hit.rate_span[0] <= rate <= hit.rate_span[1]
    assert hit.rate_span[1] - hit.rate_span[0] < 0.02
    again = predict(
        hit.like, hit.version, hit.seed, (20, 30), hit.rate, hit.dtype, hit.call, hit.backend or None, **hit.options
    )
    assert np.array_equal(again.keep, mask.keep)


@pytest.mark.parametrize(("like", "options"), [CASES[0], CASES[4], CASES[10]])
def test_the_right_api_is_found_among_all(like, options):
    mask = predict(like, seed=3, shape=(20, 30), rate=0.25, call=2, **options)
    search = find(mask.keep, seeds=range(5))
    assert (like, 3, 2, 0.25) in [(each.like, each.seed, each.call, each.rate) for each in search.found]
    assert {each.seed for each in search.found} == {3}
    assert search.by_chance < 1e-100


def test_jax_masks_are_found_at_call_0_alone():
    mask = predict("jax.random.bernoulli", seed=3, shape=(600,), rate=0.25)
    search = find(mask.keep, seeds=range(5), like="jax.random.bernoulli")
    assert [(each.seed, each.call) for each in search.found] == [(3, 0)]


def test_a_rate_that_was_given_is_compared():
    mask = predict("jax.random.bernoulli", seed=3, shape=(600,), rate=0.25, mode="high")
    search = find(mask.keep, rate=0.25, seeds=range(5), like="jax.random.bernoulli")
    # The second uniform of mode high decides only where the first comes within 2**-23 of the rate.
    assert [each.options for each in search.found] == [{}, {"mode": "high"}]
    assert find(mask.keep, rate=0.26, seeds=range(5), like="jax.random.bernoulli").found == ()


def test_odd_rates_get_the_digits_that_they_need():
    mask = predict("torch.nn.Dropout", seed=3, shape=(100_000,), rate=0.12345)
    (hit,) = find(mask.keep, seeds=[3], calls=[0], like="torch.nn.Dropout").found
    assert abs(hit.rate - 0.12345) < 1e-4
    assert hit.rate_span[0] <= 0.12345 <= hit.rate_span[1]


def test_one_changed_element_is_no_match():
    keep = predict("torch.nn.Dropout", seed=3, shape=(100, 100), rate=0.4).keep
    assert find(keep, seeds=[3], like="torch.nn.Dropout").found
    for place in ((0, 0), (57, 31), (99, 99)):
        changed = keep.copy()
        changed[place] ^= True
        assert not find(changed, seeds=[3], like="torch.nn.Dropout").found


def test_a_foreign_mask_is_found_nowhere():
    keep = np.random.default_rng((99, 98, 97)).random((30, 40)) < 0.5
    search = find(keep, seeds=range(3))
    assert search.found == ()
    assert search.tried > 100
    assert search.by_chance < 1e-300


def test_the_chance_of_a_match_is_stated():
    keep = np.array([True, False, True, True])
    search = find(keep, seeds=range(200), calls=[0], like="torch.nn.Dropout", version="2.13", backend="", limit=1000)
    # A stream's order of four levels puts the dropped one last in one case of four.
    assert search.tried == 200
    assert search.by_chance == 1.0
    assert 25 < len(search.found) < 80
    given = find(keep, rate=0.5, seeds=[0], calls=[0], like="torch.nn.Dropout", version="2.13", backend="")
    assert math.isclose(given.by_chance, 0.5**4)


def test_a_dropped_tensor_serves_as_its_mask():
    keep = predict("torch.nn.Dropout", seed=3, shape=(600,), rate=0.5).keep
    assert find(keep * 2.0, seeds=[3], like="torch.nn.Dropout").found


def test_shared_masks_are_recognised():
    keep = predict("torch.nn.Dropout1d", seed=3, shape=(20, 30, 4), rate=0.5).keep
    (hit,) = find(keep, seeds=range(5), like="torch.nn.Dropout1d").found
    assert (hit.seed, hit.call) == (3, 0)
    broken = keep.copy()
    broken[0, 0, 0] ^= True
    assert find(broken, seeds=range(5), like="torch.nn.Dropout1d").tried == 0


def test_every_searched_variant_can_be_asked():
    keep = np.zeros((4, 5), dtype=bool)
    keep[0] = True
    found = {candidate.rule.name for candidate in _candidates(keep, None, None, None, None, ("float32",), {})}
    assert {"torch_cpu.dropout", "tensorflow1.dropout", "keras3.dropout", "jax_random.jax_bernoulli"} <= found


@pytest.mark.parametrize(
    ("said", "keep", "options"),
    [
        ("says nothing", np.ones(5), {}),
        ("says nothing", np.zeros(5), {}),
        ("says nothing", np.zeros(0), {}),
        ("between 0 and 1", np.eye(3), {"rate": 1.0}),
        ("did you mean", np.eye(3), {"like": "torch.nn.Dropot"}),
        ("unknown dtype", np.eye(3), {"dtypes": ["int8"]}),
        ("unknown option", np.eye(3), {"like": "torch.nn.Dropout", "mk": 1}),
    ],
)
def test_what_cannot_be_searched_is_refused(said, keep, options):
    with pytest.raises(UserError, match=said):
        find(keep, **options)
