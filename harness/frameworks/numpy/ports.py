"""Users' own code in NumPy. It draws from `case.rng`, which the tap sees; gradients are the port's own to give.

`case.rng.bernoulli(keep, shape)` gives decisions (bool), `case.rng.standard_normal(shape)` float64 normals.
"""

from typing import Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, Outcome
from harness.frameworks.contract.target import Case, Target, arrays_of, framework
from harness.frameworks.numpy.tap import NumpyTap
from harness.tape import Draw


class Random:
    """What a port in NumPy draws from."""

    def __init__(self, tap: NumpyTap) -> None:
        self._tap = tap

    def bernoulli(self, keep: float, shape: Sequence[int]) -> np.ndarray:
        """Decisions, true with probability `keep`."""
        return self._tap.decisions(_shape(shape), 1.0 - float(keep))

    def standard_normal(self, shape: Sequence[int]) -> np.ndarray:
        """Normals with mean 0 and standard deviation 1, float64."""
        return self._tap.normals(_shape(shape))


def _shape(shape: Sequence[int]) -> Tuple[int, ...]:
    return tuple(int(size) for size in shape)


@framework("numpy")
class NumpyTarget(Target):
    """A port in NumPy."""

    def tap(self, replay: Optional[Sequence[Draw]]) -> NumpyTap:
        return NumpyTap(replay)

    def call(self, job: Job, tap: NumpyTap) -> Outcome:
        tap.seed(job.seed)
        for left in reversed(range(job.calls)):
            inputs = {name: array.copy() for name, array in job.inputs.items()}
            weights = {name: array.copy() for name, array in job.weights.items()}
            case = Case(job, inputs, weights, tap, rng=Random(tap))
            case.reset = job.reset and not left
            outputs, gradients = self.invoke(case)
        like = next(iter(job.inputs.values())).dtype
        return Outcome(arrays_of(outputs, like), arrays_of(gradients, like) if job.cotangents else {})
