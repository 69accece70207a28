"""What comes out: states under each other's names, another step, another layout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting, taken, with_outputs
from harness.layers.base import DoesNotFit, Evaluation
from harness.records import Arrays


def pairs(names: list[str]) -> dict[str, str]:
    """Outputs that are an h, each with its c: h and c, encoder.h and encoder.c, layer0.h and layer0.c …"""
    found = {name: name[:-1] + "c" for name in names if name == "h" or name.endswith(".h")}
    return {h: c for h, c in found.items() if c in names}


@family("outputs.states", stage="outputs")
def states(setting: Setting) -> Iterator[Fault]:
    """Both states, h and c, under each other's names."""
    shapes = setting.kind.output_shapes(setting.config, setting.shapes())
    found = {h: c for h, c in pairs(list(shapes)).items() if shapes[h] == shapes[c]}
    if found:
        yield Fault(
            "outputs.states swapped",
            "h and c swapped",
            "the state is (h, c) in torch, Keras and Equinox; TensorFlow 1's LSTMStateTuple and Flax's carry are (c, h)",
            _swapped(found),
        )


def _swapped(found: dict[str, str]) -> Run:
    other = {**found, **{c: h for h, c in found.items()}}

    def exchange(arrays: Arrays) -> Arrays:
        return {name: arrays[other.get(name, name)] for name in arrays if other.get(name, name) in arrays}

    def run(setting: Setting, inner: Inner) -> Evaluation:
        if setting.cotangents is not None:
            setting = setting.changed(cotangents=exchange(setting.cotangents))
        evaluation = inner(setting)
        return with_outputs(evaluation, exchange(evaluation.outputs))

    return run


@family("outputs.step", stage="outputs")
def steps(setting: Setting) -> Iterator[Fault]:
    """Another step than the last one."""
    config, shapes = setting.config, setting.kind.output_shapes(setting.config, setting.shapes())
    if not setting.groups or not hasattr(config, "return_sequences") or "y" not in shapes:
        return
    time = setting.inputs["z" if "z" in setting.inputs else "x"].shape[1]
    stacked = getattr(config, "bidirectional", False) or getattr(config, "go_backwards", False)
    if time < 2 or stacked:
        return
    places = {"first": 0, "last but one": time - 2} if time > 2 else {"first": 0}
    for word, place in places.items():
        if len(shapes["y"]) == 2:
            yield Fault(
                f"outputs.step {word} for y",
                f"y is the {word} step of the sequence, not the last",
                "take y[:, -1] of a batch-major sequence (y[-1] of a time-major one)",
                _step(place),
                1.0 if place == 0 else 1.3,
            )
        elif "h" in shapes and len(shapes["h"]) == 2:
            yield Fault(
                f"outputs.step {word} for h",
                f"h is the {word} step of the sequence, not the last",
                "h is the state after the last step, y[:, -1] of a batch-major sequence",
                _state_step(place),
                1.1 if place == 0 else 1.3,
            )


def _step(place: int) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        whole = setting.config.model_copy(update={"return_sequences": True})
        cotangents = setting.cotangents
        if cotangents is not None and "y" in cotangents:
            shape = setting.kind.output_shapes(whole, setting.shapes())["y"]
            dy = np.zeros(shape)
            if place >= shape[1]:
                raise DoesNotFit(f"y has no step {place}")
            dy[:, place] = cotangents["y"]
            cotangents = {**cotangents, "y": dy}
        found = inner(setting.changed(config=whole, cotangents=cotangents))
        return with_outputs(found, {"y": taken(found.outputs["y"], [place], 1)[:, 0]})

    return run


def _state_step(place: int) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        cotangents = setting.cotangents
        if cotangents is not None and "h" in cotangents:
            dy = cotangents["y"].copy() if "y" in cotangents else np.zeros_like(cotangents["h"])
            if place >= dy.shape[1]:
                raise DoesNotFit(f"y has no step {place}")
            dy[:, place] += cotangents["h"]
            cotangents = {**cotangents, "y": dy, "h": np.zeros_like(cotangents["h"])}
        found = inner(setting.changed(cotangents=cotangents))
        return with_outputs(found, {"h": taken(found.outputs["y"], [place], 1)[:, 0]})

    return run


@family("outputs.layout", stage="outputs")
def layout(setting: Setting) -> Iterator[Fault]:
    """Outputs in another layout."""
    shapes = setting.kind.output_shapes(setting.config, setting.shapes())
    if not setting.groups or len(shapes.get("y", ())) != 3:
        return
    batch, time = shapes["y"][:2]
    if (batch, time) != (1, 1):
        yield Fault(
            "outputs.layout time-major",
            "y is time-major (time, batch, features)",
            "return y batch-major: transpose the first two axes",
            _on_y(lambda y: y.swapaxes(0, 1), square=batch == time),
        )
    if getattr(setting.config, "bidirectional", False):
        half = shapes["y"][2] // 2
        yield Fault(
            "outputs.layout directions",
            "the two directions' outputs side by side in the wrong order",
            "concatenate forward first, then backward",
            _on_y(lambda y: np.concatenate([y[..., half:], y[..., :half]], axis=-1)),
            1.1,
        )
        yield Fault(
            "outputs.layout backward order",
            "the backward direction's output in the order in which it was read",
            "flip the backward direction's sequence back before it is concatenated",
            _on_y(lambda y: np.concatenate([y[..., :half], y[:, ::-1, half:]], axis=-1)),
            1.1,
        )
    if getattr(setting.config, "go_backwards", False):
        yield Fault(
            "outputs.layout order",
            "y in the order of the sequence, not of reading",
            "with go_backwards Keras returns the outputs in the order in which they were read",
            _on_y(lambda y: y[:, ::-1]),
            1.1,
        )


def _on_y(change: object, *, square: bool = True) -> Run:
    """Change y by a map that is its own inverse, and so its own adjoint; without `square` it has no cotangent that fits."""
    assert callable(change)

    def run(setting: Setting, inner: Inner) -> Evaluation:
        cotangents = setting.cotangents
        if cotangents is not None and "y" in cotangents:
            cotangents = {**cotangents, "y": change(cotangents["y"])} if square else None
        found = inner(setting.changed(cotangents=cotangents))
        return with_outputs(found, {"y": change(found.outputs["y"])})

    return run


@family("outputs.padding", stage="outputs")
def padding(setting: Setting) -> Iterator[Fault]:
    """Sequences of different lengths: the lengths ignored, or other values after a sequence's end."""
    right = getattr(setting.config, "padding", None)
    if right is None or "lengths" not in setting.inputs:
        return
    time = setting.inputs["x"].shape[1]
    if not (np.asarray(setting.inputs["lengths"]) < time).any():
        return
    yield Fault(
        "outputs.padding ignored",
        "the lengths ignored: the last step is taken where the last valid one should be",
        "pass the lengths on: pack_padded_sequence in torch, a mask in Keras, sequence_length in dynamic_rnn",
        lambda s, inner: inner(s.changed(inputs={**s.inputs, "lengths": np.full_like(s.inputs["lengths"], time)})),
    )
    words = {
        "zeros": "zeros (torch, TensorFlow 1)",
        "repeat": "the last output again (Keras)",
        "free": "running on (nnx.RNN)",
    }
    for name, text in words.items():
        if name != right:
            yield Fault(
                f"outputs.padding {name}",
                f"after the end of a sequence y is {text} instead of {words[right]}",
                f"mask y after each sequence's end: {words[right]}",
                lambda s, inner, name=name: inner(s.changed(config=s.config.model_copy(update={"padding": name}))),  # type: ignore[misc]
                1.2,
            )
