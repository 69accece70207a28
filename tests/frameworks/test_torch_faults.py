"""Faults planted in the torch systems themselves: each is caught, by the check that exists for it.

A case goes the whole way, through the worker's own loop, in this process.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.comparison.context import Context
from harness.execution import messages
from harness.execution.plan import passes_of
from harness.frameworks.torch import base as torch_base
from harness.frameworks.torch import embedding as torch_embedding
from harness.frameworks.torch import locked as torch_locked
from harness.frameworks.torch import loops as torch_loops
from harness.frameworks.torch import native_lstm as torch_native_lstm
from harness.frameworks.torch import weight_drop as torch_weight_drop
from harness.frameworks.torch.awd_lstm import AwdLstm
from harness.layers.base import DropoutSpec, kinds
from harness.records import ArraySpec, BackendRef, Variant, Verdict
from harness.running import conclude
from harness.worker.serve import Server
from tests.frameworks.adapter_jobs import FULL, at
from tests.frameworks.tables.torch import AWD, MODEL

torch = pytest.importorskip("torch")

Patch = Callable[[pytest.MonkeyPatch], None]


def variant(
    layer: str, config: Mapping[str, Any], dropout: Sequence[Mapping[str, Any]], backend: BackendRef
) -> Variant:
    """A case for one implementation, large enough that no check lacks data."""
    kind = kinds()[layer]
    settings = kind.Config.model_validate(dict(config))
    tokens = layer in ("embedding", "awd_lstm")
    shapes = {"x": (8, 7) if tokens else (8, 7, 10)}
    inputs = {"x": ArraySpec(shapes["x"], fill="normal", seed=1)}
    if tokens:
        inputs["x"] = ArraySpec(shapes["x"], fill="integers", low=0, high=config["vocabulary"] - 1, seed=1)
    if config.get("padding"):
        shapes["lengths"] = (8,)
        inputs["lengths"] = ArraySpec((8,), values=[3, 7, 1, 6, 2, 5, 4, 7])
    weights = kind.weight_shapes(settings, shapes)
    return Variant(
        id="planted.yaml",
        path="planted.yaml",
        about="",
        layer=layer,
        config=settings,
        sites=kind.sites(settings, [DropoutSpec.model_validate(dict(one)) for one in dropout], shapes),
        inputs=inputs,
        weights={name: ArraySpec(shape, fill="uniform", seed=2) for name, shape in weights.items()},
        seeds=(0, 1),
        mode="train",
        draws="native",
        dtype="float32",
        gradients=True,
        backends=(backend,),
    )


@dataclass
class System:
    """One implementation and a case for it."""

    layer: str
    name: str
    config: Mapping[str, Any]
    dropout: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)

    def failed(self) -> set[str]:
        """The checks that do not pass."""
        backend = BackendRef("torch", self.name, options=self.options)
        case = variant(self.layer, self.config, self.dropout, backend)
        context = Context(case)
        passes = passes_of(case)
        answer, arrays = Server("torch").answer(*messages.request(case, backend, passes, *context.arrays()))
        result = messages.result(case, backend, passes, answer, arrays, recipe=False)
        rows = conclude(result, context, datetime.date(2026, 11, 20)).rows
        assert rows
        assert not {row.check: row.cause for row in rows if row.verdict in (Verdict.ERROR, Verdict.UNSUPPORTED)}
        return {row.check for row in rows if row.verdict is not Verdict.PASS}


WIDE = {**FULL, "units": 12}
LOCKED = System(
    "lstm",
    "recipe.LockedDropout",
    {**WIDE, "layers": 2},
    [at("input", 0.4, "gates", "time"), at("between_layers", 0.4, "time"), at("output", 0.4, "time")],
)
VARIATIONAL = System("lstm", "recipe.lstm_loop", WIDE, [at("input", 0.4, "time"), at("state.h", 0.4, "time")])
CELL = System("lstm", "torch.nn.LSTMCell", WIDE, [at("state.h", 0.4, "gates", "time"), at("output", 0.4)])
DROPPED = System("lstm", "recipe.WeightDrop", {**WIDE, "layers": 2}, [at("weight.recurrent", 0.4, "inputs")])
WORDS = System("embedding", "recipe.embedded_dropout", {"vocabulary": 30, "features": 6}, AWD[:1])
LANGUAGE = System("awd_lstm", "recipe.AWD_LSTM", {**MODEL, "tied": True, "units": 8, "vocabulary": 30}, AWD)
TWO_WAYS = System("lstm", "torch.nn.LSTM", {**WIDE, "layers": 2, "bidirectional": True}, [at("between_layers", 0.4)])
PACKED = System("lstm", "torch.nn.LSTM", {**WIDE, "layers": 2, "padding": "zeros"}, [at("between_layers", 0.4)])
NARROW = System("lstm", "torch.nn.LSTM", {**WIDE, "projection": 5}, [at("output", 0.4)])
PLAIN = System("dropout", "torch.nn.Dropout", {"rate": 0.3}, [])
SYSTEMS = {name: value for name, value in list(globals().items()) if isinstance(value, System)}


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_a_fault_every_check_passes(name: str) -> None:
    assert SYSTEMS[name].failed() == set()


# --- faults ---------------------------------------------------------------------------------------------------------


def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Patch:
    """Put `make(original)` in the place of an attribute."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return patch


