"""The scale of the survivors: missing, twice, the wrong way round, or by the rate instead of the keep probability."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting
from harness.layers.base import DoesNotFit, Evaluation
from harness.records import Site
from harness.tape import UNIFORM


def scaling_sites(setting: Setting) -> list[Site]:
    """The sites that multiply by decisions."""
    return [site for site in setting.sites if site.masks and site.active]


def on_masks(sites: list[Site], change: Callable[[Site, np.ndarray], np.ndarray]) -> Run:
    """The layer with the decisions of some sites turned into other multipliers (times what the site multiplies by)."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train:
            return inner(setting)
        draws = dict(setting.draws)
        for site in sites:
            if site.at in draws:
                draws[site.at] = change(site, np.asarray(draws[site.at], dtype=np.float64))
        return inner(setting.changed(draws=draws))

    return run


def choices(sites: list[Site]) -> Iterator[tuple[str, str, list[Site], float]]:
    """All sites together first, then each: (mark of the name, words, sites, rarity)."""
    if len(sites) > 1:
        yield "", " at every site", sites, 1.0
    for site in sites:
        yield f" at {site.at}", f" at {site.at}", [site], 1.0 if len(sites) == 1 else 1.1


@family("scale", stage="draws")
def scales(setting: Setting) -> Iterator[Fault]:
    """Wrong scales, at all sites or at one."""
    for mark, where, sites, rarity in choices(scaling_sites(setting)):
        if all(site.scale == "none" for site in sites):
            yield Fault(
                f"scale.unasked{mark}",
                f"survivors scaled by 1 / keep{where}, which the case does not want",
                "multiply by the mask alone",
                on_masks(sites, lambda site, mask: mask / site.keep),
                rarity,
            )
            continue
        inverted = [site for site in sites if site.scale == "inverted"]
        yield Fault(
            f"scale.missing{mark}",
            f"survivors not scaled{where}",
            "divide the survivors by the keep probability 1 - rate in training (inverted dropout)",
            on_masks(inverted, lambda site, mask: mask * site.keep),
            rarity,
        )
        yield Fault(
            f"scale.twice{mark}",
            f"survivors scaled twice{where}",
            "divide by the keep probability once: the framework's dropout does so already",
            on_masks(inverted, lambda site, mask: mask / site.keep),
            1.1 * rarity,
        )
        yield Fault(
            f"scale.multiplied{mark}",
            f"survivors multiplied by the keep probability{where} instead of divided",
            "divide by 1 - rate",
            on_masks(inverted, lambda site, mask: mask * site.keep * site.keep),
            1.2 * rarity,
        )
        if any(site.rate != site.keep for site in inverted):
            yield Fault(
                f"scale.rate{mark}",
                f"keep probability and rate exchanged{where}: survivors divided by the rate",
                "rate is the probability that an element is dropped, 1 - keep probability",
                on_masks(inverted, lambda site, mask: mask * site.keep / site.rate),
                rarity,
            )


@family("decisions", stage="draws")
def decisions(setting: Setting) -> Iterator[Fault]:
    """Decisions taken the other way round, or by the wrong probability from the same uniforms."""
    for mark, where, sites, rarity in choices(scaling_sites(setting)):
        yield Fault(
            f"decisions.inverted{mark}",
            f"the mask used the other way round{where}: what should be kept is dropped",
            "a mask of framework draws is true where an element is kept",
            on_masks(sites, lambda site, mask: 1.0 - mask),
            1.3 * rarity,
        )
        drawn = [site for site in sites if site.at in setting.raw and setting.raw[site.at].kind == UNIFORM]
        if len(drawn) == len(sites) and any(site.rate != site.keep for site in sites):
            yield Fault(
                f"decisions.rate{mark}",
                f"keep probability taken for the rate{where}: {_share(sites)} are kept",
                "rate is the probability that an element is dropped, 1 - keep probability",
                _redecided(sites),
                rarity,
            )


def _share(sites: list[Site]) -> str:
    return " and ".join(dict.fromkeys(f"{site.rate:.3g}" for site in sites))


def _redecided(sites: list[Site]) -> Run:
    """The recorded uniforms judged with keep and rate exchanged, and the survivors scaled accordingly."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train:
            return inner(setting)
        draws = dict(setting.draws)
        for site in sites:
            raw = setting.raw.get(site.at)
            if raw is None or raw.kind != UNIFORM:
                raise DoesNotFit(f"no uniforms are recorded at {site.at}")
            u = np.asarray(raw.values, dtype=np.float64)
            kept = u >= site.keep if raw.rule == "u >= rate" else u < site.rate
            draws[site.at] = kept * (site.keep / site.rate if site.scale == "inverted" else 1.0)
        return inner(setting.changed(draws=draws))

    return run
