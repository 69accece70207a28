"""The ports of docs/own-code.md are right as they stand: outputs, gradients, masks, with native draws and with a tape."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from harness.cases import load
from harness.records import Verdict
from tests.workers import run

PAGE = (Path(__file__).parent.parent / "docs" / "own-code.md").read_text(encoding="utf-8")
PORTS = dict(re.findall(r"```python\n# (\w+_port\.py)\n(.*?)```", PAGE, re.DOTALL))
(CASE,) = re.findall(r"```yaml\n(about: .*?)```", PAGE, re.DOTALL)
RUNS = [
    ("torch_port.py", "torch", ["torch"]),
    ("keras_port.py", "tensorflow", ["tensorflow", "keras"]),
    ("keras_port.py", "torch", ["torch", "keras"]),
    ("keras_jax_port.py", "jax", ["jax", "keras"]),
    ("flax_port.py", "jax", ["jax", "flax"]),
    ("equinox_port.py", "jax", ["jax", "equinox"]),
]


def test_every_port_of_the_page_is_run() -> None:
    assert set(PORTS) == {name for name, _, _ in RUNS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "framework", "needs"), RUNS, ids=[f"{name} {framework}" for name, framework, _ in RUNS]
)
def test_a_port_of_the_page(name: str, framework: str, needs: list[str], tmp_path: Path) -> None:
    for package in needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (tmp_path / name).write_text(PORTS[name], encoding="utf-8")
    text = CASE.replace("torch_port.py", name).replace("framework: torch", f"framework: {framework}")
    if name != "keras_jax_port.py":  # Keras 3 on JAX computes the tanh of float64 in float32
        text = text.replace("draws: [native, replay]", "draws: [native, replay], dtype: [float32, float64]")
    (tmp_path / "case.yaml").write_text(f"{text}timeout: 300\n", encoding="utf-8")
    variants = load([tmp_path / "case.yaml"])
    assert len(variants) == (2 if name == "keras_jax_port.py" else 4)
    rows = [row for found in run(variants) for row in found.rows]
    assert [f"{row.check} {row.verdict}: {row.cause}" for row in rows if row.verdict is not Verdict.PASS] == []
    assert len(rows) >= 15 * len(variants)
    checks = {row.check for row in rows}
    assert checks >= {"gradient.kernel", "gradient.bias", "mask.sites", "mask.replayed"}
    assert ("mask.other_call" in checks) == (framework != "jax")
