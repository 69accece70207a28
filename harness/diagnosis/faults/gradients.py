"""Gradients: stopped, scaled, or with another mask than the forward pass. The outputs are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.faults.masks import drawing
from harness.diagnosis.setting import Inner, Setting, with_gradients
from harness.layers.base import Evaluation
from harness.noises import ADDS

Change = Callable[[np.ndarray], np.ndarray]
WORDS = {
    "kernel": "kernels",
    "recurrent_kernel": "recurrent kernels",
    "bias": "biases",
    "recurrent_bias": "recurrent biases",
}


def on_gradients(names: tuple[str, ...] | None, change: Change) -> Run:
    """The layer with the gradients of these names changed; None: of all."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        found = inner(setting)
        wanted = found.gradients if names is None else [name for name in names if name in found.gradients]
        return with_gradients(found, {name: np.asarray(change(found.gradients[name])) for name in wanted})

    return run


def named(setting: Setting) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Groups of gradients that go wrong together: (words, names)."""
    seen: set[str] = set()
    for last in ("kernel", "recurrent_kernel", "bias", "recurrent_bias"):
        names = setting.recurrent(last)
        seen.update(names)
        if names:
            yield (WORDS[last] if len(names) > 1 else last.replace("_", " ")), names
    integers = setting.kind.integer_inputs(setting.config, setting.shapes())
    for name in (*setting.weights, *setting.inputs):
        if name not in seen and name not in integers:
            yield name, (name,)


def article(setting: Setting, words: str) -> str:
    """`the kernels`, `the input x`."""
    return f"the input {words}" if words in setting.inputs else f"the {words}"


@family("gradient.stopped", stage="gradients")
def stopped(setting: Setting) -> Iterator[Fault]:
    """A gradient that does not arrive."""
    if setting.cotangents is None:
        return
    dropped = any(site.at.endswith("weight.recurrent") for site in drawing(setting))
    for words, names in named(setting):
        weight = dropped and names[0].endswith("recurrent_kernel")
        yield Fault(
            f"gradient.stopped {words}",
            f"the gradient stops before {article(setting, words)}" + (": at the dropped weight" if weight else ""),
            "set the dropped weight as a plain tensor: a new Parameter around it cuts the raw weight off"
            if weight
            else f"do not detach, stop_gradient or copy {article(setting, words)} into a new parameter or array",
            on_gradients(names, np.zeros_like),
            0.9 if weight else 1.0,
        )
    states = setting.starts
    if len(states) > 1:
        yield Fault(
            "gradient.stopped initial states",
            "the gradient stops before the initial states",
            "do not detach the initial states",
            on_gradients(states, np.zeros_like),
            1.1,
        )


@family("gradient.scaled", stage="gradients")
def scaled(setting: Setting) -> Iterator[Fault]:
    """Gradients that are too large or too small by a factor that people know."""
    if setting.cotangents is None:
        return
    batch = next(iter(setting.inputs.values())).shape[0] if setting.inputs else 1
    for words, names in named(setting):
        for factor, word in ((2.0, "doubled"), (0.5, "halved")):
            bias = names[0].endswith("bias")
            yield Fault(
                f"gradient.{word} {words}",
                f"the gradient of {article(setting, words)} {word}",
                "torch has two biases that both get the whole gradient: use one, or train with half the rate"
                if bias and factor == 2.0
                else f"look for a sum or mean over parts of {article(setting, words)}",
                on_gradients(names, lambda g, factor=factor: g * factor),  # type: ignore[misc]
                1.0 if bias else 1.3,
            )
    if batch > 1:
        yield Fault(
            "gradient.mean",
            f"gradients averaged over the batch: 1/{batch} of the sum",
            "the case's gradients are of a sum over all outputs: do not take a mean",
            on_gradients(None, lambda g: g / batch),
        )
    alone = len(list(named(setting))) == 1
    for factor, word in ((2.0, "doubled"), (0.5, "halved"), (-1.0, "of the other sign")):
        if alone and factor > 0.0:
            continue
        yield Fault(
            f"gradient.{word} all",
            f"all gradients {word}",
            "the gradients are of sum(cotangent * output): look for a factor in the loss",
            on_gradients(None, lambda g, factor=factor: g * factor),  # type: ignore[misc]
            1.2,
        )


@family("gradient.mask", stage="gradients")
def mask(setting: Setting) -> Iterator[Fault]:
    """The backward pass without the mask, or without the scale."""
    if setting.cotangents is None or all(site.law.effect == ADDS for site in drawing(setting)):
        return

    def instead(change: Callable[[Setting], Setting]) -> Run:
        def run(setting: Setting, inner: Inner) -> Evaluation:
            found = inner(setting)
            if not setting.train:
                return found
            return with_gradients(found, inner(change(setting)).gradients)

        return run

    def unscaled(s: Setting) -> Setting:
        draws = {
            site.at: np.asarray(s.draws[site.at], dtype=np.float64) * site.keep
            for site in s.sites
            if site.masks and site.at in s.draws and site.scale == "inverted"
        }
        return s.changed(draws={**s.draws, **draws})

    yield Fault(
        "gradient.mask absent",
        "the backward pass without the mask",
        "use the mask of the forward pass in a custom gradient",
        instead(lambda s: s.changed(train=False)),
        1.2,
    )
    if any(site.masks and site.scale == "inverted" for site in drawing(setting)):
        yield Fault(
            "gradient.mask unscaled",
            "the backward pass does not scale the survivors",
            "multiply by mask / keep in a custom gradient too",
            instead(unscaled),
            1.3,
        )
