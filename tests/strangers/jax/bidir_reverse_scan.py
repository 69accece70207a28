"""双向 LSTM, 用 lax.scan(reverse=True) 实现反向."""

import jax
import jax.numpy as jnp


def one_direction(x, kernel, rec, bias, h0, c0, reverse):
    # x: (T, B, D)
    def step(carry, xt):
        h, c = carry
        a = xt @ kernel + h @ rec + bias
        n = rec.shape[0]
        it = jax.nn.sigmoid(a[:, :n])          # 输入门
        ft = jax.nn.sigmoid(a[:, n:2 * n])     # 遗忘门
        gt = jnp.tanh(a[:, 2 * n:3 * n])       # 候选
        ot = jax.nn.sigmoid(a[:, 3 * n:])      # 输出门
        c = ft * c + it * gt
        h = ot * jnp.tanh(c)
        return (h, c), h

    (h, c), ys = jax.lax.scan(step, (h0, c0), x, reverse=reverse)
    return ys, h, c


def run(case):
    x = case.inputs["x"].transpose(1, 0, 2)
    p = case.rate("input")
    if p > 0:
        # 每个序列一个掩码
        mask = jax.random.bernoulli(jax.random.PRNGKey(case.seed), 1 - p, (1,) + x.shape[1:])
        x = jnp.where(mask, x / (1 - p), 0)
    h0, c0 = case.inputs["h0"], case.inputs["c0"]
    outs = []
    for k, side in enumerate(["forward", "backward"]):
        w = [case.weights[f"{side}.{n}"] for n in ("kernel", "recurrent_kernel", "bias")]
        outs.append(one_direction(x, *w, h0[k], c0[k], reverse=bool(k)))
    y = jnp.concatenate([o[0] for o in outs], -1).transpose(1, 0, 2)
    return {"y": y, "h": jnp.stack([o[1] for o in outs]), "c": jnp.stack([o[2] for o in outs])}
