import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr


class GRUNet(eqx.Module):
    gru: eqx.nn.GRUCell
    drop: eqx.nn.Dropout

    def __call__(self, xs, key):
        def scan_fn(h, x):
            h = self.gru(x, h)
            return h, h

        h, ys = jax.lax.scan(scan_fn, jnp.zeros(self.gru.hidden_size, xs.dtype), xs)
        return self.drop(ys, key=key), h


def load(net, w):
    """z r n -> r z n, transposed; the recurrent bias of r and z is folded into the input bias."""

    def reorder(a):
        z, r, n = jnp.split(a, 3, axis=-1)
        return jnp.concatenate([r, z, n], axis=-1)

    n = w["bias"].shape[0] // 3
    b, rb = reorder(w["bias"]), reorder(w["recurrent_bias"])
    bias = b + rb.at[2 * n :].set(0.0)
    new = (reorder(w["kernel"]).T, reorder(w["recurrent_kernel"]).T, bias, rb[2 * n :])
    return eqx.tree_at(lambda m: (m.gru.weight_ih, m.gru.weight_hh, m.gru.bias, m.gru.bias_n), net, new)


def run(case):
    x = case.inputs["x"]
    net = GRUNet(eqx.nn.GRUCell(x.shape[-1], case.config["units"], key=jr.key(7)), eqx.nn.Dropout(case.rate("output")))
    net = eqx.nn.inference_mode(load(net, case.weights), not case.training)
    y, h = jax.vmap(net)(x, jr.split(case.key, x.shape[0]))
    return {"y": y, "h": h}
