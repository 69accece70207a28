"""A right implementation, simulated: the reference rounded to the case's dtype, on draws of its own. Faults are planted in it.

No framework is needed, so every check is seen to catch its fault in milliseconds.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.comparison.context import Context
from harness.execution.plan import passes_of
from harness.layers.base import DropoutSpec, kinds, tape_keys
from harness.records import ArraySpec, BackendRef, Compared, JobResult, Pass, PassResult, Role, Row, Variant
from harness.running import conclude
from harness.tape import BERNOULLI, NORMAL, UNIFORM, Draw

TODAY = datetime.date(2026, 11, 20)
Mutate = Callable[[Context, Pass, PassResult], PassResult]
Start = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def variant(
    layer: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, tuple[int, ...]],
    dropout: Sequence[Mapping[str, Any]] = (),
    **changes: Any,
) -> Variant:
    """A variant as the case loader would make it, with normal inputs and uniform weights."""
    kind = kinds()[layer]
    settings = kind.Config.model_validate(dict(config))
    sites = kind.sites(settings, [DropoutSpec.model_validate(dict(one)) for one in dropout], inputs)
    shapes = kind.weight_shapes(settings, inputs)
    made = Variant(
        id=f"simulated/{layer}.yaml",
        path="simulated.yaml",
        about="",
        layer=layer,
        config=settings,
        sites=sites,
        inputs={name: ArraySpec(shape, fill="normal", seed=1) for name, shape in inputs.items()},
        weights={name: ArraySpec(shape, fill="uniform", seed=2) for name, shape in shapes.items()},
        seeds=(0, 1),
        mode="train",
        draws="native",
        dtype="float32",
        gradients=True,
        backends=(BackendRef("numpy", "simulated"),),
    )
    return dataclasses.replace(made, **changes)


def draw_for(context: Context, one: Pass, call: int = 0) -> dict[str, Draw]:
    """Draws as a framework would make them from a seed: uniforms that decide by `u >= rate`, and normals."""
    found = {}
    for position, site in enumerate(context.variant.sites):
        generator = np.random.default_rng([one.seed, position, call])
        for key, kind in tape_keys(site):
            if kind == NORMAL:
                values = generator.standard_normal(site.shape) if one.tape is None else one.tape[key]
                found[key] = Draw(NORMAL, np.asarray(values, np.float32), site=key)
            elif one.tape is not None:
                found[key] = Draw(BERNOULLI, one.tape[key], params={"keep": site.keep}, site=key)
            else:
                # 23 bits, as TensorFlow draws a float32: realised_rate knows what such a draw decides.
                u = generator.integers(0, 1 << 23, site.shape).astype(np.float32) * np.float32(2.0**-23)
                found[key] = Draw(UNIFORM, u, "u >= rate", site=key)
    return found


def right(context: Context, one: Pass, draws: dict[str, Draw] | None = None) -> PassResult:
    """What a right implementation gives for a pass."""
    if one.role == Role.CONTINUED:
        return second_call(context, one, lambda h, c: (h, c))
    if one.role == Role.RESET:
        return second_call(context, one, lambda h, c: (0 * h, 0 * c))
    train = one.mode == "train"
    made = (draw_for(context, one) if draws is None else draws) if train else {}
    found = context.reference(context.draws(made) if train else {}, train=train, gradients=one.gradients)
    like = next(iter(context.arrays()[0].values())).dtype
    outputs = {name: array.astype(like) for name, array in found.outputs.items()}
    if train and context.variant.layer == "dropout" and context.variant.sites[0].keep:
        # As a framework scales: in the dtype, by the rounded keep probability.
        x, keep = context.arrays()[0]["x"], like.type(context.variant.sites[0].keep)
        outputs["y"] = np.where(found.outputs["y"] != 0, x / keep, like.type(0)).astype(like)
    gradients = {name: array.astype(like) for name, array in found.gradients.items()}
    return PassResult(outputs, gradients, made)


def second_call(context: Context, one: Pass, start: Start) -> PassResult:
    """The second call of a layer that keeps its states; `start`: from the first call's last h and c to where it begins."""
    train, made = one.mode == "train", draw_for(context, one, 1)
    case, (inputs, weights, cotangents) = context.variant, context.arrays()
    config = case.config.model_copy(update={"return_state": True})
    before = context.draws(draw_for(context, one)) if train else {}
    last = context.kind.evaluate(config, inputs, weights, case.sites, before, train=train).outputs
    h, c = start(last["h"], last["c"])
    found = context.kind.evaluate(
        case.config,
        {**inputs, "h0": h, "c0": c},
        weights,
        case.sites,
        context.draws(made) if train else {},
        train=train,
        cotangents=cotangents if one.gradients else None,
    )
    like = inputs["x"].dtype
    gradients = {name: array.astype(like) for name, array in found.gradients.items() if name not in ("h0", "c0")}
    outputs = {name: array.astype(like) for name, array in found.outputs.items()}
    return PassResult(outputs, gradients, made if train else {})


def judged(case: Variant, mutate: Mutate = lambda _context, _one, result: result) -> Compared:
    """Compare the simulated implementation, with a fault planted by `mutate`."""
    context = Context(case)
    passes = tuple((one, mutate(context, one, right(context, one))) for one in passes_of(case))
    return conclude(JobResult(case, case.backends[0], passes), context, TODAY)


def rows(case: Variant, mutate: Mutate = lambda _context, _one, result: result) -> dict[str, Row]:
    """The rows by check."""
    return {row.check: row for row in judged(case, mutate).rows}
