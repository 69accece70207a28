"""The seed explains the masks: what the adapters record is what the oracle predicts from the seed, draw after draw.

So a job's stream starts at its seed, building a layer consumes nothing of it, and slots are in the order of drawing.
"""

import math

import numpy as np
import pytest

from harness.streams import predict
from harness.tape import BERNOULLI
from tests.frameworks.trial import Trial, table

torch = pytest.importorskip("torch")

#: Cases whose draws are all decisions: normals are promised to a few ulp only.
DECIDED = [
    (layer, name, word)
    for (layer, name), own in table("torch").CASES.items()
    for word, case in own.items()
    if "noise" not in layer and "gaussian" not in layer + word and not case.refused and "compile" not in case.options
]


@pytest.mark.parametrize(("layer", "name", "word"), DECIDED, ids=map(": ".join, DECIDED))
@pytest.mark.parametrize("seed", [0, 12345])
def test_masks_are_those_of_the_seed(layer: str, name: str, word: str, seed: int) -> None:
    job = Trial("torch", layer, name, word).call(dtype="float32", gradients=False)
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
            rate=rates[slot.site.split("/")[0]],
            before=tuple(sizes),
            mkl=torch.backends.mkl.is_available(),
        )
        sizes.append(math.prod(slot.shape))
        drawn = slot.to_native(recorded[slot.site].values)
        np.testing.assert_array_equal(drawn, np.asarray(mask.keep), err_msg=slot.site)


def test_a_shifted_stream_is_seen() -> None:
    """Building a layer after seeding, or one draw more, gives other masks."""
    job = Trial("torch", "dropout", "torch.nn.Dropout", "plain").job
    right = job.run().draws["input"].values
    torch.manual_seed(job.job.seed)
    torch.empty(1).bernoulli_(0.5)
    shifted = torch.empty(*right.shape).bernoulli_(0.7).numpy() != 0
    assert not np.array_equal(right, shifted)
