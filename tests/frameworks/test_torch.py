"""What is torch's own: which axes its layers take, where it draws nothing, its random order; and draws that no slot foresees."""

import numpy as np
import pytest

pytest.importorskip("torch")

from harness.frameworks.contract.adapter import Unsupported
from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import FULL, Call, at
from tests.frameworks.trial import Trial, X


def test_dropout1d_on_a_batch_major_array_drops_time_steps() -> None:
    """What `shared: [features]` asks for is what the layer does to the array as it is; no transpose is made."""
    import torch

    job = Call("torch", "torch.nn.Dropout1d", "dropout", {"rate": 0.5, "shared": ["features"]}, inputs={"x": X})
    torch.manual_seed(job.job.seed)
    direct = torch.nn.Dropout1d(0.5)(torch.from_numpy(X)).numpy()
    result = job.run()
    np.testing.assert_array_equal(result.outputs["y"], direct)
    assert result.draws["input"].values.shape == (3, 5, 1)


@pytest.mark.parametrize("name", ["torch.nn.Dropout", "torch.nn.functional.dropout", "torch.native_dropout"])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_only_the_fused_operator_draws_at_the_ends_of_the_rate(name: str, rate: float) -> None:
    result = Call("torch", name, "dropout", {"rate": rate}, inputs={"x": X}).run()
    assert bool(result.draws) == (name == "torch.native_dropout")
    np.testing.assert_array_equal(result.outputs["y"], X if rate == 0.0 else np.zeros_like(X))


def test_a_zero_in_the_input_is_not_a_dropped_element() -> None:
    x = np.zeros((4, 50))
    job = Call("torch", "torch.nn.Dropout", "dropout", {"rate": 0.5}, inputs={"x": x})
    kept = job.run().draws["input"].values
    assert 0 < kept.sum() < kept.size


def test_batch_first_draws_between_layers_time_major() -> None:
    """The same seed gives the same masks with and without batch_first: torch draws on its inner (T, B, H) array."""
    job = Call("torch", "torch.nn.LSTM", "lstm", {**FULL, "layers": 2}, [at("between_layers")], inputs={"x": X})
    plain, first = job.run(), job.run(options={"batch_first": True})
    np.testing.assert_array_equal(plain.draws["between_layers"].values, first.draws["between_layers"].values)


def test_a_tape_of_another_shape_is_refused() -> None:
    job = Trial("torch", "dropout", "torch.nn.Dropout1d", "time").job
    with pytest.raises(Unsupported, match="shares the mask over "):
        job.run(tape={"input": np.ones(X.shape, dtype=bool)})


def test_a_draw_that_no_slot_foresees_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tap that missed or an adapter that forgot a draw cannot pass."""
    job = Trial("torch", "lstm", "torch.nn.LSTM", "stack").job
    slots = job.adapter.slots
    monkeypatch.setattr(job.adapter, "slots", lambda this: slots(this)[:-1])
    with pytest.raises(TapeMismatch, match="drew 3 times where 2 were expected"):
        job.run()
    monkeypatch.setattr(job.adapter, "slots", lambda this: [*slots(this), slots(this)[0]])
    with pytest.raises(TapeMismatch, match="drew 3 times where 4 were expected"):
        job.run()
    with pytest.raises(TapeMismatch, match="never taken"):
        job.run(tape=job.tape())


def test_torch_rounds_the_gradient_of_hardsigmoid_to_float32() -> None:
    """Why the loop writes the formula out. When this fails, torch has mended it."""
    import torch

    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.hardsigmoid(x).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == float(np.float32(1.0 / 6.0))
