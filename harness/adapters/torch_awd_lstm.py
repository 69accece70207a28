"""The AWD-LSTM language model in torch, as it was published. Sequence-first inside.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 4: embedded
dropout; LockedDropout on the embeddings, between the layers and on the last output; one weight-dropped nn.LSTM a layer; a
decoder that may share the embedding's weight.
"""

from typing import Any, Dict, List, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, implementation
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import Leaf, TorchAdapter, rate_of, require_shared, same, transposed
from harness.adapters.torch_embedding import ROWS, ROWS_SHARED, embedded_dropout, loaded, rows_slot
from harness.adapters.torch_locked import locked_dropout, locked_slot
from harness.adapters.torch_weight_drop import OF_WEIGHTS, WeightDrop
from harness.tape import Slot

LOCKED = ("input", "between_layers", "output")


@implementation("recipe.AWD_LSTM", ["torch"], "awd_lstm", needs=["torch"], recipe=True)
class AwdLstm(TorchAdapter):
    """The complete model. Options: those of WeightDrop."""

    options = OF_WEIGHTS
    sites: Tuple[str, ...] = (ROWS, *LOCKED, "weight.recurrent")
    settings = (*PLAIN_SETTINGS, "vocabulary", "features")

    def check(self, job: Job) -> None:
        # Each layer has a site of its own name.
        self.sites = (ROWS, *LOCKED, *(weight_site(layer) for layer in range(job.config["layers"])))
        super(AwdLstm, self).check(job)
        for site in job.sites:
            if site.at == ROWS:
                require_shared(site, ROWS_SHARED, "embedded dropout")
            elif site.at in LOCKED:
                require_shared(site, [("time",)], "LockedDropout")
        for layer in range(job.config["layers"]):
            self.drop(job, layer).check()

    def drop(self, job: Job, layer: int) -> WeightDrop:
        """WeightDrop of one layer."""
        options = {name: self.option(job, name) for name in self.options}
        return WeightDrop(job, job.site(weight_site(layer)), options)

    def slots(self, job: Job) -> List[Slot]:
        found = rows_slot(job.site(ROWS), job.train)
        layers = job.config["layers"]
        for layer in range(layers):
            at, place = ("input", ()) if layer == 0 else ("between_layers", (layer - 1,))
            found += self._locked(job, at, place) + self.drop(job, layer).slots(())
        return found + self._locked(job, "output", ())

    def _locked(self, job: Job, at: str, place: Any) -> List[Slot]:
        site = job.site(at)
        return [locked_slot(site, place)] if site is not None and job.train and site.rate else []

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        table = weights["embedding"]
        settings = {"dtype": table.dtype}
        encoder = loaded(torch.nn.Embedding(*table.shape, **settings), {"weight": table})
        layers = []
        for layer in range(job.config["layers"]):
            kernel, recurrent, bias = (
                weights["layer%d.%s" % (layer, name)] for name in ("kernel", "recurrent_kernel", "bias")
            )
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
            prefix = "layer%d." % layer
            found[prefix + "kernel"] = (lstm.weight_ih_l0, transposed)
            found[prefix + "recurrent_kernel"] = (self.drop(job, layer).parameter(lstm, "weight_hh_l0"), transposed)
            found[prefix + "bias"] = (lstm.bias_ih_l0, same)
        return found

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        encoder, layers, decoder = built
        tokens = inputs["x"].t()
        x = embedded_dropout(encoder, tokens, rate_of(job, ROWS) if job.train else 0.0)
        outputs: Dict[str, Any] = {}
        for layer, lstm in enumerate(layers):
            x = locked_dropout(x, rate_of(job, "between_layers" if layer else "input"), job.train)
            state = self._start(job, lstm, layer, inputs, x)
            x, (h, c) = self._layer(job, layer, lstm, x, state)
            if job.config.get("return_state"):
                outputs["layer%d.h" % layer], outputs["layer%d.c" % layer] = h[0], c[0]
        x = locked_dropout(x, rate_of(job, "output"), job.train)
        return dict(outputs, y=decoder(x).transpose(0, 1))

    def _layer(self, job: Job, layer: int, lstm: Any, x: Any, state: Any) -> Any:
        """One weight-dropped layer."""
        return self.drop(job, layer).call(lstm, ["weight_hh_l0"], lambda: lstm(x, state))

    def _start(self, job: Job, lstm: Any, layer: int, inputs: Dict[str, Any], like: Any) -> Any:
        """The layer's initial h and c, (1, B, units)."""
        zeros = like.new_zeros((1, like.shape[1], lstm.hidden_size))
        names = ("layer%d.h0" % layer, "layer%d.c0" % layer)
        return tuple(inputs[name].unsqueeze(0) if name in inputs else zeros for name in names)


def weight_site(layer: int) -> str:
    """The name of a layer's dropped weight."""
    return "layer%d.weight.recurrent" % layer
