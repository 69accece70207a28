import keras
from keras import ops


class AdditiveNoise(keras.layers.Layer):
    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.stddev = stddev
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        if not training:
            return inputs
        sigma = self.stddev**2
        noise = keras.random.normal(
            ops.shape(inputs), mean=0.0, stddev=sigma, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return inputs + noise


def run(case):
    layer = case.keep(lambda: AdditiveNoise(case.config["stddev"], seed=case.seed, dtype=case.dtype))
    return {"y": layer(case.inputs["x"], training=case.training)}
