"""Linen: `flax.linen.Embed` with dropped rows, and the AWD-LSTM language model of Linen's layers.

Imported on Python 3.6 with NumPy alone: flax is imported inside functions.
"""

from typing import Any

from harness.adapters.base import implementation
from harness.adapters.flax_linen import LSTMCell, OptimizedLSTMCell
from harness.adapters.jax_language import EmbeddingAdapter, Language
from harness.adapters.jax_stack import Part


def embed(table: Any, tokens: Any) -> Any:
    """nn.Embed with this table."""
    import flax.linen as nn

    return nn.Embed(*table.shape, parent=None).apply({"params": {"embedding": table}}, tokens)


@implementation("flax.linen.Embed", ["jax"], "embedding", needs=["jax", "flax"])
class Embedding(EmbeddingAdapter):
    """nn.Dropout on the table, which is data in Linen, then nn.Embed."""

    def drop(self, part: Part, key: Any, table: Any) -> Any:
        """nn.Dropout with the rows' features as a shared axis."""
        import flax.linen as nn

        layer = nn.Dropout(part.site.rate, broadcast_dims=part.shared, deterministic=False)
        return layer.apply({}, table, rngs={"dropout": key})

    def embed(self, table: Any, tokens: Any) -> Any:
        """nn.Embed."""
        return embed(table, tokens)


class _Language(Language):
    def embed(self, table: Any, tokens: Any) -> Any:
        """nn.Embed."""
        return embed(table, tokens)

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """nn.Dense, or nn.Embed.attend and a bias."""
        import flax.linen as nn

        if not tied:
            return nn.Dense(kernel.shape[1], parent=None).apply({"params": {"kernel": kernel, "bias": bias}}, x)
        layer = nn.Embed(*kernel.shape, parent=None)
        return layer.apply({"params": {"embedding": kernel}}, x, method="attend") + bias


@implementation("flax.linen.LSTMCell", ["jax"], "awd_lstm", needs=["jax", "flax"])
class LanguageModel(_Language, LSTMCell):
    """With nn.LSTMCell."""


@implementation("flax.linen.OptimizedLSTMCell", ["jax"], "awd_lstm", needs=["jax", "flax"])
class OptimizedLanguageModel(_Language, OptimizedLSTMCell):
    """With nn.OptimizedLSTMCell."""
