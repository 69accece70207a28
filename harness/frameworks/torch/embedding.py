"""Embeddings in torch: the lookup, and embedded dropout.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 4.3: whole
words are dropped, by one mask (V, 1) over the table for the minibatch, scaled.
"""

from typing import Any, Dict, List

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.capabilities import Shared
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Leaf, TorchAdapter, rate_of, same
from harness.tape import BERNOULLI, Slot

ROWS = "embedding.rows"

#: One decision a word and minibatch.
ROWS_SHARED = (Shared(("batch", "features")),)


def embedded_dropout(embedding: Any, tokens: Any, rate: float) -> Any:
    """Look tokens up in a table whose rows are dropped, one decision a word; as published, 0/0 at rate 1."""
    weight = embedding.weight
    if rate:
        mask = weight.new_empty((weight.size(0), 1)).bernoulli_(1.0 - rate).expand_as(weight) / (1.0 - rate)
        weight = mask * weight
    return torch_module().nn.functional.embedding(tokens, weight)


def rows_slot(job: Job) -> List[Slot]:
    """The one draw of embedded dropout, (V, 1)."""
    site = job.acting(ROWS)
    return [] if site is None else [Slot(site.at, BERNOULLI, (site.shape[1], 1), tuple(site.shape))]


def loaded(module: Any, weights: Dict[str, Any]) -> Any:
    """The module with its parameters set, by torch's names."""
    with torch_module().no_grad():
        for name, value in weights.items():
            getattr(module, name).copy_(value)
    return module


@implementation("torch.nn.Embedding", ["torch"], "embedding", needs=["torch"])
class Embedding(TorchAdapter):
    """The lookup alone: torch has no dropout there."""

    settings = (*PLAIN_SETTINGS, "vocabulary", "features")

    def slots(self, job: Job) -> List[Slot]:
        return []

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        table = weights["embedding"]
        return loaded(torch_module().nn.Embedding(*table.shape, dtype=table.dtype), {"weight": table})

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        return {"embedding": (built.weight, same)}

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        return {"y": built(inputs["x"])}


@implementation("recipe.embedded_dropout", ["torch"], "embedding", needs=["torch"], recipe=True)
class EmbeddedDropout(Embedding):
    """Dropped rows."""

    sites = (ROWS,)
    shared = {ROWS: ROWS_SHARED}

    def slots(self, job: Job) -> List[Slot]:
        return rows_slot(job)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        return {"y": embedded_dropout(built, inputs["x"], rate_of(job, ROWS) if job.train else 0.0)}
