"""What all backends of one variant are compared with: the same input bytes, and the float64 reference on their own draws."""

from __future__ import annotations

import dataclasses
import threading
import zlib
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from harness.cases import materialise, numpy_dtype
from harness.comparison.tolerance import Bound, sensitivity
from harness.execution.plan import make_tape
from harness.layers.base import Evaluation, LayerKind, kinds, tape_keys
from harness.noises import settled
from harness.records import Arrays, Draws, JobResult, Pass, PassResult, Variant
from harness.rounding import Rounding
from harness.tape import NORMAL, decisions, standard_normal

#: Arrays of up to this many bytes are kept while a variant's backends run; larger ones are made anew for each.
KEEP = 1 << 20
GRADIENT = "gradient."
Measured = TypeVar("Measured")
#: Of statistical checks: the first look, or the second one on fresh draws.
Stage = Literal[1, 2]


class Context:
    """One variant's inputs, weights, cotangents and reference. Shared by the worker threads; made when first needed."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.kind: LayerKind = kinds()[variant.layer]
        self._lock = threading.Lock()
        self._kept: tuple[Arrays, Arrays, Arrays] | None = None
        self._bounds: dict[str, dict[str, Bound]] = {}

    @cached_property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Canonical shapes of the outputs by name."""
        return self.kind.output_shapes(self.variant.config, self.variant.input_shapes())

    def arrays(self) -> tuple[Arrays, Arrays, Arrays]:
        """Inputs, weights and cotangents in the variant's dtype: the same bytes at every call."""
        with self._lock:
            if self._kept is not None:
                return self._kept
            inputs, weights = materialise(self.variant)
            like = numpy_dtype(self.variant.dtype)
            cotangents = {
                # One stream an output, so that the gradient of `h` does not depend on whether `y` is returned.
                name: np.random.Generator(np.random.PCG64([zlib.crc32(name.encode()), 7]))
                .standard_normal(shape)
                .astype(like)
                for name, shape in self.output_shapes.items()
                if self.variant.gradients
            }
            found = (inputs, weights, cotangents)
            if sum(array.nbytes for group in found for array in group.values()) <= KEEP:
                self._kept = found
            return found

    def reference(
        self, draws: Mapping[str, np.ndarray], *, train: bool, gradients: bool, rounding: Rounding | None = None
    ) -> Evaluation:
        """The float64 reference on given canonical draws (decisions and standard normals by tape key)."""
        inputs, weights, cotangents = self.arrays()
        # An input may be NaN or infinite on purpose; what comes of it is compared, not warned of.
        with np.errstate(invalid="ignore", over="ignore"):
            found = self.kind.evaluate(
                self.variant.config,
                wide(inputs),
                wide(weights),
                self.variant.sites,
                draws,
                train=train,
                cotangents=wide(cotangents) if gradients else None,
                rounding=rounding,
            )
        compared = {name: array for name, array in found.gradients.items() if self.variant.compares(name)}
        return dataclasses.replace(found, gradients=compared)

    def bounds(self, mode: str) -> dict[str, Bound]:
        """How far each output and gradient may lie from the reference, from the case's own sensitivity.

        Measured once a mode, on a tape made from the case's first seed, so that a limit depends on no backend. Other draws
        may be several times more sensitive: `bounds_on` measures on given ones.
        """
        with self._lock:
            known = self._bounds.get(mode)
        if known is not None:
            return known
        tape = make_tape(self.variant, self.variant.seeds[0]) if mode == "train" else {}
        measured = self.bounds_on(tape, mode)
        with self._lock:
            self._bounds[mode] = measured
        return measured

    def bounds_on(self, draws: Mapping[str, np.ndarray], mode: str) -> dict[str, Bound]:
        """The bounds on given canonical draws."""

        def evaluate(rounding: Rounding | None) -> Arrays:
            train = mode == "train"
            found = self.reference(draws, train=train, gradients=self.variant.gradients, rounding=rounding)
            return flatten(found)

        return sensitivity(evaluate, self.variant.dtype).bounds

    def draws(self, result: Draws) -> dict[str, np.ndarray]:
        """What the reference needs of a run's draws. What decides nothing need not be drawn."""
        found: dict[str, np.ndarray] = {}
        for site in self.variant.sites:
            for key, kind in tape_keys(site):
                if key in result:
                    draw = result[key]
                    found[key] = standard_normal(draw) if draw.kind == NORMAL else decisions(draw, site.rate)
                elif kind not in site.open:
                    found[key] = settled(site, kind)
        return found


