import flax.linen as nn
import jax.numpy as jnp


class Encoder(nn.Module):
    hidden_size: int
    rate: float

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dropout(self.rate, broadcast_dims=(1,), deterministic=not train)(x)
        cell = nn.LSTMCell(self.hidden_size, param_dtype=x.dtype, name="cell")
        carry, _ = nn.RNN(cell, return_carry=True)(x)
        return carry


class Decoder(nn.Module):
    hidden_size: int
    rate: float

    @nn.compact
    def __call__(self, carry, z, train):
        cell = nn.LSTMCell(self.hidden_size, param_dtype=z.dtype, name="cell")
        carry, y = nn.RNN(cell, return_carry=True)(z, initial_carry=carry)
        return carry, nn.Dropout(self.rate, deterministic=not train)(y)


class Seq2seq(nn.Module):
    hidden_size: int
    enc_rate: float
    dec_rate: float

    def setup(self):
        self.encoder = Encoder(self.hidden_size, self.enc_rate)
        self.decoder = Decoder(self.hidden_size, self.dec_rate)

    def __call__(self, x, z, train):
        enc = self.encoder(x, train)
        (c, h), y = self.decoder(enc, z, train)
        return y, h, c, enc


def cell_params(weights, prefix):
    out = {}
    names = ["i", "f", "g", "o"]
    for name, k, r, b in zip(
        names,
        jnp.split(weights[prefix + ".kernel"], 4, 1),
        jnp.split(weights[prefix + ".recurrent_kernel"], 4, 1),
        jnp.split(weights[prefix + ".bias"], 4),
    ):
        out["i" + name] = {"kernel": k}
        out["h" + name] = {"kernel": r, "bias": b}
    return {"cell": out}


def run(case):
    model = Seq2seq(case.config["units"], case.rate("encoder.input"), case.rate("decoder.output"))
    params = {part: cell_params(case.weights, part) for part in ("encoder", "decoder")}
    y, h, c, (ec, eh) = model.apply(
        {"params": params}, case.inputs["x"], case.inputs["z"], case.training, rngs={"dropout": case.key}
    )
    return {"y": y, "h": h, "c": c, "encoder.h": eh, "encoder.c": ec}