def locked_anew(_original: Any) -> Any:
    """A mask for each step instead of one for all."""

    def locked_dropout(x: Any, rate: float, train: bool) -> Any:
        return torch.nn.functional.dropout(x, rate, training=train)

    return locked_dropout


def locked_turned(_original: Any) -> Any:
    """One draw, but each step takes another example's part of it."""

    def locked_dropout(x: Any, rate: float, train: bool) -> Any:
        if not train or not rate:
            return x
        mask = torch.empty(1, *x.shape[1:]).bernoulli_(1.0 - rate) / (1.0 - rate)
        return x * torch.cat([mask.roll(step, 1) for step in range(len(x))])

    return locked_dropout


def locked_unscaled(_original: Any) -> Any:
    def locked_dropout(x: Any, rate: float, train: bool) -> Any:
        return x * torch.empty(1, *x.shape[1:]).bernoulli_(1.0 - rate) if train and rate else x

    return locked_dropout


def c_is_dropped_too(original: Any) -> Any:
    """The mask of h on c as well (TensorFlow 1.3)."""

    def step(self: Any, built: Any, layer: int, x: Any, h: Any, c: Any) -> Any:
        return original(self, built, layer, x, h, c * (h != 0) if self.job.train and h.any() else c)

    return step


def first_gates_mask(original: Any) -> Any:
    """Four masks are drawn, the first is used for all gates."""

    def product(entering: Any, kernel: Any, gates: int = 4) -> Any:
        return original(entering[0] if entering.dim() == 3 else entering, kernel, gates)

    return product


def rate_is_keep(original: Any) -> Any:
    def draw_mask(site: Any, shape: Any, like: Any) -> Any:
        return original(site._replace(rate=1.0 - site.rate), shape, like)

    return draw_mask


def weights_unscaled(original: Any) -> Any:
    def dropped(self: Any, raw: Any) -> Any:
        return original(self, raw) * (1.0 - self.site.rate if self.train else 1.0)

    return dropped


def weights_of_columns(_original: Any) -> Any:
    """The mask (4H, 1) laid over columns: of the first H units."""

    def dropped(self: Any, raw: Any) -> Any:
        if not self.train:
            return raw
        mask = torch.nn.functional.dropout(torch.ones(len(raw), 1), self.site.rate)
        return raw * mask[: raw.shape[1]].t()

    return dropped


def words_unscaled(_original: Any) -> Any:
    def embedded_dropout(embedding: Any, tokens: Any, rate: float) -> Any:
        weight = embedding.weight
        if rate:
            weight = weight * torch.empty(len(weight), 1).bernoulli_(1.0 - rate)
        return torch.nn.functional.embedding(tokens, weight)

    return embedded_dropout


def words_by_occurrence(_original: Any) -> Any:
    """A new decision at every occurrence of a word."""

    def embedded_dropout(embedding: Any, tokens: Any, rate: float) -> Any:
        y = embedding(tokens)
        return torch.nn.functional.dropout(torch.ones(*tokens.shape, 1), rate, training=rate > 0) * y

    return embedded_dropout


def decoder_of_its_own(original: Any) -> Any:
    """The decoder starts as the embedding and then goes its own way."""

    def build(self: Any, job: Any, weights: Any) -> Any:
        encoder, layers, decoder = original(self, job, weights)
        decoder.weight = torch.nn.Parameter(encoder.weight.detach().clone())
        return encoder, layers, decoder

    return build


def states_of_layers_swapped(original: Any) -> Any:
    def run(self: Any, built: Any, x: Any, state: Any) -> Any:
        y, h, c = original(self, built, x, state)
        return y, h.flip(0), c

    return run


def h_for_c(original: Any) -> Any:
    def run(self: Any, built: Any, x: Any, state: Any) -> Any:
        y, h, c = original(self, built, x, state)
        return y, c, h

    return run


def lengths_forgotten(_original: Any) -> Any:
    return property(lambda self: False)


