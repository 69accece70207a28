"""Noise layers: another formula, or another spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.faults.masks import redrawn
from harness.diagnosis.setting import Inner, Setting
from harness.layers._sites import draw_of
from harness.layers.base import Evaluation, tape_keys
from harness.records import Arrays, Site
from harness.tape import BERNOULLI, NORMAL


def formula(apply: Callable[[Site, np.ndarray, Arrays], tuple[np.ndarray, np.ndarray]]) -> Run:
    """Another formula y = f(x, draws) with its slope, in training."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        (site,) = setting.sites
        if not setting.train or site.at not in setting.draws:
            return inner(setting)
        draws = {key: draw_of(site, setting.draws, key) for key, _ in tape_keys(site)}
        y, slope = apply(site, setting.inputs["x"], draws)
        dy = (setting.cotangents or {}).get("y")
        return Evaluation({"y": y}, {} if dy is None else {"x": dy * slope})

    return run


@family("noise.spread", stage="draws")
def spread(setting: Setting) -> Iterator[Fault]:
    """Another standard deviation."""
    if not setting.kind.elementwise or not any(NORMAL in site.draws for site in setting.sites):
        return
    (site,) = setting.sites
    right = site.spread
    wrong: list[tuple[str, str, float]] = [
        ("variance", "the variance taken for the standard deviation", right**2),
        ("root", "the standard deviation taken for a variance", float(np.sqrt(right))),
    ]
    if site.multiplies:
        wrong += [
            ("rate", "the rate taken for the standard deviation", site.rate),
            ("root rate", "sqrt(rate) instead of sqrt(rate / (1 - rate))", float(np.sqrt(site.rate))),
            (
                "bernoulli",
                "sqrt(rate (1 - rate)) instead of sqrt(rate / (1 - rate))",
                float(np.sqrt(site.rate * site.keep)),
            ),
            (
                "keep",
                "keep probability taken for the rate",
                float(np.sqrt(site.keep / site.rate)) if site.rate else 0.0,
            ),
        ]
    for name, words, value in wrong:
        if right > 0.0 and value != right:
            yield Fault(
                f"noise.spread {name}",
                f"standard deviation {value:.4g} instead of {right:.4g}: {words}",
                "Gaussian dropout's factor is N(1, rate / (1 - rate)): its standard deviation is sqrt(rate / (1 - rate))"
                if site.multiplies
                else f"the case's stddev {right:.4g} is a standard deviation",
                _widened(site, value / right),
                1.0 if name != "root" else 1.2,
            )


def _widened(site: Site, factor: float) -> Run:
    if BERNOULLI in site.draws:
        return lambda s, inner: inner(s.changed(sites=tuple(x._replace(stddev=x.stddev * factor) for x in s.sites)))
    return redrawn(site, lambda draw: draw * factor)


@family("noise.formula", stage="layer")
def formulas(setting: Setting) -> Iterator[Fault]:
    """Another layer's formula on the same draws."""
    for other in setting.kind.formulas if setting.sites and setting.sites[0].active else ():
        yield Fault(other.name, other.cause, other.fix, formula(other.apply))
