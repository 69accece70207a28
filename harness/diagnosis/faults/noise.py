"""Noise layers: another formula, or another spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.faults.masks import redrawn
from harness.diagnosis.setting import Inner, Setting
from harness.layers.base import Evaluation, kinds
from harness.records import Arrays, Site

Formula = Callable[[Site, np.ndarray, Arrays], tuple[np.ndarray, np.ndarray]]


def formula(apply: Formula) -> Run:
    """Another formula y = f(x, draws) with its slope, in training."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        (site,) = setting.sites
        if not setting.train or site.at not in setting.draws:
            return inner(setting)
        y, slope = apply(site, setting.inputs["x"], setting.draws)
        dy = (setting.cotangents or {}).get("y")
        return Evaluation({"y": y}, {} if dy is None else {"x": dy * slope})

    return run


@family("noise.spread", stage="draws")
def spread(setting: Setting) -> Iterator[Fault]:
    """Another standard deviation."""
    if setting.kind.name not in ("gaussian_dropout", "gaussian_noise", "masked_gaussian_noise"):
        return
    (site,) = setting.sites
    right = float(np.sqrt(site.rate / site.keep)) if site.noise == "gaussian" else site.stddev
    wrong: list[tuple[str, str, float]] = [
        ("variance", "the variance taken for the standard deviation", right**2),
        ("root", "the standard deviation taken for a variance", float(np.sqrt(right))),
    ]
    if site.noise == "gaussian":
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
                if site.noise == "gaussian"
                else f"the case's stddev {right:.4g} is a standard deviation",
                _widened(site, value / right),
                1.0 if name != "root" else 1.2,
            )


def _widened(site: Site, factor: float) -> Run:
    if site.noise == "masked_additive":
        return lambda s, inner: inner(
            s.changed(sites=tuple(dataclasses.replace(x, stddev=x.stddev * factor) for x in s.sites))
        )
    return redrawn(site, lambda draw: draw * factor)


@family("noise.formula", stage="layer")
def formulas(setting: Setting) -> Iterator[Fault]:
    """Another layer's formula on the same draws."""
    name = setting.kind.name
    if name == "gaussian_dropout":
        yield Fault(
            "noise.additive",
            "the noise added instead of multiplied",
            "Gaussian dropout multiplies by N(1, rate / (1 - rate)); GaussianNoise adds",
            formula(lambda s, x, d: (x + np.sqrt(s.rate / s.keep) * d[s.at], np.ones_like(x))),
        )
        yield Fault(
            "noise.mean 0",
            "noise of mean 0 instead of 1 multiplied",
            "the factor is 1 + sqrt(rate / (1 - rate)) n",
            formula(lambda s, x, d: _product(x, np.sqrt(s.rate / s.keep) * d[s.at])),
        )
    elif name == "gaussian_noise":
        yield Fault(
            "noise.multiplied",
            "the noise multiplied instead of added",
            "GaussianNoise adds N(0, stddev²); GaussianDropout multiplies",
            formula(lambda s, x, d: _product(x, 1.0 + s.stddev * d[s.at])),
        )
        yield Fault("noise.missing x", "the noise alone, without x", "add the noise to x", formula(
            lambda s, x, d: (s.stddev * d[s.at] + 0.0 * x, np.zeros_like(x))))  # fmt: skip
    elif name == "masked_gaussian_noise":
        yield Fault(
            "noise.kept",
            "noise on the kept elements instead of on the dropped ones",
            "add the noise where the mask drops",
            lambda s, inner: inner(s.changed(draws={k: ~v if v.dtype == bool else v for k, v in s.draws.items()})),
        )
        yield Fault(
            "noise.everywhere",
            "noise on every element",
            "add the noise where the mask drops, and nowhere else",
            lambda s, inner: inner(
                s.changed(draws={k: np.zeros_like(v) if v.dtype == bool else v for k, v in s.draws.items()})
            ),
        )
        yield Fault(
            "noise.replaces x",
            "dropped elements replaced by the noise",
            "add the noise to the dropped elements",
            formula(lambda s, x, d: (np.where(d[s.at], x, s.stddev * d[s.at + "/normal"]), 1.0 * d[s.at] + 0.0 * x)),
        )
        yield Fault(
            "noise.scaled",
            "survivors scaled by 1 / keep",
            "masked noise does not scale: kept elements are x",
            formula(
                lambda s, x, d: (
                    np.where(d[s.at], x / s.keep, x + s.stddev * d[s.at + "/normal"]),
                    np.where(d[s.at], 1.0 / s.keep, 1.0) + 0.0 * x,
                )
            ),
        )
    elif name == "alpha_dropout" and setting.sites[0].rate > 0.0:
        yield from _alpha()


def _alpha() -> Iterator[Fault]:
    from harness.layers.alpha_dropout import SATURATION, affine

    def instead(value: float, *, mapped: bool) -> Formula:
        def apply(site: Site, x: np.ndarray, draws: Arrays) -> tuple[np.ndarray, np.ndarray]:
            a, b = affine(site.rate) if mapped else (1.0, 0.0)
            kept = np.broadcast_to(draws[site.at], x.shape)
            return a * np.where(kept, x, value) + b, np.where(kept, a, 0.0)

        return apply

    fix = "dropped elements take SELU's saturation value -1.7581, then y = a x + b restores mean and variance"
    yield Fault("noise.alpha plain", "plain dropout instead of alpha dropout", fix, _plain)
    yield Fault(
        "noise.alpha zero", "dropped elements set to 0 before the affine map", fix, formula(instead(0.0, mapped=True))
    )
    yield Fault(
        "noise.alpha unmapped", "no affine map after the dropping", fix, formula(instead(SATURATION, mapped=False))
    )


def _plain(setting: Setting, inner: Inner) -> Evaluation:
    kind = kinds()["dropout"]
    config = kind.Config.model_validate({"rate": setting.config.rate, "shared": setting.config.shared})
    sites = tuple(dataclasses.replace(site, noise="bernoulli") for site in setting.sites)
    return inner(setting.changed(kind=kind, config=config, sites=sites))


def _product(x: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x * factor, factor + 0.0 * x
