"""NumPy's random border: a seeded generator that the recipes draw from, and that can be replayed.

Draws are float64 uniforms, kept where u >= rate, and float64 standard normals, from `numpy.random.default_rng(seed)`;
before NumPy 1.17, which has no Generator, from `numpy.random.RandomState(seed)`.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Tap
from harness.tape import BERNOULLI, NORMAL, UNIFORM, Draw

KEEP_RULE = "u >= rate"


class NumpyTap(Tap):
    """Draws, records and replays. The recipes call it; nothing of NumPy is patched."""

    def __init__(self, replay: Optional[Sequence[Draw]] = None) -> None:
        super().__init__(replay)
        self._generator: Any = None

    def seed(self, seed: int) -> None:
        """Start the stream."""
        make = getattr(np.random, "default_rng", None)
        self._generator = np.random.RandomState(seed % 2**32) if make is None else make(seed)

    def decisions(self, shape: Tuple[int, ...], rate: float) -> np.ndarray:
        """Which elements are kept, bool."""
        if self.replay is not None:
            kept = np.asarray(self.next_replay(BERNOULLI, shape).values, dtype=bool)
            self.draws.append(Draw(BERNOULLI, kept, params={"keep": 1.0 - rate}))
            return kept
        uniform = np.asarray(self._generator.uniform(size=shape))
        params: Dict[str, float] = {"keep": 1.0 - rate}
        self.draws.append(Draw(UNIFORM, uniform, KEEP_RULE, params))
        return np.asarray(uniform >= rate)

    def normals(self, shape: Tuple[int, ...]) -> np.ndarray:
        """Standard normals, float64."""
        if self.replay is not None:
            values = np.asarray(self.next_replay(NORMAL, shape).values, dtype=np.float64)
        else:
            values = np.asarray(self._generator.normal(size=shape))
        self.draws.append(Draw(NORMAL, values, params={"mean": 0.0, "stddev": 1.0}))
        return values
