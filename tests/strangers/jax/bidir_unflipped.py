import flax.linen as nn
import jax.numpy as jnp


class BiLSTM(nn.Module):
    d: int
    p: float

    def setup(self):
        self.fw = nn.RNN(nn.OptimizedLSTMCell(self.d), return_carry=True)
        self.bw = nn.RNN(nn.OptimizedLSTMCell(self.d), return_carry=True)
        self.dropout = nn.Dropout(self.p)

    def __call__(self, x, det):
        (cf, hf), yf = self.fw(x)
        (cb, hb), yb = self.bw(jnp.flip(x, axis=1))
        y = jnp.concatenate([yf, yb], axis=-1)
        return self.dropout(y, deterministic=det), jnp.stack([hf, hb]), jnp.stack([cf, cb])


def pack(w, d):
    tree = {}
    for flax_name, side in (("fw", "forward"), ("bw", "backward")):
        cell = {}
        for n, g in enumerate("ifgo"):
            s = slice(n * d, n * d + d)
            cell["i" + g] = {"kernel": w[side + ".kernel"][:, s]}
            cell["h" + g] = {"kernel": w[side + ".recurrent_kernel"][:, s], "bias": w[side + ".bias"][s]}
        tree[flax_name] = {"cell": cell}
    return tree


def run(case):
    net = BiLSTM(case.config["units"], case.rate("output"))
    params = pack(case.weights, net.d)
    y, h, c = net.apply({"params": params}, case.inputs["x"], not case.training, rngs={"dropout": case.key})
    return {"y": y, "h": h, "c": c}
