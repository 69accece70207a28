"""Every noise at the ends of its rate and its spread, on every implementation: it draws what the table of noises says."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from simulated import judged, variant

from harness import noises
from harness.execution.plan import make_tape, passes_of, stochastic
from harness.layers._pointwise import PointwiseNoise
from harness.layers.base import kinds
from harness.noises import ADDS, MULTIPLIES, NOISES, REPLACES, Noise, Site
from harness.records import BackendRef, Role, Variant, Verdict
from harness.tape import BERNOULLI, NORMAL
from tests.workers import run

RATES, STDDEVS = (0.0, 0.3, 1.0), (0.0, 0.1)
KINDS = {name: kind for name, kind in kinds().items() if isinstance(kind, PointwiseNoise)}

#: What frameworks do by themselves at an end: (implementation, rate) -> the rows that say so.
KNOWN: dict[str, dict[tuple[str, float], set[str]]] = {
    "numpy": {},
    "torch": {("recipe.LockedDropout", 1.0): {"value.y", "gradient.x", "identity.rate1"}},
    "jax": {("equinox.nn.Dropout", 1.0): {"gradient.x"}},
    "tensorflow": {},
}
#: What an implementation may refuse here: masks that it always shares, arrays of another rank, a rate of 1.
REFUSALS = ("shares", "shared", "rank", "refuses rate 1", "divides by 1 - rate", "keep_prob")


def settings(kind: PointwiseNoise) -> list[dict[str, Any]]:
    """The corners that the kind's settings allow."""
    ends = {"rate": RATES, "stddev": STDDEVS}
    names = [name for name in ends if name in kind.Config.model_fields]
    found = []
    for values in itertools.product(*(ends[name] for name in names)):
        config = dict(zip(names, values, strict=True))
        try:
            kind.Config.model_validate(config)
        except ValidationError:
            continue
        found.append(config)
    return found


def corners(backends: tuple[BackendRef, ...], draws: str) -> list[Variant]:
    """Every noise at every corner; dropout shared over time too, as LockedDropout and spatial layers have it."""
    asked = [(name, config) for name, kind in KINDS.items() for config in settings(kind)]
    asked += [("dropout", {"rate": rate, "shared": ["time"]}) for rate in RATES]
    return [
        variant(name, config, {"x": (6, 7, 8)}, backends=backends, draws=draws, timeout=300.0) for name, config in asked
    ]


def test_every_noise_has_its_corners() -> None:
    assert {kind.noise for kind in KINDS.values()} == set(NOISES) - {"zoneout"}  # a recurrent layer's: test_zoneout.py
    counted = {name: len(settings(kind)) for name, kind in KINDS.items()}
    assert counted == {
        "alpha_dropout": 2,
        "dropout": 3,
        "gaussian_dropout": 2,
        "gaussian_noise": 2,
        "masked_gaussian_noise": 6,
    }


@pytest.mark.parametrize("draws", ["native", "replay"])
def test_every_check_is_owed_and_answered_by_a_right_implementation(draws: str) -> None:
    """With draws where the outcome is settled, and without: both are right."""
    for one in corners((BackendRef("numpy", "simulated"),), draws):
        rows = judged(one).rows
        assert rows
        assert {row.check: row.cause for row in rows if row.verdict is not Verdict.PASS} == {}, one.config


@pytest.mark.parametrize("draws", ["native", "replay"])
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "tensorflow"])
def test_every_implementation_at_every_corner(backend: str, draws: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    passed: set[tuple[str, str]] = set()
    differing: dict[tuple[str, float], set[str]] = {}
    for found in run(corners((BackendRef(backend),), draws)):
        one = found.variant
        for row in found.rows:
            if row.verdict is Verdict.PASS:
                passed.add((one.layer, row.implementation))
            elif row.verdict is Verdict.UNSUPPORTED:
                assert any(word in row.cause for word in REFUSALS), (one.config, row.implementation, row.cause)
            else:
                key = (row.implementation, getattr(one.config, "rate", 0.0))
                differing.setdefault(key, set()).add(row.check)
    assert {layer for layer, _ in passed} >= {"dropout"}
    assert differing == KNOWN[backend]


SILENT = {
    "bernoulli": lambda rate, stddev: rate == 0.0,
    "gaussian": lambda rate, stddev: rate == 0.0,
    "alpha": lambda rate, stddev: rate == 0.0,
    "additive": lambda rate, stddev: stddev == 0.0,
    "masked_additive": lambda rate, stddev: rate == 0.0 or stddev == 0.0,
    "zoneout": lambda rate, stddev: rate == 0.0,
}


@pytest.mark.parametrize("noise", NOISES)
def test_what_the_table_says_at_the_corners(noise: str) -> None:
    for rate, stddev in itertools.product(RATES, STDDEVS):
        site = Site("input", rate, noise, shape=(2, 3), stddev=stddev)
        silent = SILENT[noise](rate, stddev)
        assert site.silent == silent
        open_ = tuple(kind for kind in site.draws if not silent and (kind == NORMAL or rate == 0.3))
        assert (site.open, site.active) == (open_, bool(open_)), (rate, stddev)
        kept = noises.settled(site, BERNOULLI)
        assert kept.shape == (2, 3)
        assert kept.all() == silent
        assert not noises.settled(site, NORMAL).any()


def test_spread_and_effect() -> None:
    assert Site("input", 0.2, "gaussian").spread == 0.5
    assert [Site("input", 0.2, noise, stddev=0.1).spread for noise in ("additive", "masked_additive")] == [0.1, 0.1]
    assert Site("input", 0.2).spread == 0.0
    assert noises.noises_that(MULTIPLIES) == ("bernoulli", "gaussian")
    assert [noise for noise in NOISES if Site("input", 0.2, noise).masks] == ["bernoulli"]
    assert noises.noises_that(ADDS) == ("additive", "masked_additive")


def test_the_name_that_a_case_lists() -> None:
    for at, listed in {
        "layer17.weight.recurrent": "weight.recurrent",
        "weight.recurrent": "weight.recurrent",
        "decoder.input": "decoder.input",
        "layered.input": "layered.input",
        "layers": "layers",
    }.items():
        assert Site(at, 0.5).listed == listed


def test_a_site_survives_json() -> None:
    site = Site("input", 0.3, shared=("time",), axes=("batch", "time"), shape=(2, 1), full=(2, 5))
    assert Site.of(json.loads(json.dumps(site._asdict()))) == site


def test_a_noise_that_is_no_multiplier_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan, tape and silence answer for a noise that keeps an old value, with nothing but its row added."""
    row = Noise((BERNOULLI,), REPLACES, lambda site: site.rate == 0.0)
    monkeypatch.setitem(NOISES, "keeps_old", row)
    made = variant("dropout", {"rate": 0.3}, {"x": (4, 5)}, seeds=(3,))

    def of_rate(rate: float) -> Variant:
        (site,) = made.sites
        return dataclasses.replace(made, sites=(site._replace(noise="keeps_old", rate=rate),))

    assert [stochastic(of_rate(rate)) for rate in RATES] == [False, True, False]
    assert Role.OTHER in {one.role for one in passes_of(of_rate(0.3))}
    assert Role.OTHER not in {one.role for one in passes_of(of_rate(1.0))}
    tape = make_tape(of_rate(0.3), 3)
    np.testing.assert_array_equal(tape["input"], make_tape(made, 3)["input"])
    assert not of_rate(0.3).sites[0].multiplies
    assert "keeps_old" not in noises.noises_that(MULTIPLIES)
