"""parity-harness: does the same recurrent configuration mean the same computation in every framework?

This module is imported on the far side too, by workers as old as Python 3.6 with NumPy alone, so it imports nothing.
"""

__version__ = "0.1.0"
