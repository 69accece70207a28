"""The AWD-LSTM language model and the embedding layer, in any JAX library and in plain JAX.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182): rows of the embedding are
dropped for the whole minibatch, every recurrent kernel is dropped once a call, and dropout stands on the embedded words, between
the layers and on the last output (locked where the case shares it over time). A library gives `embed` and `decode` beside its
cell and its dropout.

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, Unsupported, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, whole_slots
from harness.adapters.jax_lstm import factor
from harness.adapters.jax_lstm_step import Cell, Walk, run_layer
from harness.adapters.jax_stack import (
    DropOf,
    Part,
    SequenceOf,
    StackAdapter,
    State,
    Weights,
    halves,
    layers_of,
    places,
    run_layers,
    weight_prefix,
)
from harness.tape import Slot

ROWS = "embedding.rows"
SETTINGS: Tuple[str, ...] = (*PLAIN_SETTINGS, "vocabulary", "features")

WeightsOf = Dict[Tuple[str, int, int], Weights]


def rows_part(job: Job) -> Optional[Part]:
    """The active dropout of the embedding's rows as a mask on the table, (V, E or 1), which the whole batch shares."""
    site = job.site(ROWS)
    if site is None or not active(job, site):
        return None
    return Part(site, (0,), site.shape[1:])


def check_rows(job: Job) -> None:
    """Raise Unsupported for rows that are dropped for each example: a table has no batch axis."""
    site = job.site(ROWS)
    if site is not None and "batch" not in site.shared:
        raise Unsupported("%s: the dropout stands on the table, so the batch shares its mask" % ROWS)


def start_of(job: Job, arrays: Dict[str, Any], weights: WeightsOf, dtype: Any) -> List[List[State]]:
    """Each layer's initial state, zero where the job has none."""
    import jax.numpy as jnp

    states = []
    for half, number, way in places(job):
        zeros = jnp.zeros((arrays["x"].shape[0], weights[half.sites, number, way].units), dtype)
        h0, c0 = (arrays.get("layer%d.%s" % (number, name), zeros) for name in ("h0", "c0"))
        states.append([(h0, c0)])
    return states


def model_outputs(job: Job, y: Any, states: List[List[State]]) -> Dict[str, Any]:
    """The logits, and each layer's last state where it is returned."""
    outputs = {"y": y}
    if job.config.get("return_state"):
        for number, ((h, c),) in enumerate(states):
            outputs.update({"layer%d.h" % number: h, "layer%d.c" % number: c})
    return outputs


class Language(StackAdapter):
    """The language model of a library; put this before the library's LSTM among the bases. Subclasses write `embed`, `decode`."""

    sites = (ROWS, "input", "between_layers", "output", "weight.recurrent")
    settings: Tuple[str, ...] = SETTINGS

    def check(self, job: Job) -> None:
        """As a stack, whose weights' sites are numbered here; rows are dropped for the whole batch."""
        numbered = tuple(
            site._replace(at=site.at.split(".", 1)[1]) for site in job.sites if site.at.startswith("layer")
        )
        others = tuple(site for site in job.sites if not site.at.startswith("layer"))
        super(Language, self).check(job._replace(sites=others + numbered))
        check_rows(job)

    def slots(self, job: Job) -> List[Slot]:
        """The weights, the rows, then in the order of the model."""
        found = super(Language, self).slots(job)
        weights = sum(len(self.weight_parts(job, *place)) for place in places(job))
        return found[:weights] + [self.slot(part) for part in self.drawn(rows_part(job))] + found[weights:]

    def pipeline(
        self, job: Job, arrays: Dict[str, Any], weights: WeightsOf, sequence: SequenceOf, drop: DropOf
    ) -> Dict[str, Any]:
        """Embedding, layers, decoder. The decoder has the raw table where weights are tied."""
        (half,) = halves(job)
        table = arrays["embedding"]
        part = rows_part(job)
        x = self.embed(table if part is None else drop(part, table), arrays["x"])
        states = start_of(job, arrays, weights, x.dtype)
        x, states = run_layers(job, half, x, states, None, weights, sequence, drop)
        tied = job.config.get("tied", False)
        y = self.decode(x, table if tied else arrays["decoder.kernel"], arrays["decoder.bias"], tied)
        return model_outputs(job, y, states)

    def embed(self, table: Any, tokens: Any) -> Any:
        """Rows of table (V, E) at tokens (B, T), by the library's embedding."""
        raise NotImplementedError

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """Logits (B, T, V) of x (B, T, ·), by the library's linear layer; tied: kernel is the table (V, E)."""
        raise NotImplementedError


