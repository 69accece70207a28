import keras


class WordDropout(keras.layers.Layer):
    """Drops whole time steps."""

    def __init__(self, p, seed, **kw):
        super().__init__(**kw)
        self.p = p
        self.gen = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, x, training=None):
        if training and self.p > 0:
            b, t, _ = x.shape
            return keras.random.dropout(x, self.p, noise_shape=(b, t, 1), seed=self.gen)
        return x


def run(case):
    layer = case.keep(lambda: WordDropout(case.config["rate"], case.seed, dtype=case.dtype))
    return {"y": layer(case.inputs["x"], training=case.training)}
