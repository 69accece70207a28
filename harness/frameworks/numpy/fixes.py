"""What to do about faults, in NumPy's words: code under test gives its gradients itself."""

from harness.frameworks.contract.framework import Fix

FIXES = (
    Fix("gradient.stopped weights", "take the gradients with respect to the case's weights"),
    Fix("gradient.stopped everywhere", "return the gradients by name under the key 'gradients'"),
)
