"""Adapters: one file an API family, found without a central list. Imported on Python 3.6 with NumPy alone."""
