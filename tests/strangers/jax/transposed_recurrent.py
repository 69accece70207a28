import jax
import jax.numpy as jnp


class Gate:
    """act(W x + U h + b) on column vectors, weights as in the textbook."""

    def __init__(self, W, U, b, act):
        self.W, self.U, self.b, self.act = W, U, b[:, None], act

    def __call__(self, x, h):
        return self.act(self.W @ x + self.U @ h + self.b)


def gates_from(w, n):
    acts = [jax.nn.sigmoid, jax.nn.sigmoid, jnp.tanh, jax.nn.sigmoid]
    out = []
    for k, act in enumerate(acts):
        s = slice(k * n, (k + 1) * n)
        out.append(Gate(w["kernel"][:, s].T, w["recurrent_kernel"][:, s], w["bias"][s], act))
    return out


def run(case):
    n, x = case.config["units"], case.inputs["x"]
    i, f, g, o = gates_from(case.weights, n)
    h = c = jnp.zeros((n, x.shape[0]), x.dtype)
    p = case.rate("state.h")
    m = jnp.ones_like(h) if p == 0 else jax.random.bernoulli(case.key, 1 - p, h.shape[::-1]).T / (1 - p)
    ys = []
    for t in range(x.shape[1]):
        xt, hd = x[:, t].T, h * m
        c = f(xt, hd) * c + i(xt, hd) * g(xt, hd)
        h = o(xt, hd) * jnp.tanh(c)
        ys.append(h.T)
    return {"y": jnp.stack(ys, 1), "h": h.T, "c": c.T}