def projection_not_transposed(original: Any) -> Any:
    """Gradients of the projection in another order."""

    def layer_leaves(module: Any, stack: Any, prefix: str, suffix: str) -> Any:
        found = original(module, stack, prefix, suffix)
        tensor, _ = found["projection"]
        return {**found, "projection": (tensor, lambda gradient: gradient.reshape(gradient.shape[::-1]))}

    return layer_leaves


def always_training(original: Any) -> Any:
    return lambda self, job, tap: original(self, job._replace(mode="train"), tap)


def unseeded(_original: Any) -> Any:
    return lambda seed: torch.seed()


def one_seed(original: Any) -> Any:
    return lambda seed: original(7)


FAULTS: dict[str, tuple[System, Patch, set[str]]] = {
    "locked mask drawn at each step": (LOCKED, replaced(torch_locked, "locked_dropout", locked_anew), {"mask.sites"}),
    "locked mask used unlocked": (LOCKED, replaced(torch_locked, "locked_dropout", locked_turned), {"value.y"}),
    "locked mask unscaled": (LOCKED, replaced(torch_locked, "locked_dropout", locked_unscaled), {"value.y"}),
    "c dropped": (CELL, replaced(torch_loops.CellStack, "step", c_is_dropped_too), {"value.c"}),
    "a gate's mask reused": (
        VARIATIONAL,
        replaced(torch_loops, "product", first_gates_mask),
        {"value.y", "gradient.kernel"},
    ),
    "keep probability for rate": (VARIATIONAL, replaced(torch_loops, "draw_mask", rate_is_keep), {"mask.rate"}),
    "dropped weights unscaled": (
        DROPPED,
        replaced(torch_weight_drop.WeightDrop, "dropped", weights_unscaled),
        {"value.y", "gradient.layer0.recurrent_kernel"},
    ),
    "rows for columns": (
        DROPPED,
        replaced(torch_weight_drop.WeightDrop, "dropped", weights_of_columns),
        {"value.y", "gradient.layer0.recurrent_kernel"},
    ),
    "dropped words unscaled": (WORDS, replaced(torch_embedding, "embedded_dropout", words_unscaled), {"value.y"}),
    "occurrences for words": (
        WORDS,
        replaced(torch_embedding, "embedded_dropout", words_by_occurrence),
        {"mask.sites"},
    ),
    "untied decoder": (LANGUAGE, replaced(AwdLstm, "build", decoder_of_its_own), {"gradient.embedding"}),
    "layers' states swapped": (
        TWO_WAYS,
        replaced(torch_native_lstm.NativeStack, "run", states_of_layers_swapped),
        {"value.h"},
    ),
    "h for c": (
        TWO_WAYS,
        replaced(torch_native_lstm.NativeStack, "run", h_for_c),
        {"state.order", "value.h", "value.c"},
    ),
    "lengths forgotten": (PACKED, replaced(torch_native_lstm.NativeStack, "packed", lengths_forgotten), {"value.h"}),
    "projection's gradient": (
        NARROW,
        replaced(torch_native_lstm, "layer_leaves", projection_not_transposed),
        {"gradient.projection"},
    ),
    "evaluation that trains": (PLAIN, replaced(torch_base.TorchAdapter, "call", always_training), {"mask.sites"}),
    "no seed": (PLAIN, replaced(torch, "manual_seed", unseeded), {"mask.same_seed"}),
    "one seed for all": (PLAIN, replaced(torch, "manual_seed", one_seed), {"mask.other_seed"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_by_its_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system, patch, expected = FAULTS[name]
    patch(monkeypatch)
    assert expected <= system.failed()


def test_no_gradient_to_the_raw_weight_is_caught() -> None:
    """Here the fault is an option, because people have it: the dropped weight in a Parameter of its own."""
    broken = System(DROPPED.layer, DROPPED.name, DROPPED.config, DROPPED.dropout, {"wrap": "parameter"})
    assert broken.failed() == {"gradient.layer0.recurrent_kernel", "gradient.layer1.recurrent_kernel"}


def test_dropout_in_evaluation_is_caught() -> None:
    published = System(DROPPED.layer, DROPPED.name, DROPPED.config, DROPPED.dropout, {"always": True})
    assert published.failed() == {"identity.eval"}


def test_dropout_lost_by_a_compiled_lstm_is_caught() -> None:
    config = {**WIDE, "layers": 2}
    options = {"compile": "aot_eager", "allow_rnn": True}
    assert System("lstm", "torch.nn.LSTM", config, [at("between_layers", 0.4)], options).failed() == {"mask.sites"}
