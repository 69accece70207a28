"""What the NumPy recipes share: their draws, the job's dtype, and gradients by complex-step differentiation.

NumPy has no dropout and no LSTM, so every one of these is a recipe: the published formula, written out, in the job's
dtype and with any sharing that a case asks for. They share no formula with the references of harness.layers, and their
gradients are taken another way, so that each checks the other.

Squire & Trapp, *Using Complex Variables to Estimate Derivatives of Real Functions*, SIAM Review 40 (1998): for a real
analytic f, Im f(x + i s) / s = f'(x) + O(s**2), with no subtraction and so exact to rounding for a tiny s.
"""

from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome, Unsupported
from harness.frameworks.numpy.tap import NumpyTap
from harness.noises import Site, tape_keys, whole_slots
from harness.tape import BERNOULLI, NORMAL, Draw, Slot

Arrays = Dict[str, np.ndarray]

#: The imaginary step: its square vanishes beside 1 in float64, and its product with any sane number is a normal number.
STEP = 1e-30

#: Bytes of perturbed copies that are evaluated at once.
CHUNK_BYTES = 1 << 23


class NumpyAdapter(Adapter):
    """One recipe. Subclasses write `forward`, which must also run on complex arrays."""

    def tap(self, replay: Optional[Sequence[Draw]]) -> NumpyTap:
        return NumpyTap(replay)

    def check(self, job: Job) -> None:
        super().check(job)
        for name, array in sorted(dict(job.inputs, **job.weights).items()):
            if array.dtype.name not in (job.dtype, "int64"):
                raise Unsupported(
                    "NumPy has no %s here (%s came as %s): install ml_dtypes" % (job.dtype, name, array.dtype.name)
                )
            if job.cotangents and array.dtype.kind != "i" and not np.isfinite(array.astype(np.float64)).all():
                raise Unsupported(
                    "takes gradients by complex steps, which %s does not allow: it holds NaN or infinity. Set gradients: false"
                    % name
                )

    def slots(self, job: Job) -> List[Slot]:
        return [slot for site in drawing(job) for slot in whole_slots(site)]

    def call(self, job: Job, tap: NumpyTap) -> Outcome:
        tap.seed(job.seed)
        draws = self.drawn(job, tap)
        for _ in range(job.calls - 1):
            if not job.reset:
                job = self.carried(job, draws)
            draws = self.drawn(job, tap)
        outputs = self.forward(job, job.inputs, job.weights, draws)
        gradients: Arrays = {}
        if job.cotangents:
            gradients = {name: round_to(value, job) for name, value in self.gradients(job, draws).items()}
        return Outcome(outputs, gradients)

    def drawn(self, job: Job, tap: NumpyTap) -> Arrays:
        """The draws of one call."""
        draws: Arrays = {}
        for site in drawing(job):
            for name, kind in tape_keys(site):
                if kind == BERNOULLI:
                    draws[name] = tap.decisions(site.shape, site.rate)
                else:
                    draws[name] = tap.normals(site.shape)
        return draws

    def carried(self, job: Job, draws: Arrays) -> Job:
        """The job of a further call, after one with these draws: the same but for the states that a recipe keeps."""
        return job

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        """The recipe. One of the arrays may be complex and have one more axis in front, of perturbed copies."""
        raise NotImplementedError

    def gradients(self, job: Job, draws: Arrays) -> Arrays:
        """Gradients of sum(cotangent * output) with respect to every input and weight, float64."""
        inputs = exact({name: array for name, array in job.inputs.items() if array.dtype.kind != "i"})
        whole = {name: array for name, array in job.inputs.items() if array.dtype.kind == "i"}
        weights = exact(job.weights)
        cotangents = exact(job.cotangents)

        def loss(name: str, copies: np.ndarray) -> np.ndarray:
            """The imaginary part of the loss of each perturbed copy of one array."""
            changed_inputs = dict(inputs, **whole)
            if name in inputs:
                changed_inputs[name] = copies
            changed_weights = dict(weights, **{name: copies}) if name in weights else weights
            outputs = self.forward(job, changed_inputs, changed_weights, draws)
            total = np.zeros(len(copies))
            for output, cotangent in cotangents.items():
                # An output that the array does not reach has no axis of copies: its part is 0.
                if outputs[output].ndim > cotangent.ndim:
                    parts = outputs[output].imag * cotangent
                    total += parts.reshape(len(copies), cotangent.size).sum(axis=1)
            return total

        found: Arrays = {}
        for name, value in list(inputs.items()) + list(weights.items()):
            found[name] = complex_step(lambda copies, name=name: loss(name, copies), value)  # type: ignore[misc]
        return found


def drawing(job: Job) -> List[Site]:
    """The sites that act in this call. A recipe draws for them at rate 1 too, as the formula says, though nothing is kept."""
    return [site for site in job.sites if job.acting(site.at) is not None]


def multiplier(site: Site, draw: np.ndarray, like: np.ndarray) -> np.ndarray:
    """What a multiplicative site multiplies by, rounded to the dtype of `like` at each step (complex128: float64).

    Bernoulli: decisions over the keep probability, 0 at rate 1. Gaussian: 1 + sqrt(rate / (1 - rate)) n.
    """
    scalar = np.float64 if like.dtype.kind == "c" else like.dtype.type
    keep = 1.0 - site.rate
    if NORMAL in site.draws:
        return np.asarray(scalar(1.0) + scalar(np.sqrt(site.rate / keep)) * draw.astype(scalar))
    kept = np.asarray(draw.astype(scalar))
    if site.scale == "none" or keep == 0.0:
        return kept
    return np.asarray(kept / scalar(keep))


def exact(arrays: Arrays) -> Arrays:
    """The arrays in float64."""
    return {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}


def round_to(value: np.ndarray, job: Job) -> np.ndarray:
    """A float64 gradient in the job's dtype, which every cotangent comes in."""
    dtype = next(iter(job.cotangents.values())).dtype
    return np.asarray(value.astype(dtype))


def complex_step(loss: Callable[[np.ndarray], np.ndarray], value: np.ndarray) -> np.ndarray:
    """The gradient at `value` (float64, any shape) of a function whose imaginary part `loss` gives for moved copies.

    `loss` maps complex copies (K, *shape) to K imaginary parts; copy k has its k-th element moved by i STEP.
    """
    gradient = np.zeros(value.size)
    size = max(1, CHUNK_BYTES // max(1, 16 * value.size))
    for start in range(0, value.size, size):
        count = min(size, value.size - start)
        copies = np.tile(value.reshape(1, -1).astype(np.complex128), (count, 1))
        copies[np.arange(count), start + np.arange(count)] += 1j * STEP
        gradient[start : start + count] = loss(copies.reshape((count, *value.shape))) / STEP
    return gradient.reshape(value.shape)
