"""torch against torch: draws replayed, limits from the program's own rounding, and what does not pair."""

import random

import numpy as np
import pytest

from harness import assert_parity, pair
from harness.errors import UserError
from harness.frameworks.contract import programs
from harness.frameworks.contract.programs import DECISION, Request
from harness.pairs import report

torch = pytest.importorskip("torch")
nn = torch.nn

from tests.pairs.models import net  # noqa: E402

TOKENS = np.random.RandomState(0).randint(0, 50, (3, 5))


def test_every_draw_is_recorded_with_its_probability_and_its_place():
    trace = programs.observe("torch", net(), Request({"tokens": TOKENS}, "train"))
    found = [(draw.kind, draw.shape, round(draw.p, 6), draw.scope) for draw in trace.draws]
    assert found == [
        (DECISION, (5, 3, 8), 0.75, "lstm"),
        (DECISION, (3, 2, 5, 5), 0.9, "block.attention"),
        (DECISION, (3, 5, 8), 0.9, "block.drop"),
        (DECISION, (3, 1, 1), 0.7, "block"),
        (DECISION, (3, 5, 8), 0.9, "block.drop"),
        (DECISION, (3, 1, 1), 0.7, "block"),
    ]
    path = trace.draws[3]
    assert path.place.startswith("models.py:") and "torch.rand" in path.source and path.rule == "floor(p + u)"


def test_a_replay_gives_the_same_bits_under_another_seed():
    model, inputs = net(), {"tokens": TOKENS}
    first = programs.observe("torch", model, Request(inputs, "train", 0, gradients=True))
    again = programs.observe("torch", model, Request(inputs, "train", 7, first.draws, gradients=True))
    other = programs.observe("torch", model, Request(inputs, "train", 7))
    for name, array in first.outputs.items():
        assert np.array_equal(array, again.outputs[name])
        assert not np.array_equal(array, other.outputs[name])
    for name, array in first.gradients.items():
        assert np.array_equal(array, again.gradients[name]), name


def test_a_model_is_left_as_it_was_and_every_call_starts_from_there():
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pair(model, net(), inputs={"tokens": TOKENS}, seeds=[0])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert model.training


def test_the_programs_own_rounding_explains_its_error_outputs_and_gradients_alike():
    trace = programs.observe("torch", net(), Request({"tokens": TOKENS}, "train", noise=3, gradients=True, values=True))
    assert not trace.notes
    for name, clean in trace.clean.items():
        gap = np.max(np.abs(trace.outputs[name] - clean))
        assert 0 < gap <= 4 * trace.sensitivity[name], name
    for name, clean in trace.clean_gradients.items():
        floor = 2.0**-24 * np.max(np.abs(clean))
        gap = np.max(np.abs(trace.gradients[name] - clean))
        # The key's bias moves no softmax: its gradient is zero but for rounding, which cancels in one of the runs as it likes.
        assert gap <= 4 * max(trace.sensitivity["gradient/" + name], floor), name
    floors = np.maximum(trace.spread, 2.0**-24 * np.max(np.abs(trace.clean_prints), axis=1))
    gaps = np.max(np.abs(trace.prints - trace.clean_prints), axis=1)
    assert np.all(gaps <= 6 * floors)


def test_noise_of_float64_is_smaller_by_what_its_roundoff_is():
    wide = net().double()
    trace = programs.observe("torch", wide, Request({"tokens": TOKENS}, "eval", noise=3))
    assert 0 < trace.sensitivity["logits"] < 1e-14


@pytest.mark.parametrize("changed", [{}, {"path": "compared"}])
def test_a_right_port_passes(changed):
    result = assert_parity(net(), net(**changed), inputs={"tokens": TOKENS})
    assert [part.mode for part in result.parts] == ["eval", "train", "train"]
    assert all(len(part.pairing.matches) == 6 for part in result.parts[1:])
    assert report.headline(result).startswith("✓")


