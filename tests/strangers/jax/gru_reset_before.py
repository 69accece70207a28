import jax, jax.numpy as jnp
from jax.nn import sigmoid as σ


def gru(θ, x, h):
    """h: (B,H), x: (B,T,D)"""
    H = h.shape[1]
    W, U, b, rb = θ["kernel"], θ["recurrent_kernel"], θ["bias"], θ["recurrent_bias"]
    Wz, Wr, Wn = W[:, :H], W[:, H:2*H], W[:, 2*H:]
    Uz, Ur, Un = U[:, :H], U[:, H:2*H], U[:, 2*H:]

    def f(h, xt):
        z = σ(xt @ Wz + b[:H] + h @ Uz + rb[:H])
        r = σ(xt @ Wr + b[H:2*H] + h @ Ur + rb[H:2*H])
        ñ = jnp.tanh(xt @ Wn + b[2*H:] + (r * h) @ Un + rb[2*H:])
        h = z * h + (1 - z) * ñ
        return h, h

    h, ys = jax.lax.scan(f, h, x.swapaxes(0, 1))
    return ys.swapaxes(0, 1), h


def run(case):
    x = case.inputs["x"]
    q = 1 - case.rate("output")
    y, h = gru(case.weights, x, case.inputs["h0"])
    if q < 1:
        y = jnp.where(jax.random.uniform(case.key, y.shape) < q, y, 0) / q
    return {"y": y, "h": h}
