"""The first place where two torch programs part, and the cause, for mistakes that people make."""

import numpy as np
import pytest

from harness import pair
from harness.pairs import report

torch = pytest.importorskip("torch")

from tests.pairs.models import net  # noqa: E402

TOKENS = np.random.RandomState(0).randint(0, 50, (3, 5))

#: What is changed in the port; the operation at which the original parts and its module; what the cause says.
MISTAKES = [
    (
        {"eps": 1e-6},
        "native_layer_norm",
        "block.ln0",
        "epsilon of native_layer_norm at block.ln0 is 1e-05 in the first and 1e-06",
    ),
    (
        {"gelu": "tanh"},
        "gelu",
        "block",
        "gelu's approximation of gelu at block is none in the first and tanh in the second",
    ),
    ({"path": "unscaled"}, "div", "block", "survivors are not divided by the keep probability 0.7"),
    ({"rate": 0.9}, "mul", "block.attention", "keeps with probability 0.1 where the first keeps with 0.9"),
    ({"after_add": True}, "mul", "block.drop", ""),
]


def parted(**changed):
    result = pair(net(), net(**changed), inputs={"tokens": TOKENS}, seeds=[0], gradients=False)
    assert not result.passed
    return result


@pytest.mark.parametrize(("changed", "operation", "scope", "cause"), MISTAKES)
def test_the_place_and_the_cause(changed, operation, scope, cause):
    part = parted(**changed).parting
    step = part.mine.steps[part.parting.first]
    assert (step.op, step.scope) == (operation, scope)
    assert step.place.startswith("models.py:") and step.source
    assert cause in part.cause
    # What comes before the place agrees, and is no part of the block's end.
    agreed = part.mine.steps[part.parting.agreed[0]]
    assert part.parting.agreed[0] < part.parting.first and agreed.place.startswith("models.py:")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"path": "batch"}, "the second makes one draw for the whole batch"),
        ({"rate": 0.2}, "the second draws with p = 0.8 where the first has 0.9"),
        ({"twice": True}, "the second drops twice where the first drops once"),
    ],
)
def test_draws_that_do_not_pair_have_a_cause(changed, cause):
    result = parted(**changed)
    assert result.parting.cause == cause
    assert cause in report.headline(result)


def test_dropout_that_is_off_or_always_on_is_said_so():
    x = {"x": np.ones((4, 6), np.float32)}
    dropout = torch.nn.functional.dropout
    right = lambda x, training: dropout(x, 0.5, training=training)  # noqa: E731
    result = pair(right, lambda x: dropout(x, 0.5, training=False), inputs=x, seeds=[0])
    assert "draws nothing in training" in report.headline(result)
    result = pair(right, lambda x: dropout(x, 0.5), inputs=x, seeds=[0])
    assert "drops in evaluation" in report.headline(result) and result.parting.mode == "eval"


def test_batch_statistics_are_compared_after_the_call():
    result = parted(momentum=0.01)
    failed = [row.name for row in result.parting.compared if not row.passed]
    assert failed == ["state/bn.running_mean", "state/bn.running_var"]
    assert result.parting.cause == "momentum of native_batch_norm at bn is 0.1 in the first and 0.01 in the second"


def test_a_right_port_has_every_value_matched():
    from harness.frameworks.contract import programs
    from harness.frameworks.contract.programs import Request
    from harness.pairs import divergence

    first = programs.observe("torch", net(), Request({"tokens": TOKENS}, "eval", noise=3, values=True))
    second = programs.observe("torch", net(), Request({"tokens": TOKENS}, "eval", values=True))
    parting = divergence.parting(first, second)
    assert parting.first is None and parting.second is None
    assert np.all(parting.pairs >= 0)


def test_fingerprints_move_no_further_than_elements():
    from harness.frameworks.contract.programs import fingerprint

    generator = np.random.default_rng(0)
    for size in (1, 5, 64, 65, 1000):
        values = generator.standard_normal(size)
        moved = values + generator.uniform(-1e-3, 1e-3, size)
        gap = np.max(np.abs(fingerprint(values) - fingerprint(generator.permutation(moved))))
        assert 0 < gap <= 1e-3 * (1 + 1e-9)


def test_a_mask_on_weights_instead_of_logits_is_no_factor():
    mask = torch.tensor([True, True, True, False, False])
    logits = lambda x: torch.softmax((x * 2).masked_fill(~mask, -1e9), -1)  # noqa: E731
    weights = lambda x: torch.softmax(x * 2, -1) * mask  # noqa: E731
    x = {"x": np.random.RandomState(0).standard_normal((3, 5)).astype(np.float32)}
    result = pair(logits, weights, inputs=x, seeds=[0])
    part = result.parting
    assert part.mine.steps[part.parting.first].op == "masked_fill"
    assert "times the first" not in part.cause
