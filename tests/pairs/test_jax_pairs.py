"""torch against Flax, JAX against itself: weights brought over, draws replayed, the place where they part."""

import numpy as np
import pytest

from harness import assert_parity, pair
from harness.frameworks.contract import programs
from harness.frameworks.contract.programs import DECISION, NORMAL, Request
from harness.pairs import report

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
pytest.importorskip("flax")

from tests.pairs import flax_models, models  # noqa: E402

RANDOM = np.random.RandomState(0)
INPUTS = {"x": RANDOM.standard_normal((6, 4, 5)).astype(np.float32), "tokens": RANDOM.randint(0, 20, (6, 4))}


def compared(**changed):
    return pair(models.mixer(), flax_models.mixer(**changed), inputs=INPUTS, seeds=[0], weights="auto", gradients=False)


def test_a_right_port_passes_and_its_weights_are_found_and_turned():
    result = pair(models.mixer(), flax_models.mixer(), inputs=INPUTS, seeds=[0], weights="auto")
    failed = [row.name for row in result.parts[-1].compared if not row.passed]
    # torch's running variance is unbiased, Flax' is not: the one difference between the two that nobody planted.
    assert failed == ["state/bn.running_var"]
    assert all(row.passed for row in result.parts[0].compared)
    sources = {name: str(source) for name, source in result.mapping.sources.items()}
    assert sources["fc1.kernel"] == "fc1.weight transposed [1, 0]"
    assert sources["batch_stats.bn.mean"] == "bn.running_mean" and sources["emb.embedding"] == "emb.weight"
    names = {row.name for row in result.parts[-1].gradients}
    assert {"gradient/input/x", "gradient/weight/fc1.weight", "gradient/weight/emb.weight"} <= names
    assert len(result.parts[1].pairing.matches) == 2


@pytest.mark.parametrize(
    ("changed", "line", "cause"),
    [
        ({"tanh": True}, "nn.gelu(h", "gelu by erf in one, by its tanh approximation in the other"),
        ({"eps": 1e-3}, "nn.LayerNorm(", "a near miss in a normalisation"),
        ({"unscaled": True}, "jnp.where(kept, h if", "survivors are not divided by the keep probability 0.7"),
        ({"shared": (1,)}, "", "the second makes one draw for all of axis 1"),
    ],
)
def test_a_planted_mistake_has_its_line_and_its_cause(changed, line, cause):
    result = compared(**changed)
    part = result.parting
    assert cause in part.cause, report.lines(result)
    if line:
        assert line in part.theirs.steps[part.parting.second].source, report.lines(result)


def test_jax_functions_models_and_normals_replay():
    from flax import nnx

    def noisy(x, key, training):
        return x + jax.random.normal(key, x.shape) if training else x

    def same(x, training):
        return x + torch.randn(x.shape) if training else x

    x = {"x": INPUTS["x"]}
    result = assert_parity(noisy, same, inputs=x, seeds=[0])
    assert result.parts[1].mine.draws[0].kind == NORMAL
    dropout = nnx.Dropout(0.25, rngs=nnx.Rngs(0))
    result = assert_parity(torch.nn.Dropout(0.25), dropout, inputs=x, seeds=[0])
    assert result.parts[1].theirs.draws[0].kind == DECISION
    other = [programs.observe("jax", dropout, Request(x, "train", seed)).draws[0].values for seed in (1, 1, 2)]
    assert np.array_equal(other[0], other[1]) and not np.array_equal(other[0], other[2])


def test_equinox_is_called_with_its_key():
    equinox = pytest.importorskip("equinox")
    x = {"x": INPUTS["x"]}
    assert_parity(equinox.nn.Dropout(0.25), torch.nn.Dropout(0.25), inputs=x, seeds=[0])


def test_steps_of_a_scan_are_draws_of_their_own():
    def loop(x, key, training):
        def step(key, row):
            key, mine = jax.random.split(key)
            return key, row * jax.random.bernoulli(mine, 0.75, row.shape) / 0.75 if training else row

        return jax.numpy.swapaxes(jax.lax.scan(step, key, jax.numpy.swapaxes(x, 0, 1))[1], 0, 1)

    assert_parity(torch.nn.Dropout(0.25), loop, inputs={"x": INPUTS["x"]}, seeds=[0])


def test_the_programs_own_rounding_explains_its_error():
    trace = programs.observe("jax", flax_models.mixer(), Request(INPUTS, "train", noise=3, gradients=True))
    assert not trace.notes
    for name, clean in [*trace.clean.items(), *(("gradient/" + n, a) for n, a in trace.clean_gradients.items())]:
        real = trace.gradients[name[9:]] if name.startswith("gradient/") else trace.outputs[name]
        floor = 2.0**-24 * np.max(np.abs(clean))
        assert np.max(np.abs(real - clean)) <= 4 * max(trace.sensitivity[name], floor), name