def wide(arrays: Arrays) -> Arrays:
    """The same arrays in float64."""
    return {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}


def flatten(found: Evaluation) -> Arrays:
    """Outputs and gradients in one dict; gradients under `gradient.<name>`."""
    return {**found.outputs, **{GRADIENT + name: array for name, array in found.gradients.items()}}


def flat_result(result: PassResult) -> Arrays:
    """A pass's outputs and gradients under the same names as `flatten`."""
    return {**result.outputs, **{GRADIENT + name: array for name, array in result.gradients.items()}}


class MissingDraw(Exception):
    """A site that the reference needs a draw of drew nothing; the check mask.sites says the same."""


class Evidence:
    """What one implementation gave, and what it is compared with; what every check is handed."""

    def __init__(
        self,
        context: Context,
        passes: tuple[tuple[Pass, PassResult], ...],
        *,
        job: JobResult | None = None,
        stage: Stage = 1,
    ) -> None:
        """Whose evidence it is.

        job    implementation and versions, and the framework's own parameters where a profile asked for them; None where a check
               needs none of it.
        stage  2 where the passes were made because a first result was suspicious (harness.comparison.retry).
        """
        self.context = context
        self.variant = context.variant
        self.passes = passes
        self.job = job
        self.stage = stage
        self._references: dict[int, Evaluation] = {}
        self._measured: dict[Hashable, Any] = {}
        self._bounds: dict[int, dict[str, Bound]] = {}

    @property
    def native(self) -> Arrays:
        """The framework's own parameters and states; {} where none were asked for."""
        return self.job.native if self.job is not None else {}

    @property
    def native_failure(self) -> str:
        """Why there are none, where they were asked for."""
        return self.job.native_failure if self.job is not None else ""

    def once(self, key: Hashable, measure: Callable[[], Measured]) -> Measured:
        """What `measure` gives, measured once however many checks ask for it under this key."""
        if key not in self._measured:
            self._measured[key] = measure()
        found: Measured = self._measured[key]
        return found

    def keep(self, key: Hashable, measured: object) -> None:
        """Keep what was measured on the way, for `once` to find."""
        self._measured[key] = measured

    def of(self, *roles: str) -> list[tuple[Pass, PassResult]]:
        """The passes with one of these roles, in order."""
        return [(one, result) for one, result in self.passes if one.role in roles]

    @property
    def main(self) -> list[tuple[Pass, PassResult]]:
        """The passes of the case's own mode, one for each seed."""
        return self.of(self.variant.mode)

    def reference(self, one: Pass, result: PassResult) -> Evaluation:
        """The reference on what this pass drew. Raises MissingDraw where a site drew nothing."""
        key = id(result)
        if key not in self._references:
            draws = self.required(one, result)
            train = one.mode == "train"
            self._references[key] = self.context.reference(draws, train=train, gradients=one.gradients)
        return self._references[key]

    def bounds(self, one: Pass, result: PassResult) -> dict[str, Bound]:
        """The bounds on what this pass drew."""
        key = id(result)
        if key not in self._bounds:
            self._bounds[key] = self.context.bounds_on(self.required(one, result), one.mode)
        return self._bounds[key]

    def required(self, one: Pass, result: PassResult) -> dict[str, np.ndarray]:
        """As `drawn`, with every draw that the reference needs. Raises MissingDraw for one that was not made."""
        found = self.drawn(one, result)
        wanted = [key for site in self.variant.sites for key, _ in tape_keys(site)] if one.mode == "train" else []
        missing = [key for key in wanted if key not in found]
        if missing:
            raise MissingDraw(", ".join(missing))
        return found

    def drawn(self, one: Pass, result: PassResult) -> dict[str, np.ndarray]:
        """Canonical draws of a pass by tape key."""
        return self.context.draws(result.draws) if one.mode == "train" else {}
