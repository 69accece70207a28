"""The torch tap beside the contract of taps: uniforms, nn.LSTM, torch's list of random operators, torch.compile."""

import numpy as np
import pytest

from harness.frameworks.torch.arrays import from_numpy, to_numpy
from harness.frameworks.torch.tap import _HANDLERS, UNTAGGED, TorchTap
from harness.tape import BERNOULLI, UNIFORM, Draw, TapeMismatch, decisions

torch = pytest.importorskip("torch")
functional = torch.nn.functional


DTYPES = ["float16", "bfloat16", "float32", "float64"]


def kept(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape) < 0.5


def test_masks_inside_a_stacked_lstm() -> None:
    """Both masks of three layers, time-major, come from the tape; forward and backward agree."""
    lstm = torch.nn.LSTM(5, 6, num_layers=3, dropout=0.5)
    x = torch.randn(7, 2, 5, requires_grad=True)
    tape = [Draw(BERNOULLI, np.zeros((7, 2, 6), dtype=bool)), Draw(BERNOULLI, kept(7, 2, 6))]
    with TorchTap(tape) as tap:
        y, _ = lstm(x)
        y.sum().backward()
    assert [draw.values.shape for draw in tap.draws] == [(7, 2, 6), (7, 2, 6)]
    # Nothing passes the first mask, so nothing reaches the input.
    assert not x.grad.any()
    assert lstm.weight_ih_l2.grad.any()


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
    wanted, like = kept(3, 4), torch.ones(3, 4, dtype=getattr(torch, dtype))
    for draw in (lambda: torch.rand(3, 4, dtype=like.dtype), lambda: torch.rand_like(like), like.uniform_):
        with TorchTap([Draw(BERNOULLI, wanted)], rule=rule) as tap:
            draw()
        assert tap.draws[0].kind == UNIFORM
        for rate in (0.1, 0.5, 0.9):
            np.testing.assert_array_equal(decisions(tap.draws[0], rate), wanted)


def test_uniforms_without_a_rule_cannot_be_replayed() -> None:
    with TorchTap() as tap:
        torch.rand(3)
    assert tap.draws[0].kind == UNIFORM
    with TorchTap([Draw(BERNOULLI, kept(3))]), pytest.raises(TapeMismatch, match="what it decides is unknown"):
        torch.rand(3)
    with TorchTap([Draw(BERNOULLI, kept(3))], rule="u < keep"), pytest.raises(TapeMismatch, match="unknown"):
        torch.empty(3).uniform_(-1.0, 1.0)


def test_what_it_handles_is_what_torch_calls_random() -> None:
    """A handler for an operator that torch does not tag would never be called; names that torch drops show here."""
    tagged = set()
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        overloads = packet.overloads() if hasattr(packet, "overloads") else ()
        if any(torch.Tag.nondeterministic_seeded in getattr(packet, overload).tags for overload in overloads):
            tagged.add(name)
    assert set(_HANDLERS) <= tagged
    assert not set(_HANDLERS) & set(UNTAGGED)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_travel_exactly(dtype: str) -> None:
    kind = __import__("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype
    array = np.random.default_rng(0).normal(size=(2, 3)).astype(kind)
    for given in (array, array.T, array[:, :0], array[0, 0]):
        tensor = from_numpy(np.asarray(given))
        assert tensor.dtype == getattr(torch, dtype)
        back = to_numpy(tensor)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, given)


@pytest.mark.slow
def test_masks_of_a_compiled_function_come_from_the_tape() -> None:
    """torch.compile keeps its graph under the tap, and draws from the tape when it uses torch's own random operators."""
    import torch._dynamo
    import torch._inductor.config as inductor

    compiled = torch.compile(lambda x: functional.dropout(x * 2.0, 0.5))
    x = torch.ones(4, 6, requires_grad=True)
    wanted = kept(4, 6)
    torch._dynamo.utils.counters.clear()
    with inductor.patch(fallback_random=True), TorchTap([Draw(BERNOULLI, wanted)]):
        y = compiled(x)
        y.sum().backward()
    assert torch._dynamo.utils.counters["frames"]["ok"] == 1
    np.testing.assert_array_equal(to_numpy(y) != 0, wanted)
    np.testing.assert_array_equal(to_numpy(x.grad) != 0, wanted)
