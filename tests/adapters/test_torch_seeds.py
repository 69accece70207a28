"""The seed explains the masks: what the adapters record is what the oracle predicts from the seed, draw after draw.

So a job's stream starts at its seed, building a layer consumes nothing of it, and slots are in the order of drawing.
"""

import math

import numpy as np
import pytest
from torch_cases import CASES, Case, call, name_of

from harness.streams import predict
from harness.tape import BERNOULLI, Slot

torch = pytest.importorskip("torch")


def rate_of(case_rates: dict[str, float], slot: Slot) -> float:
    return case_rates[slot.site.split("/")[0]]


def decides(case: Case) -> bool:
    """Whether all draws are decisions: normals are promised to a few ulp only."""
    return "noise" not in case[0] and "gaussian" not in str(case)


@pytest.mark.parametrize("case", list(filter(decides, CASES)), ids=name_of)
@pytest.mark.parametrize("seed", [0, 12345])
def test_masks_are_those_of_the_seed(case: Case, seed: int) -> None:
    job = call(case, dtype="float32", gradients=False)
    slots = job.adapter.slots(job.job)
    assert all(slot.kind == BERNOULLI for slot in slots)
    rates = {site.at: site.rate for site in job.sites}
    recorded = job.run(seed=seed).draws
    sizes: list[int] = []
    for slot in slots:
        mask = predict(
            "torch.Tensor.bernoulli_",
            version=torch.__version__,
            seed=seed,
            shape=slot.shape,
            rate=rate_of(rates, slot),
            before=tuple(sizes),
            mkl=torch.backends.mkl.is_available(),
        )
        sizes.append(math.prod(slot.shape))
        drawn = slot.to_native(recorded[slot.site].values)
        np.testing.assert_array_equal(drawn, np.asarray(mask.keep), err_msg=slot.site)


def test_a_shifted_stream_is_seen() -> None:
    """Building a layer after seeding, or one draw more, gives other masks."""
    job = call(CASES[0])
    right = job.run().draws["input"].values
    torch.manual_seed(job.job.seed)
    torch.empty(1).bernoulli_(0.5)
    shifted = torch.empty(*right.shape).bernoulli_(0.7).numpy() != 0
    assert not np.array_equal(right, shifted)
