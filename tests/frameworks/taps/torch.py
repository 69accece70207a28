"""torch's random border: how it is asked, and all its random functions that dropout is made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from harness.frameworks.torch.arrays import to_numpy
from harness.frameworks.torch.tap import TorchTap, untapped
from harness.tape import BERNOULLI

#: The lowest rate that is asked, and 1 minus it.
LOWEST = dict.fromkeys(("float16", "bfloat16", "float32", "float64"), 1e-3)


class Border:
    Tap, kind, rule = TorchTap, BERNOULLI, ""

    def __init__(self, dtype: str, traced: bool) -> None:
        self.dtype = getattr(torch, dtype)

    def ones(self, shape: tuple[int, ...], rate: float) -> Any:
        return functional.dropout(torch.ones(shape, dtype=self.dtype), rate)

    def normal(self, shape: tuple[int, ...]) -> Any:
        return torch.randn(shape, dtype=self.dtype)

    def loop(self, steps: int, body: Callable[[Any], list[Any]]) -> Any:
        return torch.stack([torch.stack(body(self)) for _ in range(steps)])

    def run(self, program: Callable[[Any], list[Any]], seed: int, tap: Any) -> list[np.ndarray]:
        torch.manual_seed(seed)
        return [to_numpy(tensor) for tensor in program(self)]


S = (3, 4, 5)


def x(self: Border) -> Any:
    return torch.ones(S, dtype=self.dtype)


#: A function of ones, what it draws, and what a drawn standard normal z becomes, (mean, spread), or the rate.
FUNCTIONS = {
    "dropout": (lambda self: functional.dropout(x(self), 0.4), S, 0.4),
    "inplace": (lambda self: functional.dropout(x(self), 0.4, inplace=True), S, 0.4),
    "dropout1d": (lambda self: functional.dropout1d(x(self), 0.4), (3, 4, 1), 0.4),
    "dropout2d": (lambda self: functional.dropout2d(x(self)[None], 0.4), (1, 3, 1, 1), 0.4),
    "alpha": (lambda self: functional.alpha_dropout(x(self), 0.4, training=True), S, 0.4),
    "feature_alpha": (lambda self: functional.feature_alpha_dropout(x(self), 0.4, training=True), (3, 4, 1), 0.4),
    "native": (lambda self: torch.native_dropout(x(self), 0.4, True)[0], S, 0.4),
    "bernoulli_": (lambda self: x(self).bernoulli_(0.6), S, 0.4),
    "bernoulli_ of a tensor": (lambda self: x(self).bernoulli_(torch.full(S, 0.6)), S, 0.4),
    "bernoulli": (lambda self: torch.bernoulli(x(self) * 0.6), S, 0.4),
    "bernoulli with p": (lambda self: torch.bernoulli(x(self), 0.6), S, 0.4),
    "randn": (lambda self: torch.randn(S, dtype=self.dtype), S, (0.0, 1.0)),
    "randn_like": (lambda self: torch.randn_like(x(self)), S, (0.0, 1.0)),
    "normal_": (lambda self: x(self).normal_(2.0, 0.5), S, (2.0, 0.5)),
    "normal with a size": (lambda self: torch.normal(2.0, 0.5, S, dtype=self.dtype), S, (2.0, 0.5)),
    "normal of a tensor": (lambda self: torch.normal(2.0 * x(self), 0.5), S, (2.0, 0.5)),
    "normal of a spread": (lambda self: torch.normal(2.0, 0.5 * x(self)), S, (2.0, 0.5)),
}

#: Randomness that no dropout is known to use.
UNKNOWN = {
    "randint": lambda: torch.randint(0, 5, (3,)),
    "randperm": lambda: torch.randperm(5),
    "multinomial": lambda: torch.multinomial(torch.ones(5), 2),
    "exponential_": lambda: torch.empty(3).exponential_(),
    "random_": lambda: torch.empty(3).random_(),
    "poisson": lambda: torch.poisson(torch.ones(3)),
    "binomial": lambda: torch.binomial(torch.ones(3), torch.full((3,), 0.5)),
    "dirichlet": lambda: torch._sample_dirichlet(torch.ones(3)),
    "rrelu": lambda: functional.rrelu(torch.ones(3), training=True),
    "out": lambda: torch.bernoulli(torch.ones(3), out=torch.empty(3)),
    "several spreads": lambda: torch.normal(0.0, torch.tensor([1.0, 2.0])),
}
REFUSAL = r"does not understand|does not follow|several values"


def initialised() -> None:
    """`untapped` covers initialisers that draw into plain tensors."""
    with untapped():
        torch.empty(5).uniform_(-0.1, 0.1)


Q = torch.ones(1, 2, 3, 4)

#: What may draw and does not, and what draws and is no dropout: draws into parameters are initialisation.
SILENT = {
    "attention": lambda: functional.scaled_dot_product_attention(Q, Q, Q),
    "rrelu": lambda: functional.rrelu(Q, training=False),
    "evaluation": lambda: functional.dropout(Q, 0.5, training=False),
    "native": lambda: torch.native_dropout(Q, 0.5, False),
    "rate 0": lambda: functional.dropout(Q, 0.0),
    "rate 1": lambda: functional.dropout(Q, 1.0),
    "lstm": lambda: torch.nn.LSTM(4, 5, num_layers=2, dropout=0.5).eval()(Q[0]),
    "modules": lambda: (torch.nn.LSTM(3, 4), torch.nn.Embedding(5, 6), torch.nn.Linear(3, 4)),
    "untapped": initialised,
}