class EmbeddingAdapter(JaxAdapter):
    """An embedding with dropped rows. Subclasses write `drop` and `embed`."""

    sites = (ROWS,)
    settings: Tuple[str, ...] = SETTINGS
    draws_at_one = False

    def check(self, job: Job) -> None:
        """Rows are dropped for the whole batch, and scaled."""
        super(EmbeddingAdapter, self).check(job)
        check_rows(job)
        if any(site.scale != "inverted" for site in job.sites):
            raise Unsupported("the dropout layer always scales")

    def slots(self, job: Job) -> List[Slot]:
        """One mask of the table."""
        found = whole_slots(job, [site for site in job.sites if site.rate < 1.0 or self.draws_at_one])
        return [slot._replace(shape=self.drawn_shape(job, slot), place=(0,)) for slot in found]

    def drawn_shape(self, job: Job, slot: Slot) -> Tuple[int, ...]:
        """The shape that the library draws."""
        return slot.canonical[1:]

    def function(self, job: Job) -> Function:
        """Drop, then look up."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            part, table = rows_part(job), arrays["embedding"]
            return {"y": self.embed(table if part is None else self.drop(part, key, table), arrays["x"])}

        return call

    def drop(self, part: Part, key: Any, table: Any) -> Any:
        """The library's dropout on the table."""
        raise NotImplementedError

    def embed(self, table: Any, tokens: Any) -> Any:
        """Rows of table (V, E) at tokens (B, T), by the library's embedding."""
        raise NotImplementedError


@implementation("jax.numpy.take", ["jax"], "embedding", needs=["jax"], recipe=True)
class Take(JaxAdapter):
    """take(table * mask, tokens): a mask for each example too."""

    sites = (ROWS,)
    noises = ("bernoulli", "gaussian")
    settings: Tuple[str, ...] = SETTINGS

    def slots(self, job: Job) -> List[Slot]:
        """One mask in its canonical shape; none at rate 1."""
        return whole_slots(job, [site for site in job.sites if site.rate < 1.0])

    def function(self, job: Job) -> Function:
        """The lookup."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            table, site = arrays["embedding"], job.site(ROWS)
            if site is None or not active(job, site):
                return {"y": lookup(table[None], arrays["x"])}
            return {"y": lookup(table[None] * factor(site, key, table.dtype), arrays["x"])}

        return call


def lookup(tables: Any, tokens: Any) -> Any:
    """Rows of tables (1 or B, V, E) at tokens (B, T)."""
    import jax.numpy as jnp

    if tables.shape[0] == 1:
        return jnp.take(tables[0], tokens, axis=0)
    return tables[jnp.arange(tokens.shape[0])[:, None], tokens]


@implementation("jax.lax.scan", ["jax"], "awd_lstm", needs=["jax"], recipe=True)
class Scan(JaxAdapter):
    """The model in plain JAX; masks in the order of the sites below, each in its canonical shape."""

    options = {"jit": True, "unroll": 1}
    noises = ("bernoulli", "gaussian")
    settings: Tuple[str, ...] = SETTINGS
    sites = (ROWS, "input", "between_layers", "output", "weight.recurrent")

    def check(self, job: Job) -> None:
        """The weights' sites are numbered by layer."""
        renamed = (
            site._replace(at=site.at.split(".", 1)[1]) if site.at.startswith("layer") else site for site in job.sites
        )
        super(Scan, self).check(job._replace(sites=tuple(renamed)))

    def drawing(self, job: Job) -> List[Any]:
        """The active sites: rows, weights by layer, input, between the layers, output."""
        numbered = ["layer%d.weight.recurrent" % number for number in range(layers_of(job))]
        wanted = [job.site(name) for name in (ROWS, *numbered, "input", "between_layers", "output")]
        return [site for site in wanted if site is not None and active(job, site)]

    def slots(self, job: Job) -> List[Slot]:
        """One draw a site; none at rate 1."""
        return whole_slots(job, [site for site in self.drawing(job) if site.rate < 1.0])

    def function(self, job: Job) -> Function:
        """The model."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import jax

            drawing = self.drawing(job)
            keys = jax.random.split(key, max(len(drawing), 1))
            table = arrays["embedding"]
            found = {site.at: factor(site, keys[number], table.dtype) for number, site in enumerate(drawing)}
            (half,) = halves(job)
            x = lookup(table[None] * found[ROWS] if ROWS in found else table[None], arrays["x"])
            x = x * found["input"] if "input" in found else x
            states = []
            for number in range(layers_of(job)):
                prefix = weight_prefix(job, half, number)
                cell = Cell({}, prefix, arrays, found.get(prefix + "weight.recurrent"))
                zeros = jax.numpy.zeros((x.shape[0], cell.recurrent.shape[0]), x.dtype)
                start = (arrays.get(prefix + "h0", zeros), arrays.get(prefix + "c0", zeros))
                x, state = run_layer(
                    cell, x[None], start, Walk(False, None, None, None, {}, self.option(job, "unroll"))
                )
                states.append([state])
                between = found.get("between_layers")
                if number < layers_of(job) - 1 and between is not None:
                    x = x * between[min(number, between.shape[0] - 1)]
            x = x * found["output"] if "output" in found else x
            decoder = table.T if job.config.get("tied") else arrays["decoder.kernel"]
            return model_outputs(job, x @ decoder + arrays["decoder.bias"], states)

        return call
