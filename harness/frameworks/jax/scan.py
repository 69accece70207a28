"""Recurrent layers in plain JAX: `jax.lax.scan` over the step that people write, with every dropout site of the vocabulary.

Masks are drawn before the scan, one for each site and in the order of `SITES`, from keys that `jax.random.split` gives. A mask
shared over time has one step, which every step uses (Gal & Ghahramani 2016, arXiv 1512.05287); a mask for each gate makes several
products instead of one; a dropped recurrent kernel is made once a call (Merity et al. 2018, arXiv 1708.02182).
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.capabilities import FORMULA_SETTINGS, SCALES
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.contract.places import Part
from harness.frameworks.jax.base import JaxAdapter
from harness.frameworks.jax.lazy import jax, jnp
from harness.frameworks.jax.pointwise import ROWS, Embedding
from harness.frameworks.jax.stack import KINDS, SITES, DropOf, Layer, SequenceOf, StackAdapter, State, each_way
from harness.frameworks.jax.steps import STEPS, Walk, run_layer
from harness.noises import Site, whole_slots
from harness.tape import NORMAL, Slot

#: The axes of what multiplies a sequence on its way into the first layer, and of what multiplies each state.
ENTERING = ("directions", "gates", "batch", "time", "features")
STATES = {"h": ENTERING[1:], "c": ENTERING[2:]}


def factor(site: Site, key: Any, dtype: Any) -> Any:
    """What a site multiplies by, in its canonical shape: a scaled mask, or N(1, rate / (1 - rate)). Rate 1: zeros, no draw."""
    keep = 1.0 - site.rate
    if keep == 0.0:
        return jnp.zeros(site.shape, dtype)
    if NORMAL in site.draws:
        return 1.0 + site.spread * jax.random.normal(key, site.shape, dtype)
    mask = jax.random.bernoulli(key, keep, site.shape).astype(dtype)
    return mask if site.scale == "none" else mask / keep


def with_axes(part: Part, array: Any, axes: Sequence[str]) -> Any:
    """A part's factor with those axes, of size 1 where the part has none."""
    sizes = dict(zip(part.axes, part.shape))
    return array.reshape([sizes.get(axis, 1) for axis in axes])


class Recipe(JaxAdapter):
    """What recipes share: they multiply, by masks that need not be shared over anything, and look up rows by `jnp.take`."""

    noises = ("bernoulli", "gaussian")
    scales: Tuple[str, ...] = SCALES
    shared: Dict[str, Any] = {}
    because: Dict[str, str] = {}

    def rows(self, job: Job) -> Optional[Part]:
        """The whole mask of the rows: each example may have one of its own."""
        return self.part(job, ROWS)

    def embed(self, table: Any, tokens: Any) -> Any:
        """Rows of a table (V, E), or of tables (1 or B, V, E), at tokens (B, T)."""
        if table.ndim == 2 or table.shape[0] == 1:
            return jnp.take(table.reshape(table.shape[-2:]), tokens, axis=0)
        return table[jnp.arange(tokens.shape[0])[:, None], tokens]


@implementation("jax.numpy.take", ["jax"], "embedding", needs=["jax"], recipe=True)
class Take(Recipe, Embedding):
    """take(table * mask, tokens): a mask for each example too."""

    def drop(self, part: Part, array: Any, key: Any, train: bool = True) -> Any:
        return array * factor(part.site, key, array.dtype)


@implementation("jax.lax.scan", ["jax"], (*KINDS, "gru", "simple_rnn"), needs=["jax"], recipe=True)
class Scan(Recipe, StackAdapter):
    """Options: `jit`; `unroll`, how many steps one iteration of the loop holds."""

    settings = (
        *StackAdapter.settings,
        *FORMULA_SETTINGS,
        "padding",
        "drop_leaving_state",
        "reset_after",
    )

    def slots(self, job: Job) -> List[Slot]:
        """One draw a site, in its canonical shape; none at rate 1."""
        return [slot for site in acting(job) if site.active for slot in whole_slots(site)]

    def input_part(self, job: Job, stack: Geometry) -> Optional[Part]:
        """The whole mask, with its gates and directions."""
        return self.part(job, stack.at("input"))

    def state_parts(self, job: Job, stack: Geometry, number: int, way: int) -> Tuple[Optional[Part], ...]:
        """The masks with their gates."""
        return tuple(self.part(job, stack.at("state." + name), layers=number, directions=way) for name in stack.states)

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """The scan, and multiplication by the factors, which are drawn first."""
        sites = acting(job)
        keys = jax.random.split(key, max(len(sites), 1))
        factors = {site.at: factor(site, keys[number], job.dtype) for number, site in enumerate(sites)}
        inputs = [stack.at("input") for stack in job.stacks]

        def drop(part: Part, array: Any) -> Any:
            found = factors[part.site.at][part.place]
            return array * (with_axes(part, found, ENTERING) if part.site.at in inputs else found)

        def one_way(layer: Layer, x: Any, state: State, lengths: Any) -> Tuple[Any, State]:
            """One direction over x (B, T, D), where the input is masked (1 or N, 1 or G, B, T, D)."""
            x = x[min(layer.way, x.shape[0] - 1)] if x.ndim == len(ENTERING) else x[None]
            masks = [
                None if part is None else with_axes(part, factors[part.site.at][part.place], STATES[name])
                for name, part in zip(layer.stack.states, layer.masks)
            ]
            config = job.config
            walk = Walk(
                lambda x, entering, states: STEPS[layer.stack.gates](config, layer.weights, x, entering, states),
                masks,
                layer.reverse,
                bool(config.get("drop_leaving_state")),
                config.get("padding"),
                lengths,
                self.option(job, "unroll"),
            )
            return run_layer(walk, x, state)

        return each_way(one_way), drop

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        return x @ (kernel.T if tied else kernel) + bias


def acting(job: Job) -> List[Site]:
    """The sites that do anything, in the order in which they draw; each layer of a language model has a weight's of its own."""
    names = [ROWS]
    for stack in job.stacks:
        weights = dict.fromkeys(stack.at(SITES[0], number) for number in range(stack.layers))
        names += [*weights, *(stack.at(name) for name in SITES[1:])]
    return [site for site in map(job.acting, names) if site is not None]