@pytest.mark.parametrize(
    ("changed", "mode"),
    [({"eps": 1e-3}, "eval"), ({"gelu": "tanh"}, "eval"), ({"path": "unscaled"}, "train"), ({"rate": 0.9}, "train")],
)
def test_a_planted_mistake_is_caught_in_the_first_mode_that_shows_it(changed, mode):
    result = pair(net(), net(**changed), inputs={"tokens": TOKENS})
    assert not result.passed
    assert result.parting.mode == mode
    with pytest.raises(AssertionError, match="✕"):
        assert_parity(net(), net(**changed), inputs={"tokens": TOKENS})


def test_one_draw_for_the_batch_does_not_pair_and_is_said_so():
    result = pair(net(), net(path="batch"), inputs={"tokens": TOKENS})
    text = "\n".join(report.lines(result))
    assert "only in the first:  decision (3, 1, 1) p=0.7 at block, models.py:" in text
    assert "only in the second: decision (1, 1, 1) p=0.7 at block, models.py:" in text
    assert text.count(": one draw for the whole batch") == 2


def test_functions_are_called_by_the_names_of_their_parameters():
    def original(x, training):
        return torch.nn.functional.dropout(x, 0.25, training=training)

    def port(inputs, mode):
        kept = (torch.rand(6, 4) < 0.75).t() if mode == "train" else torch.ones(4, 6)
        return (inputs["x"] * kept / (0.75 if mode == "train" else 1),)

    def port_of_one(x, *, deterministic):
        return x if deterministic else torch.where(torch.rand(x.shape) >= 0.25, x / 0.75, 0)

    x = np.random.RandomState(0).standard_normal((4, 6)).astype(np.float32)
    assert_parity(original, port_of_one, inputs={"x": x})
    assert_parity(
        lambda x, y, training: original(x, training), lambda inputs, mode: port(inputs, mode), inputs={"x": x, "y": x}
    )


def test_inverted_masks_are_complementary_draws():
    def port(x, training):
        if not training:
            return x
        return x.masked_fill(torch.rand(x.shape) < 0.25, 0) / 0.75

    result = assert_parity(nn.Dropout(0.25), port, inputs={"x": np.ones((4, 6), np.float32)}, seeds=[0])
    assert result.parts[1].pairing.matches[0].flipped


def test_steps_of_a_loop_pair_with_one_draw():
    def loop(x, training):
        steps = [nn.functional.dropout(x[:, t], 0.3, training=training) for t in range(x.shape[1])]
        return torch.stack(steps, 1)

    def whole(x, training):
        return nn.functional.dropout(x, 0.3, training=training)

    x = np.random.RandomState(0).standard_normal((2, 5, 3)).astype(np.float32)
    assert_parity(loop, whole, inputs={"x": x})
    assert_parity(whole, loop, inputs={"x": x})


def test_random_operations_that_no_rule_knows_are_replayed_by_their_values():
    def program(x, training):
        return x + torch.randint(0, 9, (3,)) + torch.multinomial(torch.ones(3), 3) + torch.empty(3).exponential_()

    result = assert_parity(program, lambda x, training: program(x, training), inputs={"x": np.zeros(3, np.float32)})
    assert [draw.kind for draw in result.parts[1].mine.draws] == ["randint", "multinomial", "exponential"]


def test_generators_outside_the_framework_are_seen_and_told():
    def program(x, training):
        return x * random.random() * np.random.rand()

    result = pair(program, lambda x, training: program(x, training), inputs={"x": np.ones(3, np.float32)}, seeds=[0])
    text = "\n".join(report.lines(result))
    assert not result.passed
    assert "Python's `random`" in text and "NumPy's global generator" in text


