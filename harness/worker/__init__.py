"""The process that owns one framework. Imported on Python 3.6 with NumPy alone; see `bootstrap` for how it starts."""
