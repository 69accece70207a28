"""Dropout at the wrong place: a mask of one site multiplies something else, or something more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.faults.masks import drawing
from harness.diagnosis.setting import Inner, Setting, drawn_at, relinked
from harness.layers._sites import draw_of
from harness.layers.base import DropoutSpec, Evaluation, Refused
from harness.records import Site
from harness.tape import NORMAL, decisions

WORDS = {
    "input": "the layer's input",
    "output": "the emitted output",
    "state.h": "the incoming h",
    "state.c": "the cell state c",
    "between_layers": "the outputs of the lower layers",
}
#: Where the mask of a site ends up by mistake.
OTHERS = ("input", "state.h", "state.c", "output")


def halved(at: str) -> tuple[str, str]:
    """A site's half of an encoder and decoder with its dot, or "", and its name there."""
    half = next((half for half in ("encoder.", "decoder.") if at.startswith(half)), "")
    return half, at.removeprefix(half)


def at_other(setting: Setting, site: Site, at: str) -> tuple[Site, tuple[str, ...]] | None:
    """The other site with the same sharing, and the axes that it does not have; None where the mask does not fit it."""
    spec = DropoutSpec(at=at, rate=site.rate, noise=site.noise, scale=site.scale)
    try:
        (bare,) = setting.kind.sites(setting.config, [spec], setting.shapes())
        shared = tuple(axis for axis in bare.axes if axis in site.shared or axis not in site.axes)
        (found,) = setting.kind.sites(setting.config, [spec.model_copy(update={"shared": shared})], setting.shapes())
    except (Refused, ValueError):
        return None
    own = dict(zip(site.axes, site.full or site.shape, strict=True))
    other = dict(zip(bare.axes, bare.full or bare.shape, strict=True))
    if any(own[axis] != other[axis] for axis in own if axis in other):
        return None
    return found, tuple(axis for axis in site.axes if axis not in bare.axes)


def carried(draw: np.ndarray, site: Site, other: Site) -> np.ndarray:
    """A draw in the axes of another site: axes that it lacks are taken at their first place, new ones have size 1."""
    for axis in reversed(range(len(site.axes))):
        if site.axes[axis] not in other.axes:
            draw = draw.take(0, axis)
    left = [name for name in site.axes if name in other.axes]
    order = [left.index(name) for name in other.axes if name in left]
    draw = draw.transpose(order)
    return draw.reshape(
        [draw.shape[[n for n in other.axes if n in left].index(name)] if name in left else 1 for name in other.axes]
    )


@family("site", stage="draws")
def places(setting: Setting) -> Iterator[Fault]:
    """A mask at another site instead of its own, or at another one as well."""
    taken = {site.at for site in setting.sites}
    for site in drawing(setting):
        half, own = halved(site.at)
        if own not in WORDS:
            continue
        whose = f" of the {half.removesuffix('.')}" if half else ""
        for name in OTHERS:
            at = half + name
            found = None if at in taken else at_other(setting, site, at)
            if found is None:
                continue
            other = found[0]
            yield Fault(
                f"site.moved {site.at} to {at}",
                f"dropout on {WORDS[name]}{whose} instead of {WORDS[own]}",
                f"apply the mask to {WORDS[own]}{whose}",
                _placed(site, other, keep=False),
                1.1 if {own, name} in ({"input", "output"}, {"state.h", "state.c"}) else 1.3,
            )
            if at == "encoder.output":
                # What an encoder emits goes nowhere: dropped as well, it changes nothing.
                continue
            yield Fault(
                f"site.also {site.at} at {at}",
                f"dropout on {WORDS[name]}{whose} as well as on {WORDS[own]}",
                f"apply the mask to {WORDS[own]}{whose} alone"
                + ("; Keras never drops the cell state" if name == "state.c" else ""),
                _placed(site, other, keep=True),
                1.1 if {own, name} == {"state.h", "state.c"} else 1.4,
            )
    yield from _unasked(setting)


def _unasked(setting: Setting) -> Iterator[Fault]:
    """Dropout that the case does not name, with the mask that was drawn for it. Its rate is one of the case's."""
    taken = {site.at for site in setting.sites}
    rates = dict.fromkeys(site.rate for site in drawing(setting) if site.masks)
    for at, draw in setting.raw.items():
        if at in taken or at not in WORDS or draw.kind == NORMAL:
            continue
        for rate in rates:
            other = _of_draw(setting, at, rate, draw.values.shape)
            if other is not None:
                yield Fault(
                    f"site.unasked {at} at rate {rate:g}",
                    f"dropout on {WORDS[at]} as well, with a mask of its own",
                    f"do not drop {WORDS[at]}, or name {at} in the case's dropout"
                    + ("; TensorFlow 1.3's DropoutWrapper drops both states, 1.8's only h" if at == "state.c" else ""),
                    _drawn_there(other),
                )


