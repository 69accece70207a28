"""The torch model of `models.Mixer` in Flax Linen, with one thing changed where a test asks for it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class Mixer(nn.Module):
    """Dense, gelu, dropout, layer norm, drop path, an embedding added, batch norm, a head."""

    changed: Any = None

    @nn.compact
    def __call__(self, x, tokens, train):
        changed = dict(self.changed or {})
        h = nn.Dense(6, name="fc1")(x)
        h = nn.gelu(h, approximate=bool(changed.get("tanh")))
        h = nn.Dropout(0.25, deterministic=not train, broadcast_dims=changed.get("shared", ()))(h)
        h = nn.LayerNorm(epsilon=changed.get("eps", 1e-5), name="ln")(nn.Dense(5, name="fc2")(h))
        if train:
            keep = 0.7
            kept = jax.random.uniform(self.make_rng("dropout"), (x.shape[0], 1, 1)) < keep
            h = jnp.where(kept, h if changed.get("unscaled") else h / keep, 0.0)
        x = x + h + nn.Embed(20, 5, name="emb")(tokens)
        x = nn.BatchNorm(use_running_average=not train, momentum=changed.get("momentum", 0.9), epsilon=1e-5, name="bn")(
            x
        )
        return {"y": nn.Dense(3, name="out")(x)}


def mixer(**changed):
    """(module, variables)."""
    module = Mixer(tuple(sorted(changed.items())))
    shapes = jnp.zeros((2, 4, 5)), jnp.zeros((2, 4), int)
    return module, module.init(jax.random.key(1), *shapes, False)
