"""TensorFlow 1 and early 2: cells, loops and its own Keras."""

from harness.frameworks.contract.framework import Framework

FRAMEWORK = Framework(
    name="tensorflow1",
    backends=("tensorflow",),
    packages=("tensorflow",),
    uses=("tensorflow", "keras2"),
)