def test_what_cannot_be_compared_is_one_error_with_the_users_own_lines():
    x = {"x": np.ones((2, 3), np.float32)}

    def broken(x):
        return x @ x

    with pytest.raises(UserError, match="broken: test_torch_pairs.py:") as raised:
        pair(lambda x: x, broken, inputs=x)
    assert "return x @ x" in str(raised.value)
    with pytest.raises(UserError, match=r"takes \(y, z\); the inputs are: x"):
        pair(lambda x: x, lambda y, z: y, inputs=x)
    with pytest.raises(UserError, match=r"'logits' \(nearest: 'logit'\)"):
        pair(lambda x: {"logits": x, "h": x}, lambda x: {"logit": x, "h": x}, inputs=x)
    with pytest.raises(UserError, match="is function: no array"):
        pair(lambda x: x, lambda x: broken, inputs=x)


def test_outputs_in_another_order_and_further_outputs_weigh_the_same_in_gradients():
    x = {"x": np.random.RandomState(0).standard_normal((3, 4)).astype(np.float32)}

    def first(x):
        h = torch.tanh(x)
        return {"sum": h.sum(1), "states": h}

    def second(x):
        h = torch.tanh(x)
        return {"norm": h.norm(), "states": h, "sum": h.sum(1)}

    assert pair(first, second, inputs=x, seeds=[0]).passed


def test_a_row_that_is_no_number_in_both_programs_hides_no_other_row():
    x = {"x": np.ones((3, 4), np.float32), "lengths": np.array([2.0, 0.0, 1.0], np.float32)}

    def mean(x, lengths):
        return (torch.sin(x) * (torch.arange(4) < lengths[:, None])).sum(1) / lengths

    assert pair(mean, mean, inputs=x, seeds=[0], gradients=False).passed
    other = pair(mean, lambda x, lengths: mean(x * 1.001, lengths), inputs=x, seeds=[0], gradients=False)
    row = other.parting.rows[0]
    assert not row.passed and np.isfinite(row.limit)


def test_a_parameter_that_only_one_program_cuts_off_is_a_difference():
    class Gate(nn.Module):
        def __init__(self, cut):
            super().__init__()
            torch.manual_seed(0)
            self.gate, self.cut = nn.Linear(4, 4), cut

        def forward(self, x):
            g = torch.sigmoid(self.gate(x))
            return x * (g.detach() if self.cut else g)

    result = pair(Gate(False), Gate(True), inputs={"x": np.ones((3, 4), np.float32)}, seeds=[0])
    failed = [row.name for row in result.parting.compared if not row.passed]
    assert "gradient/weight/gate.weight" in failed and "output" not in failed
    assert result.parting.cause == "outputs agree, but the second cuts off the gradients of gate.weight, gate.bias"


def test_dropout_from_a_generator_that_is_not_replayed_is_said_so_and_not_called_off():
    def hidden(x, training):
        keep = torch.from_numpy(np.random.rand(*x.shape) < 0.7)
        return x * keep / 0.7 if training else x * 1.0

    drop = lambda x, training: nn.functional.dropout(x, 0.3, training)  # noqa: E731
    x = {"x": np.ones((3, 4), np.float32)}
    cause = "the %s draws from NumPy's global generator, which cannot be replayed"
    assert pair(drop, hidden, inputs=x, seeds=[0]).parting.cause == cause % "second"
    assert pair(hidden, drop, inputs=x, seeds=[0]).parting.cause == cause % "first"


def test_a_program_that_is_not_deterministic_is_told_apart_from_one_that_differs():
    calls = iter(range(100))
    x = {"x": np.ones((3, 4), np.float32)}
    drifting = lambda x: torch.mul(x, 2) + next(calls)  # noqa: E731
    cause = "the %s is not deterministic: called again with the same inputs and draws, it returned another 'output'"
    assert pair(drifting, lambda x: torch.mul(x, 2), inputs=x, seeds=[0]).parting.cause == cause % "first"
    assert pair(lambda x: torch.mul(x, 2), drifting, inputs=x, seeds=[0]).parting.cause == cause % "second"
