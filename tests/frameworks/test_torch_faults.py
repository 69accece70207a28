"""Faults that only a layer of torch's own kind can have, planted in its adapter: the contract's questions notice each.

Those that any adapter can have are in test_contract_power.py, and those of checks in tests/comparison/test_checks.py.
"""

from collections.abc import Callable
from typing import Any

import pytest

from harness.frameworks.torch import awd_lstm, embedding, locked, loops, native_lstm, weight_drop
from tests.frameworks.contract import asked
from tests.frameworks.trial import Trial

torch = pytest.importorskip("torch")
functional = torch.nn.functional

#: Makes the faulty thing of the right one.
Fault = Callable[[Any], Any]


def locked_turned(_original: Any) -> Any:
    """One draw, but each step takes another example's part of it."""

    def locked_dropout(x: Any, rate: float, train: bool) -> Any:
        if not train or not rate:
            return x
        mask = torch.empty(1, *x.shape[1:], dtype=x.dtype).bernoulli_(1.0 - rate) / (1.0 - rate)
        return x * torch.cat([mask.roll(step, 1) for step in range(len(x))])

    return locked_dropout


def c_is_dropped_too(original: Any) -> Any:
    """The mask of h on c as well (TensorFlow 1.3)."""
    return lambda self, built, layer, x, h, c: original(self, built, layer, x, h, c * (h != 0) if h.any() else c)


def first_gates_mask(original: Any) -> Any:
    """Four masks are drawn, the first is used for all gates."""
    return lambda entering, kernel, gates=4: original(entering[0] if entering.dim() == 3 else entering, kernel, gates)


def weights_of_columns(_original: Any) -> Any:
    """The mask (4H, 1) laid over columns: of the first H units."""

    def dropped(self: Any, raw: Any) -> Any:
        mask = functional.dropout(torch.ones(len(raw), 1, dtype=raw.dtype), self.site.rate, training=self.train)
        return raw * mask[: raw.shape[1]].t()

    return dropped


def words_by_occurrence(_original: Any) -> Any:
    """A new decision at every occurrence of a word."""

    def embedded_dropout(embedding: Any, tokens: Any, rate: float) -> Any:
        y = embedding(tokens)
        return functional.dropout(torch.ones(*tokens.shape, 1, dtype=y.dtype), rate, training=rate > 0) * y

    return embedded_dropout


def decoder_of_its_own(original: Any) -> Any:
    """The decoder starts as the embedding and then goes its own way."""

    def build(self: Any, job: Any, weights: Any) -> Any:
        encoder, layers, decoder = original(self, job, weights)
        decoder.weight = torch.nn.Parameter(encoder.weight.detach().clone())
        return encoder, layers, decoder

    return build


def layers_exchanged(original: Any) -> Any:
    """The last h of the layers in another order."""

    def run(self: Any, built: Any, x: Any, state: Any) -> Any:
        y, h, c = original(self, built, x, state)
        return y, h.flip(0), c

    return run


def projection_not_transposed(original: Any) -> Any:
    """Gradients of the projection in another order."""

    def layer_leaves(module: Any, stack: Any, prefix: str, suffix: str) -> Any:
        found = original(module, stack, prefix, suffix)
        tensor, _ = found["projection"]
        return {**found, "projection": (tensor, lambda gradient: gradient.reshape(gradient.shape[::-1]))}

    return layer_leaves


LSTM = ("lstm", "torch.nn.LSTM")

#: The layer kind, the implementation and its case; where the fault is put; the question that it fails.
FAULTS: dict[str, tuple[tuple[str, str, str], Any, str, Fault, str]] = {
    "locked mask used unlocked": (
        ("lstm", "recipe.LockedDropout", "locked"), locked, "locked_dropout", locked_turned, "own values"),
    "c dropped": (("lstm", "torch.nn.LSTMCell", "stack"), loops.CellStack, "step", c_is_dropped_too, "own values"),
    "a gate's mask reused": (("lstm", "recipe.lstm_loop", "gatewise"), loops, "product", first_gates_mask, "own values"),
    "rows for columns": (
        ("lstm", "recipe.WeightDrop", "rows"), weight_drop.WeightDrop, "dropped", weights_of_columns, "own values"),
    "occurrences for words": (
        ("embedding", "recipe.embedded_dropout", "rows"), embedding, "embedded_dropout", words_by_occurrence, "own sites"),
    "untied decoder": (
        ("awd_lstm", "recipe.AWD_LSTM", "tied"), awd_lstm.AwdLstm, "build", decoder_of_its_own, "own values"),
    "layers' states exchanged": ((*LSTM, "stack"), native_lstm.NativeStack, "run", layers_exchanged, "own values"),
    "lengths forgotten": (
        (*LSTM, "packed"), native_lstm.NativeStack, "packed", lambda _: property(lambda self: False), "own values"),
    "projection's gradient": (
        (*LSTM, "forget bias"), native_lstm, "layer_leaves", projection_not_transposed, "own values"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at, owner, attribute, fault, question = FAULTS[name]
    assert not list(asked(Trial("torch", *at), question))
    monkeypatch.setattr(owner, attribute, fault(getattr(owner, attribute)))
    assert list(asked(Trial("torch", *at), question))
