"""A framework that is NumPy under another name."""

from harness.frameworks.contract.framework import Framework

FRAMEWORK = Framework(name="toyframework", backends=("toyframework",), packages=("parity_toys",))
