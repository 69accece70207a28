"""The AWD-LSTM language model in torch, as it was published. Sequence-first inside.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 4: embedded
dropout; LockedDropout on the embeddings, between the layers and on the last output; one weight-dropped nn.LSTM a layer; a
decoder that may share the embedding's weight.
"""

from typing import Any, Dict, List, Tuple

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.capabilities import EVERY
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Leaf, TorchAdapter, rate_of, same, transposed
from harness.frameworks.torch.embedding import ROWS, ROWS_SHARED, embedded_dropout, loaded, rows_slot
from harness.frameworks.torch.locked import LOCKED
from harness.frameworks.torch.weight_drop import OF_WEIGHTS, SHARED, AwdStack
from harness.tape import Slot


@implementation("recipe.AWD_LSTM", ["torch"], "awd_lstm", needs=["torch"], recipe=True)
class AwdLstm(TorchAdapter):
    """The complete model. Options: those of WeightDrop."""

    options = OF_WEIGHTS
    sites: Tuple[str, ...] = (ROWS, "input", "between_layers", "output", "weight.recurrent")
    settings = (*PLAIN_SETTINGS, "vocabulary", "features")
    shared = {EVERY: LOCKED, ROWS: ROWS_SHARED, "weight.recurrent": SHARED}

    def stack(self, job: Job) -> AwdStack:
        """The recurrent part."""
        return AwdStack(job, job.stacks[0])

    def check(self, job: Job) -> None:
        super().check(job)
        self.stack(job).check()

    def slots(self, job: Job) -> List[Slot]:
        return rows_slot(job) + self.stack(job).slots()

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        table = weights["embedding"]
        encoder = loaded(torch.nn.Embedding(*table.shape, dtype=table.dtype), {"weight": table})
        layers = self.stack(job).build(weights)
        decoder = torch.nn.Linear(layers[-1].hidden_size, table.shape[0], dtype=table.dtype)
        loaded(decoder, {"bias": weights["decoder.bias"]})
        if job.config.get("tied"):
            decoder.weight = encoder.weight
        else:
            loaded(decoder, {"weight": weights["decoder.kernel"].t()})
        return encoder, layers, decoder

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        encoder, layers, decoder = built
        found: Dict[str, Leaf] = {"embedding": (encoder.weight, same), "decoder.bias": (decoder.bias, same)}
        if not job.config.get("tied"):
            found["decoder.kernel"] = (decoder.weight, transposed)
        return dict(found, **self.stack(job).leaves(layers))

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        encoder, layers, decoder = built
        (geometry,) = job.stacks
        x = embedded_dropout(encoder, inputs["x"].t(), rate_of(job, ROWS) if job.train else 0.0)
        state: List[List[Any]] = []
        for name in geometry.states:
            given = [geometry.initial(name, inputs, layer) for layer in range(geometry.layers)]
            zeros = [x.new_zeros((geometry.batch, lstm.hidden_size)) for lstm in layers]
            state.append([zero if start is None else start for start, zero in zip(given, zeros)])
        x, h, c = self.stack(job).through(layers, x, state)
        outputs = geometry.returned([[each] for each in zip(h, c)], list) if job.config.get("return_state") else {}
        return dict(outputs, y=decoder(x).transpose(0, 1))
