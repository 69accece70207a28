import jax, jax.numpy as jnp
sig = jax.nn.sigmoid

def zoneout(key, p, new, old, train):
    if not train: return p * old + (1 - p) * new
    m = jax.random.bernoulli(key, p, new.shape)
    return jnp.where(m, old, new)   # Krueger et al. eq. 4

def run(case):
    x = case.inputs["x"]; B, T, D = x.shape; H = case.config["units"]
    W, U, b = (case.weights[k] for k in ("kernel", "recurrent_kernel", "bias"))
    p = {s["at"]: s["rate"] for s in case.dropout}
    h = c = jnp.zeros((B, H), x.dtype); ys = []
    key = case.key
    for t in range(T):
        key, kh, kc = jax.random.split(key, 3)
        i, f, g, o = jnp.split(x[:, t] @ W + h @ U + b, 4, 1)
        cn = sig(f) * c + sig(i) * jnp.tanh(g)
        hn = sig(o) * jnp.tanh(cn)
        h = zoneout(kh, p["state.h"], hn, h, case.training)
        c = zoneout(kc, p["state.c"], cn, c, case.training)
        ys.append(h)
    return {"y": jnp.stack(ys, 1), "h": h, "c": c}