def _of_draw(setting: Setting, at: str, rate: float, shape: tuple[int, ...]) -> Site | None:
    """The site that a draw of this shape is made for; None where it fits none."""
    try:
        (full,) = setting.kind.sites(setting.config, [DropoutSpec(at=at, rate=rate)], setting.shapes())
        if len(full.axes) != len(shape):
            return None
        shared = tuple(axis for axis, size in zip(full.axes, shape, strict=True) if size == 1)
        (found,) = setting.kind.sites(setting.config, [DropoutSpec(at=at, rate=rate, shared=shared)], setting.shapes())
    except (Refused, ValueError):
        return None
    return found if found.shape == shape else None


def _drawn_there(site: Site) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train:
            return inner(setting)
        kept = np.asarray(decisions(setting.raw[site.at], site.rate))
        return inner(setting.changed(sites=(*setting.sites, site), draws={**setting.draws, site.at: kept}))

    return run


def _placed(site: Site, other: Site, *, keep: bool) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train or site.at not in setting.draws:
            return inner(setting)
        sites = tuple(one for one in setting.sites if keep or one.at != site.at)
        draws = {**setting.draws, other.at: carried(drawn_at(setting, site), site, other)}
        return inner(setting.changed(sites=(*sites, other), draws=draws))

    return run


@family("site.feedback", stage="draws")
def feedback(setting: Setting) -> Iterator[Fault]:
    """The dropped output is what the next step reads; or the state is dropped on its way out instead of in."""
    config = setting.config
    if not hasattr(config, "drop_leaving_state"):
        return
    output, names = setting.site("output"), {site.at for site in setting.sites}
    if output in drawing(setting) and "state.h" not in names and not config.drop_leaving_state:
        assert output is not None
        found = at_other(setting, output, "state.h")
        if found is not None:
            yield Fault(
                "site.feedback",
                "the dropped output is fed back as the next step's h",
                "drop what is emitted, and hand the undropped h to the next step",
                _fed_back(output, found[0]),
                1.0,
            )
    states = [site for site in drawing(setting) if site.at in ("state.h", "state.c")]
    if states and all("gates" in site.shared or "gates" not in site.axes for site in states):
        leaving = config.drop_leaving_state
        yield Fault(
            "site.leaving",
            f"the state is dropped as it {'enters' if leaving else 'leaves'} a step instead of as it "
            f"{'leaves' if leaving else 'enters'} one",
            "TensorFlow 1's DropoutWrapper drops the state that leaves a step; Keras' recurrent_dropout the one that enters",
            lambda s, inner: inner(s.changed(config=s.config.model_copy(update={"drop_leaving_state": not leaving}))),
            1.2,
        )


def _fed_back(output: Site, state: Site) -> Run:
    placed = _placed(output, state, keep=True)

    def run(setting: Setting, inner: Inner) -> Evaluation:
        return placed(setting.changed(config=setting.config.model_copy(update={"drop_leaving_state": True})), inner)

    return run


@family("site.weight", stage="draws")
def weights(setting: Setting) -> Iterator[Fault]:
    """A weight's mask on the kernel instead of on the recurrent kernel."""
    site = setting.site("weight.recurrent")
    if site is None or site not in drawing(setting) or len(site.axes) != 3:
        return
    if setting.weights["kernel"].shape != setting.weights["recurrent_kernel"].shape:
        return
    yield Fault(
        "site.weight on kernel",
        "the weights dropped are the kernel's, not the recurrent kernel's",
        "drop weight_hh_l0, not weight_ih_l0",
        _on_kernel(site),
        1.1,
    )


def _on_kernel(site: Site) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train or site.at not in setting.draws:
            return inner(setting)
        factor = np.asarray(draw_of(site, setting.draws), dtype=np.float64) / (
            site.keep if site.scale == "inverted" else 1.0
        )

        def dropped(kernel: np.ndarray) -> np.ndarray:
            return np.asarray((kernel.reshape(kernel.shape[0], 4, -1) * factor).reshape(kernel.shape))

        bare = setting.changed(sites=tuple(one for one in setting.sites if one.at != site.at))
        return relinked(bare, inner, {"kernel": dropped}, {"kernel": dropped})

    return run
