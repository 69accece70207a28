"""The registry, the promises that are refused, and the arithmetic of thresholds."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.streams import Mask, Unpredictable, accelerate, decision, predict, predict_normal, registry
from harness.streams.decision import Decision
from harness.streams.numbers import TYPES, at_least, floor_of_sum
from harness.streams.rules import torch_cuda
from harness.streams.sources import Mersenne, Philox, Threefry, threshold


def test_a_mask_says_where_it_comes_from():
    mask = predict(like="torch.nn.Dropout", version="2.13", seed=7, shape=(3, 4), rate=0.5)
    assert isinstance(mask, Mask)
    assert mask.keep.shape == (3, 4)
    assert mask.keep.dtype == np.bool_
    assert mask.confirmed
    assert "MT19937" in mask.provenance
    assert "2.13.0" in mask.provenance
    # torch 2.13: torch.manual_seed(7); F.dropout(torch.ones(3, 4), 0.5) != 0
    assert mask.keep.astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


def test_versions_choose_the_stream():
    old, new = (predict("torch.nn.Dropout", version, seed=7, shape=(100,)) for version in ("2.6", "2.7"))
    assert "MCG31m1" in old.stream
    assert "MT19937" in new.stream
    assert not np.array_equal(old.keep, new.keep)
    without = predict("torch.nn.Dropout", "2.6", seed=7, shape=(100,), mkl=False)
    assert np.array_equal(without.keep, new.keep)


def test_a_version_that_was_not_measured_is_told():
    assert "not measured" not in predict("torch.nn.Dropout", "2.13", shape=(2,)).provenance
    assert "not measured on 2.9" in predict("torch.nn.Dropout", "2.9", shape=(2,)).provenance


def test_jax_of_old_draws_the_original_stream():
    old, new = (predict("jax.random.bernoulli", version, shape=(100,)).keep for version in ("0.4.30", "0.5"))
    asked = predict("jax.random.bernoulli", "0.10", shape=(100,), partitionable=False).keep
    assert np.array_equal(old, asked)
    assert not np.array_equal(old, new)


def test_cuda_is_marked_unconfirmed():
    mask = predict("torch.nn.Dropout", seed=7, shape=(8,), backend="cuda")
    assert mask.confirmed is bool(torch_cuda.CONFIRMED)
    assert ("UNCONFIRMED" in mask.provenance) is not bool(torch_cuda.CONFIRMED)


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("did you mean 'torch.nn.Dropout'", {"like": "torch.nn.Dropot"}),
        ("did you mean 'mkl'", {"like": "torch.nn.Dropout", "mkk": True}),
        ("did you mean 'float32'", {"like": "torch.nn.Dropout", "dtype": "flot32"}),
        ("needs a backend", {"like": "keras.layers.Dropout"}),
        ("did you mean 'jax'", {"like": "keras.layers.Dropout", "backend": "jaxx"}),
        ("has no backend", {"like": "flax.nnx.Dropout", "backend": "torch"}),
        ("not a probability", {"like": "torch.nn.Dropout", "rate": 1.5}),
        ("not a probability", {"like": "torch.nn.Dropout", "rate": float("nan")}),
        ("calls count from 0", {"like": "torch.nn.Dropout", "call": -1}),
        ("whole number", {"like": "torch.nn.Dropout", "shape": (3, -1)}),
        ("is not a number", {"like": "torch.nn.Dropout", "version": "new"}),
        ("no rule for tensorflow.nn.dropout in version 0.9", {"like": "tf.nn.dropout", "version": "0.9"}),
        ("valid boolean", {"like": "torch.nn.Dropout", "mkl": 3}),
        ("has no dtype bfloat16", {"like": "tf.nn.dropout", "version": "1.8", "dtype": "bfloat16"}),
        ("takes seeds from 0", {"like": "keras.layers.Dropout", "backend": "jax", "seed": -1}),
        ("layers 0 to 0", {"like": "torch.nn.LSTM", "layer": 1}),
        ("strides", {"like": "torch.nn.Dropout", "strides": (1,), "shape": (2, 2)}),
        ("unknown slot", {"like": "tf.nn.rnn_cell.DropoutWrapper", "slot": "inpt", "shape": (2, 2)}),
        ("drops h only", {"like": "tf.nn.rnn_cell.DropoutWrapper", "slot": "state.c", "shape": (2, 2)}),
        (
            "unmeasured for c",
            {"like": "tf.nn.rnn_cell.DropoutWrapper", "version": "1.5", "slot": "state.c", "shape": (2, 2)},
        ),
        ("path step", {"like": "jax.random.bernoulli", "path": [("splat", 1)]}),
        ("path step", {"like": "jax.random.bernoulli", "path": [("split", 2, 2)]}),
        ("unknown impl", {"like": "jax.random.bernoulli", "impl": "philox"}),
        ("unknown mode", {"like": "jax.random.bernoulli", "mode": "hgh"}),
        ("does not broadcast", {"like": "keras.layers.Dropout", "backend": "jax", "noise_shape": [2], "shape": (3,)}),
        (
            "needs recurrent_dropout",
            {"like": "keras.layers.LSTM", "backend": "jax", "site": "state.h", "shape": (3, 2)},
        ),
        ("gate 1", {"like": "keras.layers.LSTM", "backend": "jax", "gate": 1, "shape": (3, 2)}),
        ("axis 3", {"like": "flax.nnx.Dropout", "broadcast_dims": [3], "shape": (3, 2)}),
        ("graph_ids", {"like": "tensorflow.function", "version": "2.0"}),
        ("give op_seed", {"like": "tf.nn.dropout", "version": "1.8"}),
        ("numpy_seed", {"like": "tensorflow.keras.layers.LSTM", "version": "2.0"}),
        (
            "no noise_shape",
            {"like": "tf.nn.dropout", "version": "1.8", "graph_ids": 3, "noise_shape": [1], "shape": (2,)},
        ),
        ("tf.keras is Keras 3", {"like": "tf.keras.layers.Dropout", "version": "2.21"}),
        ("refuses rate 1", {"like": "tf.nn.dropout", "rate": 1}),
        ("refuses rate 1", {"like": "tf.nn.dropout", "version": "1.8", "op_seed": 1, "rate": 1}),
        ("refuses rate 1", {"like": "tf_keras.layers.Dropout", "rate": 1}),
        ("refuses rate 1", {"like": "tensorflow.keras.layers.Dropout", "version": "2.0", "rate": 1}),
        ("refuses rate 1", {"like": "keras.layers.AlphaDropout", "backend": "jax", "rate": 1}),
        ("draws normals, no mask", {"like": "torch.randn"}),
        ("5056 bytes", {"like": "torch.nn.Dropout", "state": b"short", "shape": (2,)}),
    ],
)
def test_what_cannot_be_is_refused(said, arguments):
    with pytest.raises(UserError, match=said):
        predict(**arguments)


@pytest.mark.parametrize(
    ("why", "arguments"),
    [
        ("XLA", {"like": "tensorflow.function", "jit_compile": True}),
        ("no order", {"like": "tensorflow.function", "in_loop": True}),
        ("entropy", {"like": "tf.nn.dropout", "global_seed": False}),
        ("entropy", {"like": "tf.nn.dropout", "version": "1.8", "global_seed": False}),
        ("entropy", {"like": "tf_keras.layers.Dropout", "global_seed": False}),
        (
            "no order",
            {"like": "tf.nn.rnn_cell.DropoutWrapper", "loop": "dynamic", "parallel_iterations": 32, "shape": (2, 2)},
        ),
        ("no order", {"like": "tf_keras.layers.LSTM", "traced": True, "path": "cell", "shape": (2, 2)}),
        ("cuDNN", {"like": "torch.nn.LSTM", "backend": "cuda"}),
    ],
)
def test_streams_without_a_promise_say_why(why, arguments):
    with pytest.raises(Unpredictable, match=why):
        predict(**arguments)


def test_normals_are_promised_in_ulps():
    noise = predict_normal("torch.randn", "2.13", seed=7, shape=(4, 8))
    assert noise.values.shape == (4, 8)
    assert noise.values.dtype == np.float32
    assert noise.ulps == 8
    assert predict_normal("jax.random.normal", shape=(3,), dtype="float64", x64=True).ulps > noise.ulps
    values = predict_normal("tf.random.normal", seed=1, shape=(100_000,)).values
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("draws a mask, no normals", {"like": "torch.nn.Dropout"}),
        ("has no dtype float16", {"like": "torch.randn", "dtype": "float16"}),
        ("generator's `state`", {"like": "torch.randn", "call": 1}),
        ("takes seeds from 0", {"like": "keras.layers.GaussianNoise", "backend": "numpy", "seed": -1}),
    ],
)
def test_normals_that_cannot_be_are_refused(said, arguments):
    with pytest.raises(UserError, match=said):
        predict_normal(**arguments)


@pytest.mark.parametrize(
    ("like", "options", "kept"),
    [
        ("torch.nn.Dropout", {}, False),
        ("torch.compile", {}, False),
        ("flax.nnx.Dropout", {}, False),
        ("keras.layers.Dropout", {"backend": "tensorflow"}, False),
        ("tf_keras.layers.AlphaDropout", {}, True),
    ],
)
def test_rate_1_is_what_the_framework_makes_of_it(like, options, kept):
    assert (predict(like, shape=(50,), rate=1.0, **options).keep == kept).all()
    assert predict(like, shape=(50,), rate=0.0, **options).keep.all()


def test_all_problems_are_told_at_once():
    with pytest.raises(UserError) as caught:
        predict("torch.nn.Dropout", rate=2.0, call=-1, shape=(-1,))
    assert len(caught.value.problems) == 3


def test_two_rules_for_one_api_are_an_error():
    register = registry.rule("torch.nn.Dropout", stream="", measured=("2.5",), since="2.5", before="2.6")
    registry.known()
    with pytest.raises(ValueError, match=r"two rules for torch\.nn\.Dropout"):
        register(lambda query: None)


def test_rules_that_do_not_overlap_stand_side_by_side(monkeypatch):
    monkeypatch.setattr(registry, "_rules", {})
    monkeypatch.setattr(registry, "_loaded", True)
    registry.rule("a.b", stream="", measured=("1",), before="2")(lambda query: Decision((1,), constant=True))
    registry.rule("a.b", stream="", measured=("2",), since="2")(lambda query: Decision((1,), constant=False))
    assert predict("a.b", "1.9").keep
    assert not predict("a.b", "2").keep
    assert not predict("a.b").keep


def test_every_rule_is_measured_or_marked():
    for name, rules in registry.known().items():
        for rule in rules:
            assert rule.confirmed == bool(rule.measured), name
            assert rule.stream, name
            assert rule.function.__doc__, name


def test_abbreviations():
    assert registry.canonical("tf.nn.dropout") == "tensorflow.nn.dropout"
    assert registry.canonical("tf.contrib.rnn.DropoutWrapper") == "tensorflow.nn.rnn_cell.DropoutWrapper"
    assert registry.canonical("eqx.nn.Dropout") == "equinox.nn.Dropout"


# Thresholds: every level of the small dtypes, and the levels around the threshold of the large ones.
@settings(max_examples=200, deadline=None)
@given(rate=st.floats(0, 1), dtype=st.sampled_from(["float16", "bfloat16"]))
def test_thresholds_agree_with_the_dtype_at_every_level(rate, dtype):
    kind, bits = TYPES[dtype], {"float16": 10, "bfloat16": 7}[dtype]
    levels = np.arange(1 << bits)
    uniforms = (levels * 2.0**-bits).astype(kind)
    assert np.array_equal(levels >= at_least(bits, dtype, rate), uniforms >= kind(rate))
    keep = kind(np.float32(1 - rate))
    assert np.array_equal(levels >= floor_of_sum(bits, dtype, 1 - rate), np.floor(uniforms + keep) >= 1)


@settings(max_examples=200, deadline=None)
@given(rate=st.floats(0, 1), dtype=st.sampled_from(["float32", "float64"]))
def test_thresholds_agree_with_the_dtype_around_them(rate, dtype):
    kind, bits = TYPES[dtype], {"float32": 23, "float64": 52}[dtype]
    for least, kept in (
        (at_least(bits, dtype, rate), lambda u: u >= kind(rate)),
        (floor_of_sum(bits, dtype, 1 - rate), lambda u: np.floor(u + kind(np.float32(1 - rate))) >= 1),
    ):
        for level in range(max(least - 2, 0), min(least + 2, 1 << bits)):
            assert bool(kept(kind(level * 2.0**-bits))) == (level >= least)


def test_bfloat16_quantises_the_rate():
    mask = predict("tf.nn.dropout", seed=3, shape=(400_000,), rate=0.1, dtype="bfloat16").keep
    realised = 13 / 128  # the least level of 7 bits that reaches bfloat16(0.1)
    assert at_least(7, "bfloat16", 0.1) == 13
    assert abs(1 - mask.mean() - realised) < 5 * np.sqrt(realised / 400_000)
    assert ml_dtypes.bfloat16(0.1) > 12 / 128


def test_bisection_finds_none():
    assert threshold(4, lambda level: False) == 16
    assert threshold(4, lambda level: True) == 0


@pytest.mark.parametrize(
    "source",
    [
        lambda: Philox((1, 2), 3, 23),
        lambda: Philox((1, 2), 3, 52, pair="high_first"),
        lambda: Threefry((1, 2), 32, 23, 1000),
        lambda: Threefry((1, 2), 8, 7, 1000, partitionable=False),
        lambda: Threefry((1, 2), 64, 52, 1000, partitionable=False),
        lambda: Mersenne(lambda: __import__("harness.streams.mt19937").streams.mt19937.Stream(3), 53),
    ],
)
def test_a_mask_does_not_depend_on_chunks_or_threads(monkeypatch, source):
    whole = Decision((1000,), source(), 1 << 6).flat()
    monkeypatch.setattr(decision, "CHUNK", 37)
    monkeypatch.setattr(decision, "PARALLEL", 100)
    assert np.array_equal(Decision((1000,), source(), 1 << 6).flat(), whole)
    assert np.array_equal(Decision((1000,), source(), 1 << 6).flat(limit=77), whole[:77])


def test_a_sequential_source_refuses_to_jump():
    from harness.streams import mt19937

    source = Mersenne(lambda: mt19937.Stream(0), 24)
    source.levels(0, 10)
    with pytest.raises(ValueError, match="stands at 10"):
        source.levels(20, 30)


@pytest.mark.parametrize(
    ("like", "options"),
    [
        ("torch.nn.Dropout", {}),
        ("tf.nn.dropout", {}),
        ("jax.random.bernoulli", {}),
        ("torch.nn.Dropout", {"version": "2.6"}),
    ],
)
def test_memory_is_flat(like, options):
    count = 8_000_000
    predict(like, shape=(10,), **options)
    accelerate.prepare(count)  # importing Numba takes memory too
    tracemalloc.start()
    try:
        predict(like, shape=(count,), **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The mask is a byte an element; chunks may take a few megabytes beside it.
    assert peak < count + 24_000_000
