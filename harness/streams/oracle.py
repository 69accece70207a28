"""What a seed alone predicts of an implementation's masks: the questions to the random streams' rules, and their answers.

An implementation is asked about under its own import name; what it was seeded with is what its adapter documents: the case's
seed, for torch and TensorFlow as their global one, for Keras and tf_keras as the layer's. Where options change how a
framework draws (`tf.function`, `torch.compile`), nothing is predicted rather than guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.frameworks.contract.places import drawn_as, place_of
from harness.layers.base import kinds
from harness.records import BackendRef, Site, Variant

#: Backends of rules that have several; other rules have none.
KERAS = "keras."
#: torch's feature dropouts see channels first.
CHANNELS_FIRST = ("torch.nn.Dropout1d", "torch.nn.Dropout2d", "torch.nn.Dropout3d")
#: The axes of masks that a rule's answer can be laid out in: one direction, and for Keras one layer.
STACKED = ("layers", "batch", "time", "features")
GATED = ("gates", "batch", "time", "features")
#: Options that leave the draws as they are.
PLAIN_OPTIONS = frozenset({"batch_first", "inplace", "jit", "unroll"})
#: Spatial layers share over what they are named for, so their rules need no noise shape.
SPATIAL = "SpatialDropout"


@dataclass(frozen=True, slots=True)
class Question:
    """One mask to predict: what `harness.streams.predict` is asked, and how its answer lies in the site's canonical array.

    site     with the array that its masks fill, together.
    place    index of the part that it is; () is the whole.
    arrange  from the predicted mask to that part's layout, broadcastable to it.
    """

    site: Site
    arguments: Mapping[str, Any]
    place: tuple[Any, ...] = ()
    arrange: Callable[[np.ndarray], np.ndarray] = np.asarray


def rule_options(implementation: str, version: str | None, backend: str | None) -> Mapping[str, Any] | None:
    """The options of the rule that covers an implementation; None where there is no rule."""
    from harness.errors import UserError
    from harness.streams.registry import lookup

    try:
        rule, _, _ = lookup(implementation, version, backend)
    except UserError:
        return None
    return rule.options


def asks(variant: Variant, backend: BackendRef) -> bool:
    """Whether anything is predicted of an implementation here: a rule has its name, and no option changes how it draws."""
    if backend.implementation is None or backend.target or set(backend.options) - PLAIN_OPTIONS:
        return False
    return any(True for _ in questions(variant, backend, None, 0))


def beyond(predict: Mapping[str, str]) -> str:
    """What is wrong with a version that nobody has measured, as its minor version is above the newest that was; else "".

    A rule that has no end covers versions to come, as far as anyone knows; a replayed mask shall say no more than is known.
    """
    from harness.errors import UserError
    from harness.streams.registry import lookup, version_of

    asked = predict.get("version")
    try:
        rule, numbers, _ = lookup(predict["like"], asked, predict.get("backend"))
    except UserError:
        return ""  # told where the rule is used
    if asked is None or not rule.measured:
        return ""
    newest = max(map(version_of, rule.measured))
    if numbers[:2] <= newest[:2]:
        return ""
    return f"{predict['like']} {asked} has not been measured; the newest that was is {'.'.join(map(str, newest))}"


def questions(variant: Variant, backend: BackendRef, version: str | None, seed: int) -> Iterator[Question]:
    """Every mask of a training pass that a rule predicts."""
    assert backend.implementation is not None
    name = backend.implementation
    common: dict[str, Any] = {"like": name, "version": version, "seed": seed, "dtype": variant.dtype}
    if name.startswith(KERAS):
        common["backend"] = backend.backend
    options = rule_options(name, version, common.get("backend"))
    kind = kinds()[variant.layer]
    if options is None or "mask.predicted" not in kind.checks:
        return
    if "x64" in options:
        common["x64"] = variant.dtype == "float64"
    if "layer_seed" in options and SPATIAL not in name:
        common["layer_seed"] = seed
    for site in variant.sites:
        if not site.masks or not site.active:
            continue
        common["rate"] = site.rate
        if kind.elementwise and name in CHANNELS_FIRST and len(site.full) < 2:
            continue  # without a batch and channels no such layer takes it
        if kind.elementwise:
            yield _elementwise(name, options, site, common)
        elif "lengths" in variant.inputs:
            # Packed sequences draw for their valid steps alone, in an order of their own.
            continue
        elif name == "torch.nn.LSTM" and site.at == "between_layers" and site.axes == STACKED:
            yield from _between_layers(variant, site, common)
        elif name == "keras.layers.LSTM" and site.at in ("input", "state.h") and site.axes == GATED:
            yield from _keras(variant, site, common)


def _elementwise(name: str, options: Mapping[str, Any], site: Site, common: Mapping[str, Any]) -> Question:
    axes = tuple(site.axes.index(axis) for axis in site.shared)
    if name in CHANNELS_FIRST:
        shape = (site.full[0], site.full[-1], *site.full[1:-1])
        return Question(site, {**common, "shape": shape}, arrange=lambda mask: np.moveaxis(mask, 1, -1))
    if not axes or SPATIAL in name:
        return Question(site, {**common, "shape": site.full})
    if "noise_shape" in options:
        return Question(site, {**common, "shape": site.full, "noise_shape": site.shape})
    if "broadcast_dims" in options:
        return Question(site, {**common, "shape": site.full, "broadcast_dims": axes})
    # A function that takes the mask's shape draws as if that were its input.
    return Question(site, {**common, "shape": site.shape})


def _between_layers(variant: Variant, site: Site, common: Mapping[str, Any]) -> Iterator[Question]:
    site = drawn_as(site)
    for layer in range(site.shape[0]):
        more = {"layer": layer, "num_layers": variant.config.layers, "batch_first": True, "shape": site.shape[1:]}
        yield Question(site, {**common, **more}, place_of(site, layers=layer))


def _keras(variant: Variant, site: Site, common: Mapping[str, Any]) -> Iterator[Question]:
    drops = {one.at: one.active for one in variant.sites}
    recurrent = drops.get("state.h", False)
    gates, batch, _, features = site.full
    # One mask for all gates, unless the state has masks.
    site = drawn_as(site, gates=gates if recurrent else 1, time=1)
    for gate in range(site.shape[0]):
        more = {
            "site": site.at,
            "gate": gate,
            "input_dropout": drops.get("input", False),
            "recurrent_dropout": recurrent,
            "shape": (batch, features),
        }
        yield Question(site, {**common, **more}, place_of(site, gates=gate, time=0))


def answer(question: Question) -> tuple[np.ndarray, str]:
    """The predicted mask in the layout of its part, and where the prediction comes from.

    Raises Unpredictable where the stream makes no promise, UserError where no rule covers the question.
    """
    from harness.streams import predict

    mask = predict(**question.arguments)
    return question.arrange(np.asarray(mask.keep, dtype=bool)), mask.provenance


def whole_mask(
    variant: Variant, backend: BackendRef, version: str | None, seed: int
) -> tuple[dict[str, np.ndarray], str]:
    """Every predicted site's canonical mask, by site, and the provenance of the last. Empty where nothing is predicted.

    Raises Unpredictable, UserError.
    """
    found: dict[str, np.ndarray] = {}
    provenance = ""
    for question in questions(variant, backend, version, seed):
        mask, provenance = answer(question)
        site = question.site
        if not question.place:
            found[site.at] = mask
            continue
        parts = found.setdefault(site.at, np.zeros(site.shape, dtype=bool))
        parts[question.place] = mask
    return found, provenance


def reference(variant: Variant) -> BackendRef:
    """The implementation whose masks a case with `draws: predicted` replays."""
    return BackendRef(variant.predict.get("backend", ""), variant.predict["like"])


def unpredicted(variant: Variant) -> list[str]:
    """The sites of a case with `draws: predicted` that its rule does not cover. Raises UserError where there is no rule."""
    from harness.streams.registry import lookup

    version = variant.predict.get("version")
    lookup(variant.predict["like"], version, variant.predict.get("backend"))
    asked = {question.site.at for question in questions(variant, reference(variant), version, variant.seeds[0])}
    return [site.at for site in variant.sites if site.active and site.at not in asked]


def tape(variant: Variant, seed: int) -> dict[str, np.ndarray]:
    """The predicted decisions of every active site. Raises Unpredictable, UserError."""
    return whole_mask(variant, reference(variant), variant.predict.get("version"), seed)[0]
