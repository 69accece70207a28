"""Baseline: the three-layer nn.LSTM of the original repository, wrapped for the new trainer."""
import logging
from abc import ABC, abstractmethod
from typing import Any, Dict, Mapping, Tuple

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)


class SequenceEncoder(ABC, nn.Module):
    @abstractmethod
    def encode(self, batch: Tensor) -> Tuple[Tensor, Tensor, Tensor]: ...

    def forward(self, batch: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        return self.encode(batch)


class StackedLstmEncoder(SequenceEncoder):
    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._options = dict(options)
        self.core = nn.LSTM(
            input_size=self._options["input_size"],
            hidden_size=self._options["hidden_size"],
            num_layers=self._options["num_layers"],
            dropout=self._options["dropout"],
        )
        logger.debug("built %s", self)

    def encode(self, batch: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        sequence_first = batch.transpose(0, 1).contiguous()
        output, (hidden, cell) = self.core(sequence_first)
        return output.transpose(0, 1), hidden, cell


class WeightAdapter:
    """Maps the canonical names onto nn.LSTM's."""

    def __init__(self, weights: Mapping[str, Tensor], layers: int) -> None:
        self.weights, self.layers = weights, layers

    def state_dict(self, prefix: str) -> Dict[str, Tensor]:
        result: Dict[str, Tensor] = {}
        for index in range(self.layers):
            bias = self.weights[f"layer{index}.bias"]
            result[f"{prefix}.weight_ih_l{index}"] = self.weights[f"layer{index}.kernel"].transpose(0, 1)
            result[f"{prefix}.weight_hh_l{index}"] = self.weights[f"layer{index}.recurrent_kernel"].transpose(0, 1)
            result[f"{prefix}.bias_ih_l{index}"] = bias / 2
            result[f"{prefix}.bias_hh_l{index}"] = bias / 2
        return result


def run(case):
    x = case.inputs["x"]
    options = {
        "input_size": x.shape[-1],
        "hidden_size": case.config["units"],
        "num_layers": case.config["layers"],
        "dropout": case.rate("between_layers"),
    }
    encoder = case.keep(lambda: StackedLstmEncoder(options)).to(x.dtype)
    encoder.train(case.training)
    state = WeightAdapter(case.weights, options["num_layers"]).state_dict("core")
    y, h, c = torch.func.functional_call(encoder, state, (x,))
    return {"y": y, "h": h, "c": c}
