"""TensorFlow: the tap, and the layers of tf.nn."""

import os
import sys
from typing import Dict

from harness.frameworks.contract.framework import Framework, Template
from harness.frameworks.tensorflow.fixes import FIXES


def device() -> str:
    """`gpu` where TensorFlow sees one."""
    module = sys.modules.get("tensorflow")
    listing = getattr(getattr(module, "config", None), "list_physical_devices", None)
    return "gpu" if listing is not None and listing("GPU") else "cpu"


def variables() -> Dict[str, str]:
    """TensorFlow's log is for errors alone, unless the user's own setting says otherwise."""
    return {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")}


FRAMEWORK = Framework(
    name="tensorflow",
    backends=("tensorflow",),
    packages=("tensorflow",),
    listed=1,
    extra="tensorflow",
    variables=variables,
    device=device,
    offered=1,
    seen="tf.random, tf.nn or a layer",
    template=Template(
        imports="import tensorflow as tf",
        start="    h = c = tf.zeros((batch, units), x.dtype)",
        step="i, f, g, o = tf.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)",
        sigmoid="tf.sigmoid",
        tanh="tf.tanh",
        output='y = tf.nn.dropout(tf.stack(steps, axis=1), case.rate("output"))',
        source="seed",
    ),
    fixes=FIXES,
)
