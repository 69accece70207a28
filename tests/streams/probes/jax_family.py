"""Masks of jax.random.bernoulli, Flax (NNX and Linen) and Equinox. With the word `x64` last: with 64-bit types on."""

import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"

import equinox
import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from recorder import Recorder, main

X64 = sys.argv[-1] == "x64"
WIDE = {"x64": True} if X64 else {}
SEEDS = (0, 7, -1, -5, 2**32 + 9, 2**40 + 1) if X64 else (0, 7, -1, -5, 2**31 - 1, 2**32 - 1)
DTYPES = ("float32", "float16", "bfloat16") + (("float64",) if X64 else ())
SHAPES = ((3, 4), (0, 3), (), (1001,))


def kept(y):
    return np.asarray(y != 0)


def ones(shape, dtype="float32"):
    return jnp.ones(shape, dtype=dtype)


def bernoulli(out):
    for implementation, partitionable in (
        ("threefry2x32", True),
        ("threefry2x32", False),
        ("rbg", True),
        ("unsafe_rbg", True),
    ):
        jax.config.update("jax_threefry_partitionable", partitionable)
        options = dict(WIDE, impl=implementation, **({} if partitionable else {"partitionable": False}))
        like = "jax.random.bernoulli"
        for seed in SEEDS:
            key = jax.random.key(seed, impl=implementation)
            for dtype in DTYPES:
                for rate in (0.1, 0.3):
                    p = jnp.asarray(1 - rate, dtype=dtype)
                    for shape in SHAPES:
                        out.add(like, jax.random.bernoulli(key, p, shape), seed, rate, dtype, **options)
                        if rate == 0.3:
                            mask = jax.random.bernoulli(key, p, shape, mode="high")
                            out.add(like, mask, seed, rate, dtype, mode="high", **options)
            folded = jax.random.fold_in(key, 5)
            paths = [((("split", 3, i),), part) for i, part in enumerate(jax.random.split(key, 3))]
            paths.append(((("fold_in", 5),), folded))
            deep = jax.random.fold_in(jax.random.split(folded, 2)[1], 2**32 - 1)
            paths.append(((("fold_in", 5), ("split", 2, 1), ("fold_in", 2**32 - 1)), deep))
            for path, derived in paths:
                mask = jax.random.bernoulli(derived, np.float32(0.7), (50,))
                out.add(like, mask, seed, 0.3, path=path, **options)
        for dtype in DTYPES:
            mask = jax.random.bernoulli(jax.random.key(7, impl=implementation), jnp.asarray(0.7, dtype), (10**6,))
            out.add(like, mask, 7, 0.3, dtype, **options)
    jax.config.update("jax_threefry_partitionable", True)


def layers(out):
    for seed in SEEDS:
        key = jax.random.key(seed)
        for dtype in DTYPES:
            for rate in (0.5, 0.3, 0.0, 1.0):
                for shape in SHAPES if seed in (0, -5) else ((1,), (7,)):
                    x = ones(shape, dtype)
                    rngs = nnx.Rngs(seed)
                    users = [nnx.Dropout(rate, deterministic=False, rngs=rngs) for _ in range(3)]
                    for call in range(2):
                        for number, layer in enumerate(users):
                            out.add("flax.nnx.Dropout", kept(layer(x)), seed, rate, dtype, call, user=number, **WIDE)
                    layer, rngs = nnx.Dropout(rate, deterministic=False), nnx.Rngs(seed)
                    for call in range(2):
                        out.add(
                            "flax.nnx.Dropout", kept(layer(x, rngs=rngs)), seed, rate, dtype, call, rngs="call", **WIDE
                        )
                    out.add("flax.nnx.Dropout", kept(layer(x, rngs=key)), seed, rate, dtype, rngs="key", **WIDE)
                    out.add("equinox.nn.Dropout", kept(equinox.nn.Dropout(rate)(x, key=key)), seed, rate, dtype, **WIDE)
                    top = linen.Dropout(rate, deterministic=False)
                    out.add(
                        "flax.linen.Dropout", kept(top.apply({}, x, rngs={"dropout": key})), seed, rate, dtype, **WIDE
                    )


def shared(out):
    for seed in SEEDS:
        key = jax.random.key(seed)
        for shape, axes in (((3, 4, 5), (1,)), ((3, 4, 5), (0, 2)), ((3, 4, 5), (-1,))):
            layer = nnx.Dropout(0.5, broadcast_dims=axes, deterministic=False, rngs=nnx.Rngs(seed))
            out.add("flax.nnx.Dropout", kept(layer(ones(shape))), seed, 0.5, broadcast_dims=axes, **WIDE)
            top = linen.Dropout(0.5, broadcast_dims=axes, deterministic=False)
            mask = kept(top.apply({}, ones(shape), rngs={"dropout": key}))
            out.add("flax.linen.Dropout", mask, seed, 0.5, broadcast_dims=axes, **WIDE)
        split = jax.random.split(key, 2)[1]
        out.add(
            "equinox.nn.Dropout",
            kept(equinox.nn.Dropout(0.5)(ones((50,)), key=split)),
            seed,
            0.5,
            path=(("split", 2, 1),),
            **WIDE,
        )
        # A Linear takes two keys of the default stream before the Dropout takes its own.
        rngs = nnx.Rngs(seed)
        nnx.Linear(3, 4, rngs=rngs)
        layer = nnx.Dropout(0.5, deterministic=False, rngs=rngs)
        out.add("flax.nnx.Dropout", kept(layer(ones((50,)))), seed, 0.5, user=2, **WIDE)


class Inner(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dropout(0.5, deterministic=False)(x), linen.Dropout(0.5, deterministic=False, name="named")(x)


class Outer(linen.Module):
    @linen.compact
    def __call__(self, x):
        twice = linen.Dropout(0.5, deterministic=False)
        return [twice(x), twice(x), *Inner()(x), *Inner(name="mine")(x)]


def paths(out):
    places = (
        (("Dropout_0",), 0),
        (("Dropout_0",), 1),
        (("Inner_0", "Dropout_0"), 0),
        (("Inner_0", "named"), 0),
        (("mine", "Dropout_0"), 0),
        (("mine", "named"), 0),
    )
    for seed in SEEDS:
        for separator in (False, True):
            flax.config.update("flax_fix_rng_separator", separator)
            masks = Outer().apply({}, ones((50,)), rngs={"dropout": jax.random.key(seed)})
            for (path, call), mask in zip(places, masks):
                out.add(
                    "flax.linen.Dropout", kept(mask), seed, 0.5, "float32", call, path=path, separator=separator, **WIDE
                )
    flax.config.update("flax_fix_rng_separator", False)

    class Repeated(linen.Module):
        @linen.compact
        def __call__(self, x):
            layer = linen.Dropout(0.5, deterministic=False)
            return [layer(x) for _ in range(300)]

    masks = Repeated().apply({}, ones((20,)), rngs={"dropout": jax.random.key(3)})
    for call in (254, 255, 256, 299):  # the counter's bytes grow to two
        out.add("flax.linen.Dropout", kept(masks[call]), 3, 0.5, "float32", call, path=("Dropout_0",), **WIDE)


def probe():
    jax.config.update("jax_enable_x64", X64)
    out = Recorder(jax=jax.__version__, flax=flax.__version__, equinox=equinox.__version__)
    bernoulli(out)
    layers(out)
    shared(out)
    paths(out)
    return out


if __name__ == "__main__":
    main(probe)
