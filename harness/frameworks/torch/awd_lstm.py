"""The AWD-LSTM language model in torch, as it was published. Sequence-first inside.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 4: embedded
dropout; LockedDropout on the embeddings, between the layers and on the last output; one weight-dropped nn.LSTM a layer; a
decoder that may share the embedding's weight.
"""

from typing import Any, Dict, List, Tuple

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.capabilities import EVERY
from harness.frameworks.contract.geometry import own_part
from harness.frameworks.contract.places import TIME_FIRST, slots_of
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Leaf, TorchAdapter, rate_of, same, transposed
from harness.frameworks.torch.embedding import ROWS, ROWS_SHARED, embedded_dropout, loaded, rows_slot
from harness.frameworks.torch.locked import LOCKED, locked_dropout
from harness.frameworks.torch.weight_drop import OF_WEIGHTS, SHARED, WeightDrop
from harness.tape import Slot


@implementation("recipe.AWD_LSTM", ["torch"], "awd_lstm", needs=["torch"], recipe=True)
class AwdLstm(TorchAdapter):
    """The complete model. Options: those of WeightDrop."""

    options = OF_WEIGHTS
    sites: Tuple[str, ...] = (ROWS, "input", "between_layers", "output", "weight.recurrent")
    settings = (*PLAIN_SETTINGS, "vocabulary", "features")
    shared = {EVERY: LOCKED, ROWS: ROWS_SHARED, "weight.recurrent": SHARED}

    def check(self, job: Job) -> None:
        super().check(job)
        for layer in range(job.stacks[0].layers):
            self.drop(job, layer).check()

    def drop(self, job: Job, layer: int) -> WeightDrop:
        """WeightDrop of one layer."""
        options = {name: self.option(job, name) for name in self.options}
        return WeightDrop(job, job.site(job.stacks[0].at("weight.recurrent", layer)), options)

    def slots(self, job: Job) -> List[Slot]:
        (stack,) = job.stacks
        found = rows_slot(job) + self._locked(job, "input")
        for layer in range(stack.layers):
            found += self.drop(job, layer).slots((layer, 0)) + self._locked(job, stack.above(layer), layers=layer)
        return found

    def _locked(self, job: Job, at: str, **where: int) -> List[Slot]:
        site = job.acting(at)
        return [] if site is None else slots_of(site, TIME_FIRST, **where)

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        table = weights["embedding"]
        settings = {"dtype": table.dtype}
        encoder = loaded(torch.nn.Embedding(*table.shape, **settings), {"weight": table})
        layers = []
        for layer in range(job.stacks[0].layers):
            own = own_part(job.stacks[0].prefix(layer), weights)
            kernel, recurrent, bias = (own[name] for name in ("kernel", "recurrent_kernel", "bias"))
            lstm = torch.nn.LSTM(kernel.shape[0], recurrent.shape[0], **settings).train(job.train)
            native = {"weight_ih_l0": kernel.t(), "weight_hh_l0": recurrent.t(), "bias_ih_l0": bias}
            loaded(lstm, dict(native, bias_hh_l0=torch.zeros_like(bias)))
            self.drop(job, layer).install(lstm, ["weight_hh_l0"])
            layers.append(lstm)
        units = layers[-1].hidden_size
        decoder = loaded(torch.nn.Linear(units, table.shape[0], **settings), {"bias": weights["decoder.bias"]})
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
        for layer, lstm in enumerate(layers):
            prefix = job.stacks[0].prefix(layer)
            found[prefix + "kernel"] = (lstm.weight_ih_l0, transposed)
            found[prefix + "recurrent_kernel"] = (self.drop(job, layer).parameter(lstm, "weight_hh_l0"), transposed)
            found[prefix + "bias"] = (lstm.bias_ih_l0, same)
        return found

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        encoder, layers, decoder = built
        tokens = inputs["x"].t()
        x = embedded_dropout(encoder, tokens, rate_of(job, ROWS) if job.train else 0.0)
        x = locked_dropout(x, rate_of(job, "input"), job.train)
        outputs: Dict[str, Any] = {}
        for layer, lstm in enumerate(layers):
            prefix = job.stacks[0].prefix(layer)
            state = self._start(lstm, prefix, inputs, x)
            x, (h, c) = self._layer(job, layer, lstm, x, state)
            if job.config.get("return_state"):
                outputs[prefix + "h"], outputs[prefix + "c"] = h[0], c[0]
            x = locked_dropout(x, rate_of(job, job.stacks[0].above(layer)), job.train)
        return dict(outputs, y=decoder(x).transpose(0, 1))

    def _layer(self, job: Job, layer: int, lstm: Any, x: Any, state: Any) -> Any:
        """One weight-dropped layer."""
        return self.drop(job, layer).call(lstm, ["weight_hh_l0"], lambda: lstm(x, state))

    def _start(self, lstm: Any, prefix: str, inputs: Dict[str, Any], like: Any) -> Any:
        """The layer's initial h and c, (1, B, units)."""
        zeros = like.new_zeros((1, like.shape[1], lstm.hidden_size))
        names = (prefix + "h0", prefix + "c0")
        return tuple(inputs[name].unsqueeze(0) if name in inputs else zeros for name in names)
