from typing import Dict

import jax
import jax.numpy as jnp


class WeightDrop:
    """Merity et al.: DropConnect on the raw weights named in `names`."""

    def __init__(self, names, dropout):
        self.names, self.dropout = names, dropout

    def __call__(self, key, params: Dict[str, jax.Array], train: bool) -> Dict[str, jax.Array]:
        params = dict(params)
        if not train or self.dropout == 0:
            return params
        for name, k in zip(self.names, jax.random.split(key, len(self.names))):
            raw = params[name]
            m = jax.random.bernoulli(k, 1 - self.dropout, raw.shape)
            params[name] = jnp.where(m, raw / (1 - self.dropout), 0)
        return params


def rnn(params, x):
    def f(s, xt):
        h, c = s
        i, f_, g, o = jnp.split(xt @ params["weight_ih_l0"] + h @ params["weight_hh_l0"] + params["bias_l0"], 4, -1)
        c = jax.nn.sigmoid(f_) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    z = jnp.zeros((x.shape[0], params["weight_hh_l0"].shape[0]), x.dtype)
    (h, c), ys = jax.lax.scan(f, (z, z), x.swapaxes(0, 1))
    return ys.swapaxes(0, 1), h, c


def run(case):
    params = {
        "weight_ih_l0": case.weights["kernel"],
        "weight_hh_l0": case.weights["recurrent_kernel"],
        "bias_l0": case.weights["bias"],
    }
    drop = WeightDrop(["weight_ih_l0"], case.rate("weight.recurrent"))
    y, h, c = rnn(drop(case.key, params, case.training), case.inputs["x"])
    return {"y": y, "h": h, "c": c}
