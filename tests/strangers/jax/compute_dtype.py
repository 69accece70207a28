from __future__ import annotations

import dataclasses
from typing import Any, Mapping

import jax
import jax.numpy as jnp


@dataclasses.dataclass
class LSTMConfig:
    hidden_dim: int
    dropout_rate: float = 0.0
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32


class LSTMBlock:
    """Inference-ready LSTM block with separate compute and parameter dtypes."""

    def __init__(self, config: LSTMConfig, params: Mapping[str, jax.Array]) -> None:
        self.config = config
        self._params = jax.tree_util.tree_map(lambda p: p.astype(config.dtype), dict(params))

    def _cell(self, carry, x):
        h, c = carry
        gates = jnp.matmul(x, self._params["kernel"])
        gates += jnp.matmul(h, self._params["recurrent_kernel"])
        gates += self._params["bias"]
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def forward(self, x: jax.Array, *, rng: jax.Array, train: bool):
        out_dtype = x.dtype
        x = x.astype(self.config.dtype)
        zeros = jnp.zeros((x.shape[0], self.config.hidden_dim), self.config.dtype)
        (h, c), y = jax.lax.scan(self._cell, (zeros, zeros), jnp.swapaxes(x, 0, 1))
        y = jnp.swapaxes(y, 0, 1)
        if train and self.config.dropout_rate > 0.0:
            keep = 1.0 - self.config.dropout_rate
            mask = jax.random.bernoulli(rng, keep, y.shape)
            y = jax.lax.select(mask, y / keep, jnp.zeros_like(y))
        return y.astype(out_dtype), h.astype(out_dtype), c.astype(out_dtype)


def run(case):
    config = LSTMConfig(hidden_dim=case.config["units"], dropout_rate=case.rate("output"))
    block = LSTMBlock(config, case.weights)
    y, h, c = block.forward(case.inputs["x"], rng=case.key, train=case.training)
    return {"y": y, "h": h, "c": c}
