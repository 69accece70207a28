"""JAX's persistent compilation cache, switched on in one place.

Compiling is nearly all that a small case costs in JAX (a gradient 0.6 s, a warm call 0.2 ms), and the same cases run again and
again, so compiled programs are kept on disk: in the folder that HARNESS_JAX_CACHE names (empty: no cache), else under the
user's cache folder. https://docs.jax.dev/en/latest/persistent_compilation_cache.html
"""

import os
from typing import List

from harness.frameworks.jax.lazy import jax

VARIABLE = "HARNESS_JAX_CACHE"

_DONE: List[str] = []


def folder() -> str:
    """Where compiled programs are kept; an empty string: nowhere."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return chosen
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "parity-harness", "jax")


def use_compilation_cache() -> None:
    """Switch the cache on for this process; calls after the first do nothing.

    Every program is kept, however small or quickly compiled. A cache that the user configured for JAX itself is left alone.
    """
    if _DONE:
        return
    _DONE.append(folder())
    if not _DONE[0] or jax.config.jax_compilation_cache_dir:
        return
    jax.config.update("jax_compilation_cache_dir", _DONE[0])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
