"""Ports that decide from uniforms, in either sense, or draw what is dropped: right ones pass, wrong ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated import variant
from target_cases import differences

from harness.records import BackendRef, Compared
from harness.tape import KEEP_RULES, UNIFORM, Draw, deciding_uniforms, decisions
from tests.workers import run

PREAMBLE = """
def run(case):
    x, rate = case.inputs["x"], case.rate("input")
    if not case.training:
        return {"y": x}
    keep, how = 1.0 - rate, case.options["how"]
"""
PORTS = {
    "torch": "import torch"
    + PREAMBLE
    + """
    if how == "drop":
        return {"y": x.masked_fill(torch.bernoulli(torch.full_like(x, rate)).bool(), 0.0) / keep}
    u = torch.rand_like(x)
    kept = {"ge": u >= rate, "gt": u > rate, "lt": u < keep, "floor": torch.floor(keep + u) == 1,
            "inverted": u < rate, "noscale": u < keep}[how]
    return {"y": x * kept / (1.0 if how == "noscale" else keep)}
""",
    "tensorflow": "import tensorflow as tf"
    + PREAMBLE
    + """
    u = tf.random.uniform(x.shape, dtype=x.dtype)
    kept = {"ge": u >= rate, "gt": u > rate, "lt": u < keep, "floor": tf.floor(keep + u) == 1,
            "inverted": u < rate, "noscale": u < keep}[how]
    return {"y": x * tf.cast(kept, x.dtype) / (1.0 if how == "noscale" else keep)}
""",
    "jax": "import jax, jax.numpy as jnp"
    + PREAMBLE
    + """
    u = jax.random.uniform(case.key, x.shape, x.dtype)
    kept = {"ge": u >= rate, "gt": u > rate, "lt": u < keep, "floor": jnp.floor(keep + u) == 1,
            "inverted": u < rate, "noscale": u < keep}[how]
    return {"y": jnp.where(kept, x / (1.0 if how == "noscale" else keep), 0.0)}
""",
}
RIGHT = ("ge", "gt", "lt", "floor")


def judged(
    framework: str, hows: tuple[str, ...], draws: str, folder: Path, rate: float = 0.3, dtype: str = "float32"
) -> dict[str, Compared]:
    (folder / "port.py").write_text(PORTS[framework], encoding="utf-8")
    ports = tuple(BackendRef(framework, how, target=f"{folder / 'port.py'}:run", options={"how": how}) for how in hows)
    case = variant("dropout", {"rate": rate}, {"x": (8, 12)}, backends=ports, draws=draws, dtype=dtype)
    return dict(zip(hows, run([case]), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["native", "replay"])
@pytest.mark.parametrize("framework", PORTS)
def test_right_ports_pass_and_wrong_ones_fail(framework: str, draws: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    hows = (*RIGHT, *(["drop"] if framework == "torch" else []), "inverted", "noscale")
    found = judged(framework, hows, draws, tmp_path)
    for how in hows[:-2]:
        assert differences(found[how]) == {}, how
    inverted, unscaled = (differences(found[how]) for how in hows[-2:])
    assert any("other way round" in cause for cause in inverted.values()), inverted
    assert any("scale" in cause for cause in unscaled.values()), unscaled
    assert not any("other way round" in cause for cause in unscaled.values()), unscaled


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "dtype"), [(0.5, "float32"), (0.95, "bfloat16"), (0.95, "float16")])
@pytest.mark.parametrize("framework", PORTS)
def test_a_replayed_tape_leaves_right_ports_alone_at_any_rate(
    framework: str, rate: float, dtype: str, tmp_path: Path
) -> None:
    pytest.importorskip(framework)
    hows = ("ge", "lt", *(["drop"] if framework == "torch" else []))
    for how, compared in judged(framework, hows, "replay", tmp_path, rate, dtype).items():
        assert differences(compared) == {}, how


@pytest.mark.slow
@pytest.mark.parametrize("framework", PORTS)
def test_another_threshold_is_seen_in_a_short_format_too(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    found = judged(framework, ("lt", "inverted"), "replay", tmp_path, dtype="bfloat16")
    assert differences(found["lt"]) == {}
    assert differences(found["inverted"])["value.y"].startswith("fail")


# --- the uniforms of a tape ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rule", KEEP_RULES)
@pytest.mark.parametrize("rate", [1e-6, 0.01, 0.3, 0.5, 0.95, 1.0 - 1e-6])
def test_they_decide_as_the_tape_says_after_rounding(rate: float, rule: str, dtype: str) -> None:
    kept = np.random.default_rng(3).random((40, 25)) >= rate
    top = float(np.nextafter(np.ones((), dtype), np.zeros((), dtype)))
    made = deciding_uniforms(kept, rule, rate, top, lambda inner: inner.astype(dtype)).astype(dtype)
    assert made.min() >= 0.0
    assert made.max() <= 1.0
    # A format may be too coarse for a rate: what it cannot decide lies at an end, as without a rate.
    ends = np.isin(made, (0.0, np.asarray(top, dtype)))
    np.testing.assert_array_equal(decisions(Draw(UNIFORM, made, rule), rate)[~ends], kept[~ends])
    if dtype != "float16":
        np.testing.assert_array_equal(decisions(Draw(UNIFORM, made, rule), rate), kept)


def test_another_threshold_decides_many_of_them_otherwise() -> None:
    kept = np.random.default_rng(3).random((40, 25)) >= 0.3
    made = deciding_uniforms(kept, "u >= rate", 0.3, 1.0, lambda inner: inner)
    assert np.mean((made >= 0.7) != kept) > 0.3
    at_the_ends = deciding_uniforms(kept, "u >= rate", None, 1.0 - 2.0**-24, lambda inner: inner)
    np.testing.assert_array_equal(at_the_ends >= 0.7, kept)
