"""Masks of Keras 2: tf_keras, or TensorFlow 2.0's tf.keras (Python 3.7)."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from recorder import Recorder, main

OLD = tf.__version__.startswith("2.0")
if OLD:
    from tensorflow.python.keras import backend as inner

    keras = tf.keras
    PREFIX = "tensorflow.keras.layers."
else:
    import tensorflow.compat.v2 as inner
    import tf_keras as keras

    PREFIX = "tf_keras.layers."
layers = keras.layers
DTYPES = ("float32", "float64", "float16") + (() if OLD else ("bfloat16",))


def kept(y):
    return np.asarray(tf.cast(y, tf.float32)) != 0


def elementwise(out):
    for seed in (0, 5, -3, 2**31 + 7):
        for dtype in DTYPES:
            for rate in (0.5, 0.1, 0.3):
                for shape in ((3, 4), (0, 3), (1,), (1001,)):
                    for layer_seed in (None, 9, 2**31 + 5):
                        options = {} if layer_seed is None else {"layer_seed": layer_seed}
                        tf.random.set_seed(seed)
                        layer = layers.Dropout(rate, seed=layer_seed, dtype=dtype)
                        for call in range(3):
                            mask = kept(layer(tf.ones(shape, dtype), training=True))
                            out.add(PREFIX + "Dropout", mask, seed, rate, dtype, call, **options)
    tf.random.set_seed(7)
    out.add(PREFIX + "Dropout", kept(layers.Dropout(0.3)(tf.ones((10**6,)), training=True)), 7, 0.3)


def of_today(out):
    for seed in (0, 5, -3, 2**31 + 7):
        for layer_seed in (None, 9):
            options = {"traced": True} if layer_seed is None else {"traced": True, "layer_seed": layer_seed}
            tf.random.set_seed(seed)
            first, second = (layers.Dropout(0.3, seed=layer_seed) for _ in range(2))
            function = tf.function(lambda x, a=first, b=second: (a(x, training=True), b(x, training=True)))
            for call in range(2):
                for number, y in enumerate(function(tf.ones((101,)))):
                    more = dict(options, ops_before=number) if layer_seed is None else options
                    out.add(PREFIX + "Dropout", kept(y), seed, 0.3, call=call, **more)
        for dimensions, shape in ((1, (2, 5, 3)), (2, (2, 5, 4, 3)), (3, (2, 5, 4, 2, 3))):
            tf.random.set_seed(seed)
            layer = getattr(layers, "SpatialDropout%dD" % dimensions)(0.3)
            for call in range(2):
                mask = kept(layer(tf.ones(shape), training=True))
                out.add(PREFIX + "SpatialDropout%dD" % dimensions, mask, seed, 0.3, call=call)
        tf.random.set_seed(seed)
        layer = layers.Dropout(0.3, noise_shape=(None, 1, 3), seed=2)
        out.add(
            PREFIX + "Dropout",
            kept(layer(tf.ones((2, 5, 3)), training=True)),
            seed,
            0.3,
            layer_seed=2,
            noise_shape=(None, 1, 3),
        )
        tf.random.set_seed(seed)
        layer = layers.AlphaDropout(0.3, seed=4, dtype="float64")
        for call in range(2):
            mask = np.asarray(layer(tf.ones((1000,), "float64") * 3, training=True)) > 0
            out.add(PREFIX + "AlphaDropout", mask, seed, 0.3, "float64", call, layer_seed=4)
    # An LSTM does not show its mask, so a tap does.
    masks, original = [], inner.nn.dropout

    def tap(x, rate, **options):
        y = original(x, rate, **options)
        masks.append(y)
        return y

    for layer_seed in (None, 77):
        tf.random.set_seed(5)
        layer = layers.LSTM(4, dropout=0.3, seed=layer_seed)
        layer.build((2, 6, 3))

        @tf.function
        def function(x, layer=layer):
            layer(x, training=True)
            return list(masks)

        inner.nn.dropout = tap
        del masks[:]
        for call in range(2):
            drawn = function(tf.ones((2, 6, 3)))
            assert len(drawn) == 4
            options = {"traced": True} if layer_seed is None else {"traced": True, "layer_seed": layer_seed}
            out.add(PREFIX + "LSTM", kept(drawn[0]), 5, 0.3, call=call, **options)
        inner.nn.dropout = original


def recurrent(out):
    masks = []

    def tapped(original):
        def tap(x, *args, **options):
            y = original(x, *args, **options)
            masks.append(kept(y))
            return y

        return tap

    place, name = inner.nn, "dropout_v2" if OLD else "dropout"
    original = getattr(place, name)
    setattr(place, name, tapped(original))
    for kind, gates in (("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1)):
        for settings in (
            {"dropout": 0.3},
            {"recurrent_dropout": 0.4},
            {"dropout": 0.3, "recurrent_dropout": 0.4},
            {"dropout": 0.3, "unroll": True},
        ):
            for layer_seed in (None,) if OLD or kind == "SimpleRNN" else (None, 77):
                options = dict(settings) if layer_seed is None else dict(settings, seed=layer_seed)
                layer = getattr(layers, kind)(4, **options)
                layer.build((2, 6, 3))
                tf.random.set_seed(5)
                np.random.seed(3)
                for call in range(2):
                    del masks[:]
                    layer(tf.ones((2, 6, 3)), training=True)
                    note(out, kind, gates, settings, layer_seed, call, masks)
    setattr(place, name, original)


def note(out, kind, gates, settings, layer_seed, call, masks):
    fused = settings == {"dropout": 0.3} and kind != "SimpleRNN"
    sites = (("input", "dropout"), ("state.h", "recurrent_dropout"))
    wanted = [(site, settings[name], gate) for site, name in sites if name in settings for gate in range(gates)]
    assert len(wanted) == len(masks), (kind, settings, len(masks))
    for (site, rate, gate), mask in zip(wanted, masks):
        if fused and gate:
            continue  # drawn, and not used
        options = {"site": site, "gate": gate, "path": "fused" if fused else "cell"}
        options["input_dropout"] = "dropout" in settings
        options["recurrent_dropout"] = "recurrent_dropout" in settings
        if layer_seed is not None:
            options["layer_seed"] = layer_seed
        if OLD:
            options["numpy_seed"] = 3
        out.add(PREFIX + kind, mask, 5, rate, call=call, **options)


def probe():
    versions = {"tensorflow": tf.__version__}
    if not OLD:
        versions["tf_keras"] = keras.__version__
    out = Recorder(**versions)
    elementwise(out)
    recurrent(out)
    if not OLD:
        of_today(out)
    return out


if __name__ == "__main__":
    main(probe)
