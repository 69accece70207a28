"""The torch tap: what it records, what it replays, and what it refuses to let pass unseen."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.frameworks.torch.arrays import from_numpy, to_numpy
from harness.frameworks.torch.tap import TorchTap, untapped
from harness.tape import BERNOULLI, NORMAL, UNIFORM, Draw, TapeMismatch, decisions, standard_normal

torch = pytest.importorskip("torch")
functional = torch.nn.functional


DTYPES = ["float16", "bfloat16", "float32", "float64"]
SHAPE = (3, 4, 5)


def kept(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.5


def ones(dtype: str = "float32", grad: bool = False) -> Any:
    return torch.ones(SHAPE, dtype=getattr(torch, dtype), requires_grad=grad)


DROPOUTS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "dropout": (lambda x: functional.dropout(x, 0.4), SHAPE),
    "inplace": (lambda x: functional.dropout(x.clone(), 0.4, inplace=True), SHAPE),
    "dropout1d": (lambda x: functional.dropout1d(x, 0.4), (3, 4, 1)),
    "dropout2d": (lambda x: functional.dropout2d(x[None], 0.4), (1, 3, 1, 1)),
    "alpha": (lambda x: functional.alpha_dropout(x, 0.4, training=True), SHAPE),
    "feature_alpha": (lambda x: functional.feature_alpha_dropout(x, 0.4, training=True), (3, 4, 1)),
    "native": (lambda x: torch.native_dropout(x, 0.4, True)[0], SHAPE),
    "bernoulli_": (lambda x: x * torch.empty_like(x).bernoulli_(0.6), SHAPE),
    "bernoulli_ of a tensor": (lambda x: x * torch.empty_like(x).bernoulli_(torch.full(SHAPE, 0.6)), SHAPE),
    "bernoulli": (lambda x: x * torch.bernoulli(torch.full_like(x, 0.6)), SHAPE),
    "bernoulli with p": (lambda x: x * torch.bernoulli(x.detach(), 0.6), SHAPE),
}


@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_decisions_are_recorded_and_replayed(name: str, dtype: str) -> None:
    function, shape = DROPOUTS[name]
    torch.manual_seed(0)
    with TorchTap() as tap:
        y = function(ones(dtype))
    (draw,) = tap.draws
    assert (draw.kind, draw.values.dtype, draw.values.shape) == (BERNOULLI, bool, shape)
    assert draw.params["keep"] == pytest.approx(0.6, rel=2**-8)  # as a tensor, the probability has its dtype
    torch.manual_seed(0)
    assert torch.equal(y, function(ones(dtype))), "the tap changed what is drawn"

    wanted = kept(shape)
    for grad in (False, True):
        x = ones(dtype, grad=grad)
        with TorchTap([Draw(BERNOULLI, wanted)]) as replay, torch.set_grad_enabled(grad):
            y = function(x)
        assert not replay.replay
        np.testing.assert_array_equal(replay.draws[0].values, wanted)
        high = to_numpy(y).astype(np.float64) == float(to_numpy(y).astype(np.float64).max())
        np.testing.assert_array_equal(high.reshape(SHAPE), np.broadcast_to(wanted, y.shape).reshape(SHAPE))
        if grad:
            y.sum().backward()
            np.testing.assert_array_equal(
                (to_numpy(x.grad) != 0).reshape(SHAPE), np.broadcast_to(wanted, y.shape).reshape(SHAPE)
            )


@pytest.mark.parametrize("name", DROPOUTS)
def test_replaying_what_was_recorded_gives_the_same_bits(name: str) -> None:
    function, _ = DROPOUTS[name]
    x = torch.randn(SHAPE)
    with TorchTap() as tap:
        y = function(x)
    with TorchTap(tap.draws):
        assert torch.equal(function(x), y)


def test_masks_inside_a_stacked_lstm() -> None:
    """Both masks of three layers, time-major, come from the tape; forward and backward agree."""
    lstm = torch.nn.LSTM(5, 6, num_layers=3, dropout=0.5)
    x = torch.randn(7, 2, 5, requires_grad=True)
    tape = [Draw(BERNOULLI, np.zeros((7, 2, 6), dtype=bool)), Draw(BERNOULLI, kept((7, 2, 6)))]
    with TorchTap(tape) as tap:
        y, _ = lstm(x)
        y.sum().backward()
    assert [draw.values.shape for draw in tap.draws] == [(7, 2, 6), (7, 2, 6)]
    # Nothing passes the first mask, so nothing reaches the input.
    assert not x.grad.any()
    assert lstm.weight_ih_l2.grad.any()


NORMALS: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "randn": (lambda like: torch.randn(SHAPE, dtype=like.dtype), 0.0, 1.0),
    "randn_like": (torch.randn_like, 0.0, 1.0),
    "normal_": (lambda like: torch.empty_like(like).normal_(2.0, 0.5), 2.0, 0.5),
    "normal with a size": (lambda like: torch.normal(2.0, 0.5, SHAPE, dtype=like.dtype), 2.0, 0.5),
    "normal of a tensor": (lambda like: torch.normal(torch.full_like(like, 2.0), 0.5), 2.0, 0.5),
    "normal of a spread": (lambda like: torch.normal(2.0, torch.full_like(like, 0.5)), 2.0, 0.5),
}


@pytest.mark.parametrize("name", NORMALS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_normals(name: str, dtype: str) -> None:
    function, mean, stddev = NORMALS[name]
    with TorchTap() as tap:
        values = function(ones(dtype))
    (draw,) = tap.draws
    assert draw.kind == NORMAL
    assert draw.params == {"mean": mean, "stddev": stddev}
    np.testing.assert_array_equal(draw.values, to_numpy(values))
    # Quarters are exact in every dtype.
    standard = np.random.default_rng(0).integers(-8, 9, SHAPE) / 4
    with TorchTap([Draw(NORMAL, standard)]) as replay:
        values = function(ones(dtype))
    np.testing.assert_array_equal(to_numpy(values).astype(np.float64), mean + stddev * standard)
    np.testing.assert_array_equal(standard_normal(replay.draws[0]), standard)


def test_a_recorded_draw_is_not_changed_afterwards() -> None:
    with TorchTap() as tap:
        values = torch.randn(10)
        before = tap.draws[0].values.copy()
        values.mul_(2.0)
    np.testing.assert_array_equal(tap.draws[0].values, before)


@pytest.mark.parametrize("rule", ["u < keep", "u >= rate", "floor(keep + u)"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_uniforms_decide_as_the_tape_says(rule: str, dtype: str) -> None:
    """Whatever the rate, the replayed uniforms give the tape's decisions by the rule."""
    wanted = kept()
    for draw in (lambda: torch.rand(SHAPE, dtype=getattr(torch, dtype)), lambda: torch.rand_like(ones(dtype))):
        with TorchTap([Draw(BERNOULLI, wanted)], rule=rule) as tap:
            draw()
        assert tap.draws[0].kind == UNIFORM
        for rate in (0.1, 0.5, 0.9):
            np.testing.assert_array_equal(decisions(tap.draws[0], rate), wanted)


