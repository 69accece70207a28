"""The version of the harness.

Imported by workers: Python 3.6 syntax.
"""

__version__ = "0.1.0"
