"""nnx: `flax.nnx.Embed` with dropped rows, and the AWD-LSTM language model of nnx layers.

Imported on Python 3.6 with NumPy alone: flax is imported inside functions.
"""

from typing import Any

from harness.adapters.base import implementation
from harness.adapters.flax_nnx import LSTMCell, OptimizedLSTMCell
from harness.adapters.jax_language import EmbeddingAdapter, Language
from harness.adapters.jax_stack import Part


def embedding(table: Any) -> Any:
    """An nnx.Embed with this table."""
    from flax import nnx

    zeros = nnx.initializers.zeros_init()
    layer = nnx.Embed(*table.shape, param_dtype=table.dtype, embedding_init=zeros, rngs=nnx.Rngs(0))
    layer.embedding = nnx.Param(table)
    return layer


@implementation("flax.nnx.Embed", ["jax"], "embedding", needs=["jax", "flax"])
class Embedding(EmbeddingAdapter):
    """nnx.Dropout on the table, then nnx.Embed."""

    def drop(self, part: Part, key: Any, table: Any) -> Any:
        """nnx.Dropout with the rows' features as a shared axis."""
        from flax import nnx

        return nnx.Dropout(part.site.rate, broadcast_dims=part.shared, rngs=nnx.Rngs(key))(table)

    def embed(self, table: Any, tokens: Any) -> Any:
        """nnx.Embed."""
        return embedding(table)(tokens)


class _Language(Language):
    def embed(self, table: Any, tokens: Any) -> Any:
        """nnx.Embed."""
        return embedding(table)(tokens)

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """nnx.Linear, or nnx.Embed.attend and a bias."""
        from flax import nnx

        if tied:
            return embedding(kernel).attend(x) + bias
        zeros = nnx.initializers.zeros_init()
        layer = nnx.Linear(*kernel.shape, param_dtype=kernel.dtype, kernel_init=zeros, rngs=nnx.Rngs(0))
        layer.kernel, layer.bias = nnx.Param(kernel), nnx.Param(bias)
        return layer(x)


@implementation("flax.nnx.LSTMCell", ["jax"], "awd_lstm", needs=["jax", "flax"])
class LanguageModel(_Language, LSTMCell):
    """With nnx.LSTMCell."""


@implementation("flax.nnx.OptimizedLSTMCell", ["jax"], "awd_lstm", needs=["jax", "flax"])
class OptimizedLanguageModel(_Language, OptimizedLSTMCell):
    """With nnx.OptimizedLSTMCell."""
