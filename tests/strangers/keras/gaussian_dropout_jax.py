import jax
import keras


def run(case):
    layer = keras.layers.GaussianDropout(case.config["rate"], dtype=case.dtype)
    layer.build(case.inputs["x"].shape)
    seed = [jax.random.key_data(case.key) for _ in layer.non_trainable_variables]
    y, _ = layer.stateless_call([], seed, case.inputs["x"], training=case.training)
    return {"y": y}
