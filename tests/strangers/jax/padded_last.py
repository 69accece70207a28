# sequence classification: masked scan, then the last hidden state goes to the head
import jax
import jax.numpy as jnp


def masked_lstm(w, x, lengths):
    b, t, _ = x.shape
    n = w["recurrent_kernel"].shape[0]
    mask = (jnp.arange(t)[:, None] < lengths[None, :])[..., None]  # (t, b, 1)

    def step(hc, inp):
        h, c = hc
        xt, m = inp
        zi, zf, zg, zo = jnp.split(xt @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4, -1)
        c_new = jax.nn.sigmoid(zf) * c + jax.nn.sigmoid(zi) * jnp.tanh(zg)
        h_new = jax.nn.sigmoid(zo) * jnp.tanh(c_new)
        h, c = jnp.where(m, h_new, h), jnp.where(m, c_new, c)
        return (h, c), h_new * m

    z = jnp.zeros((b, n), x.dtype)
    (h, c), out = jax.lax.scan(step, (z, z), (x.transpose(1, 0, 2), mask))
    return out.transpose(1, 0, 2), h, c


def run(case):
    x = case.inputs["x"]
    rate = case.rate("input")
    if rate > 0:
        u = jax.random.uniform(case.key, x.shape)
        x = x * (u >= rate) / (1 - rate)
    out, h, c = masked_lstm(case.weights, x, case.inputs["lengths"])
    return {"y": out[:, -1], "h": h, "c": c}
