"""Recipes on NumPy, which is no framework of this package's own: the record says what they run on."""

from harness.frameworks.contract.framework import Framework

FRAMEWORK = Framework(name="parity_gates", backends=("numpy",), packages=("parity_gates",), uses=("numpy",))