def test_uniforms_without_a_rule_cannot_be_replayed() -> None:
    with TorchTap() as tap:
        torch.rand(3)
    assert tap.draws[0].kind == UNIFORM
    with TorchTap([Draw(BERNOULLI, kept((3,)))]), pytest.raises(TapeMismatch, match="what it decides is unknown"):
        torch.rand(3)
    with TorchTap([Draw(BERNOULLI, kept((3,)))], rule="u < keep"), pytest.raises(TapeMismatch, match="unknown"):
        torch.empty(3).uniform_(-1.0, 1.0)


UNKNOWN: dict[str, Callable[[], Any]] = {
    "randint": lambda: torch.randint(0, 5, (3,)),
    "randperm": lambda: torch.randperm(5),
    "multinomial": lambda: torch.multinomial(torch.ones(5), 2),
    "exponential_": lambda: torch.empty(3).exponential_(),
    "random_": lambda: torch.empty(3).random_(),
    "poisson": lambda: torch.poisson(torch.ones(3)),
    "binomial": lambda: torch.binomial(torch.ones(3), torch.full((3,), 0.5)),
    "dirichlet": lambda: torch._sample_dirichlet(torch.ones(3)),
    "rrelu": lambda: functional.rrelu(torch.ones(3), training=True),
    "out": lambda: torch.bernoulli(torch.ones(3), out=torch.empty(3)),
    "several spreads": lambda: torch.normal(0.0, torch.tensor([1.0, 2.0])),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_randomness_that_it_does_not_understand_is_an_error(name: str) -> None:
    with TorchTap() as tap, pytest.raises(TapeMismatch, match=r"does not understand|does not follow|several values"):
        UNKNOWN[name]()
    assert tap.draws == []


def test_what_it_handles_is_what_torch_calls_random() -> None:
    """A handler for an operator that torch does not tag would never be called; names that torch drops show here."""
    from harness.frameworks.torch import tap as torch_tap

    tagged = set()
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        overloads = packet.overloads() if hasattr(packet, "overloads") else ()
        if any(torch.Tag.nondeterministic_seeded in getattr(packet, overload).tags for overload in overloads):
            tagged.add(name)
    assert set(torch_tap._HANDLERS) <= tagged
    assert not set(torch_tap._HANDLERS) & set(torch_tap.UNTAGGED)


def test_operators_that_may_draw_pass_where_they_do_not() -> None:
    x = torch.randn(1, 2, 3, 4)
    with TorchTap() as tap:
        functional.scaled_dot_product_attention(x, x, x)
        functional.rrelu(x, training=False)
        functional.dropout(x, 0.5, training=False)
        torch.native_dropout(x, 0.5, False)
        functional.dropout(x, 0.0)
        functional.dropout(x, 1.0)
        torch.nn.LSTM(4, 5, num_layers=2, dropout=0.5).eval()(x[0])
    assert tap.draws == []


def test_initialisation_is_not_dropout() -> None:
    """Draws into parameters are not recorded; `untapped` covers initialisers that draw into plain tensors."""
    with TorchTap() as tap:
        torch.nn.LSTM(3, 4)
        torch.nn.Embedding(5, 6)
        torch.nn.Linear(3, 4)
        with untapped():
            torch.empty(5).uniform_(-0.1, 0.1)
        assert tap.draws == []
        functional.dropout(torch.ones(3), 0.5)
    assert len(tap.draws) == 1


def test_a_tape_that_does_not_fit() -> None:
    x = torch.ones(3)
    with TorchTap([]), pytest.raises(TapeMismatch, match="the tape has ended"):
        functional.dropout(x, 0.5)
    with TorchTap([Draw(BERNOULLI, kept((4,)))]), pytest.raises(TapeMismatch, match=r"\(3,\).*\(4,\)"):
        functional.dropout(x, 0.5)
    with TorchTap([Draw(NORMAL, np.zeros(3))]), pytest.raises(TapeMismatch, match="normal"):
        functional.dropout(x, 0.5)


def test_taps_do_not_outlive_their_block() -> None:
    with pytest.raises(TapeMismatch, match="ended"), TorchTap([]):
        functional.dropout(torch.ones(3), 0.5)
    with TorchTap() as tap:
        functional.dropout(torch.ones(3), 0.5)
    functional.dropout(torch.ones(3), 0.5)
    assert len(tap.draws) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_travel_exactly(dtype: str) -> None:
    array = (
        np.random.default_rng(0)
        .normal(size=(2, 3))
        .astype(__import__("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
    )
    for given in (array, array.T, array[:, :0], array[0, 0]):
        tensor = from_numpy(np.asarray(given))
        assert tensor.dtype == getattr(torch, dtype)
        back = to_numpy(tensor)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, given)


def test_importing_the_adapters_imports_no_torch() -> None:
    code = "import sys, harness.frameworks.contract.adapter as b; b.implementations(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_masks_of_a_compiled_function_come_from_the_tape() -> None:
    """torch.compile keeps its graph under the tap, and draws from the tape when it uses torch's own random operators."""
    import torch._dynamo
    import torch._inductor.config as inductor

    compiled = torch.compile(lambda x: functional.dropout(x * 2.0, 0.5))
    x = torch.ones(4, 6, requires_grad=True)
    wanted = kept((4, 6))
    torch._dynamo.utils.counters.clear()
    with inductor.patch(fallback_random=True), TorchTap([Draw(BERNOULLI, wanted)]):
        y = compiled(x)
        y.sum().backward()
    assert torch._dynamo.utils.counters["frames"]["ok"] == 1
    np.testing.assert_array_equal(to_numpy(y) != 0, wanted)
    np.testing.assert_array_equal(to_numpy(x.grad) != 0, wanted)
