"""Keras 2 (tf_keras), on TensorFlow 2."""

from harness.frameworks.contract.framework import Framework
from harness.frameworks.keras2.fixes import FIXES

FRAMEWORK = Framework(
    name="keras2",
    backends=("tensorflow",),
    packages=("tf_keras",),
    uses=("tensorflow", "keras3"),
    written=("tf_keras", "keras<3"),
    fixes=FIXES,
)
