from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = Any


class FusedLSTM(nn.Module):
    """One [x, h] @ W matmul per step (ported from a TF1 BasicLSTMCell)."""

    hidden: int

    def setup(self):
        pass

    @nn.compact
    def __call__(self, inputs: Array) -> tuple[Array, Array, Array]:
        feat = inputs.shape[-1]
        w = self.param("w", nn.initializers.lecun_normal(), (feat + self.hidden, 4 * self.hidden))
        b = self.param("b", nn.initializers.zeros_init(), (4 * self.hidden,))

        def body(carry, xt):
            c, h = carry
            gates = jnp.concatenate([xt, h], -1) @ w + b
            i, j, f, o = jnp.split(gates, 4, -1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * nn.tanh(j)
            h = nn.sigmoid(o) * nn.tanh(c)
            return (c, h), h

        z = jnp.zeros((inputs.shape[0], self.hidden), inputs.dtype)
        (c, h), ys = jax.lax.scan(body, (z, z), inputs.transpose(1, 0, 2))
        return ys.transpose(1, 0, 2), h, c


class Model(nn.Module):
    hidden: int
    drop: float

    @nn.compact
    def __call__(self, x, *, train):
        y, h, c = FusedLSTM(self.hidden, name="rnn")(x)
        return nn.Dropout(rate=self.drop, deterministic=not train)(y), h, c


def run(case):
    w = jnp.concatenate([case.weights["kernel"], case.weights["recurrent_kernel"]], axis=0)
    variables = {"params": {"rnn": {"w": w, "b": case.weights["bias"]}}}
    model = Model(case.config["units"], case.rate("output"))
    y, h, c = model.apply(variables, case.inputs["x"], train=case.training, rngs={"dropout": case.key})
    return dict(y=y, h=h, c=c)
