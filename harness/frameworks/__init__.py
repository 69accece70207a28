"""One folder a framework, and the contract that they keep to. Imported by workers: Python 3.6 with NumPy alone."""
