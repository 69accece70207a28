"""LSTM-Zelle in Flax, jede Gatter-Matrix für sich, wie im Vorlesungsskript."""

from typing import Tuple

import flax.linen as nn
import jax.numpy as jnp


class Zelle(nn.Module):
    einheiten: int

    @nn.compact
    def __call__(self, zustand: Tuple[jnp.ndarray, jnp.ndarray], eingabe: jnp.ndarray):
        speicher, verborgen = zustand
        dicht = lambda name, bias: nn.Dense(self.einheiten, use_bias=bias, name=name, param_dtype=eingabe.dtype)
        # Eingangs-, Vergess-, Kandidaten- und Ausgangsgatter
        e = nn.sigmoid(dicht("W_e", True)(eingabe) + dicht("U_e", False)(verborgen))
        v = nn.sigmoid(dicht("W_v", True)(eingabe) + dicht("U_v", False)(verborgen))
        k = nn.tanh(dicht("W_k", True)(eingabe) + dicht("U_k", False)(verborgen))
        a = nn.sigmoid(dicht("W_a", True)(eingabe) + dicht("U_a", False)(verborgen))
        speicher = v * speicher + e * k
        verborgen = a * nn.tanh(speicher)
        return (speicher, verborgen), verborgen


class Netz(nn.Module):
    einheiten: int
    rate: float

    @nn.compact
    def __call__(self, x, training: bool):
        x = nn.Dropout(self.rate)(x, deterministic=not training)
        schleife = nn.scan(
            Zelle, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1
        )
        null = jnp.zeros((x.shape[0], self.einheiten), x.dtype)
        (c, h), y = schleife(self.einheiten, name="zelle")((null, null), x)
        return y, h, c


def run(case):
    parameter = {}
    for nr, gatter in enumerate("evka"):
        n = case.config["units"]
        teil = slice(nr * n, (nr + 1) * n)
        parameter["W_" + gatter] = {"kernel": case.weights["kernel"][:, teil], "bias": case.weights["bias"][teil]}
        parameter["U_" + gatter] = {"kernel": case.weights["recurrent_kernel"][:, teil]}
    netz = Netz(case.config["units"], case.rate("input"))
    y, h, c = netz.apply(
        {"params": {"zelle": parameter}}, case.inputs["x"], case.training, rngs={"dropout": case.key}
    )
    return {"y": y, "h": h, "c": c}
