import numpy as np
import tensorflow as tf


def gaussian_dropout(x, p, training):
    """Srivastava et al. 10: multiply with N(1, (1-p)/p)."""
    if not training or p == 0:
        return x
    stddev = np.sqrt((1.0 - p) / p)
    return x * tf.random.normal(tf.shape(x), mean=1.0, stddev=stddev, dtype=x.dtype)


def run(case):
    return {"y": gaussian_dropout(case.inputs["x"], case.config["rate"], case.training)}
