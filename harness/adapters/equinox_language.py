"""Equinox: `equinox.nn.Embedding` with dropped rows, and the AWD-LSTM language model of Equinox layers.

Imported on Python 3.6 with NumPy alone: equinox is imported inside functions.
"""

from typing import Any, Tuple

from harness.adapters.base import Job, implementation
from harness.adapters.equinox_layers import LSTMCell, mapped
from harness.adapters.jax_language import EmbeddingAdapter, Language
from harness.adapters.jax_stack import Part
from harness.tape import Slot


def embed(table: Any, tokens: Any) -> Any:
    """equinox.nn.Embedding with this table, mapped over batch and time."""
    import equinox
    import jax

    return jax.vmap(jax.vmap(equinox.nn.Embedding(weight=table)))(tokens)


@implementation("equinox.nn.Embedding", ["jax"], "embedding", needs=["jax", "equinox"])
class Embedding(EmbeddingAdapter):
    """equinox.nn.Dropout on the table, mapped over its columns with one key, then equinox.nn.Embedding."""

    draws_at_one = True

    def drawn_shape(self, job: Job, slot: Slot) -> Tuple[int, ...]:
        """Without the shared columns."""
        (site,) = job.sites
        return slot.canonical[1:2] if "features" in site.shared else slot.canonical[1:]

    def drop(self, part: Part, key: Any, table: Any) -> Any:
        """equinox.nn.Dropout."""
        import equinox

        return mapped(equinox.nn.Dropout(part.site.rate), part.shared)(table, key)

    def embed(self, table: Any, tokens: Any) -> Any:
        """equinox.nn.Embedding."""
        return embed(table, tokens)


@implementation("equinox.nn.LSTMCell", ["jax"], "awd_lstm", needs=["jax", "equinox"])
class LanguageModel(Language, LSTMCell):
    """With equinox.nn.LSTMCell."""

    draws_at_one = True

    def embed(self, table: Any, tokens: Any) -> Any:
        """equinox.nn.Embedding."""
        return embed(table, tokens)

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """equinox.nn.Linear, whose weight is (V, ·), mapped over batch and time."""
        import equinox
        import jax

        weight = kernel if tied else kernel.T
        layer = equinox.filter_eval_shape(equinox.nn.Linear, weight.shape[1], weight.shape[0], key=jax.random.key(0))
        layer = equinox.tree_at(lambda layer: (layer.weight, layer.bias), layer, (weight, bias))
        return jax.vmap(jax.vmap(layer))(x)
