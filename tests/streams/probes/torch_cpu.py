"""Masks of PyTorch on the CPU, eager."""

import warnings

import torch
import torch.nn.functional as functional
from recorder import Recorder, main

SEEDS = (0, 7, -5, 2**31 - 1, 2**32 + 9, 2**40 + 1, -(2**31))
DTYPES = ("float32", "float64", "float16", "bfloat16")
RATES = (0.5, 0.1, 0.37, 0.999, 0.0, 1.0)
SHAPES = ((3, 4), (0, 3), (1,), (), (2, 3, 4, 5), (1001,))


def ones(shape, dtype="float32"):
    return torch.ones(shape, dtype=getattr(torch, dtype))


CALLS = (
    ("torch.nn.functional.dropout", lambda x, rate: functional.dropout(x, rate)),
    ("torch.native_dropout", lambda x, rate: torch.native_dropout(x, rate, True)[1]),
    ("torch.Tensor.bernoulli_", lambda x, rate: x.clone().bernoulli_(1 - rate)),
    ("torch.bernoulli", lambda x, rate: torch.bernoulli(x * 0 + (1 - rate))),
)


def elementwise(out):
    for seed in SEEDS:
        for dtype in DTYPES:
            for rate in RATES:
                for shape in SHAPES:
                    for like, function in CALLS:
                        torch.manual_seed(seed)
                        for call in range(3 if 0 < rate < 1 else 1):
                            out.add(like, function(ones(shape, dtype), rate) != 0, seed, rate, dtype, call)
                    if 0 < rate < 1 and seed == 7:
                        torch.manual_seed(seed)
                        out.add(
                            "torch.nn.AlphaDropout",
                            functional.alpha_dropout(ones(shape, dtype) * 2, rate, True) > 0.5,
                            seed,
                            rate,
                            dtype,
                        )
        torch.manual_seed(seed)
        sizes = []
        for shape, rate, dtype in (
            ((17,), 0.1, "float64"),
            ((0,), 0.5, "float32"),
            ((5, 9), 0.3, "float16"),
            ((3,), 0.9, "float32"),
        ):
            out.add(
                "torch.nn.Dropout",
                functional.dropout(ones(shape, dtype), rate) != 0,
                seed,
                rate,
                dtype,
                before=list(sizes),
            )
            sizes.append(int(ones(shape).numel()))
    for dtype in DTYPES:
        for like, function in CALLS:
            torch.manual_seed(77)
            out.add(like, function(ones((10**6,), dtype), 0.3) != 0, 77, 0.3, dtype)


def channels(out):
    for seed in SEEDS[:4]:
        for dtype in DTYPES:
            for kind, shape in (
                ("1d", (2, 3)),
                ("1d", (2, 3, 4)),
                ("2d", (2, 3, 4)),
                ("2d", (2, 3, 4, 5)),
                ("3d", (2, 3, 4, 5)),
                ("3d", (2, 3, 4, 5, 2)),
            ):
                torch.manual_seed(seed)
                for call in range(2):
                    mask = getattr(functional, "dropout" + kind)(ones(shape, dtype), 0.4) != 0
                    out.add("torch.nn.functional.dropout" + kind, mask, seed, 0.4, dtype, call)
        torch.manual_seed(seed)
        out.add(
            "torch.nn.FeatureAlphaDropout",
            functional.feature_alpha_dropout(ones((2, 3, 4)) * 2, 0.4, True) > 0.5,
            seed,
            0.4,
        )


def layouts(out):
    for seed in SEEDS[:4]:
        for shape, order in (
            ((4, 5, 6), (2, 0, 1)),
            ((4, 5, 6), (1, 0, 2)),
            ((4, 5), (1, 0)),
            ((3, 1, 5), (2, 1, 0)),
            ((2, 3, 4, 5), (0, 2, 3, 1)),
        ):
            x = ones(shape).permute(order)
            torch.manual_seed(seed)
            out.add("torch.nn.Dropout", functional.dropout(x, 0.5) != 0, seed, 0.5, strides=list(x.stride()))
        x = ones((2, 3, 4, 5)).to(memory_format=torch.channels_last)
        torch.manual_seed(seed)
        out.add("torch.nn.Dropout", functional.dropout(x, 0.5) != 0, seed, 0.5, strides=list(x.stride()))


def modes(out):
    """Autograd, no_grad and inference mode draw alike."""
    for context in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        torch.manual_seed(3)
        with context():
            x = ones((50,))
            if context is torch.enable_grad:
                x.requires_grad_()
            out.add("torch.nn.Dropout", torch.nn.Dropout(0.5)(x).detach() != 0, 3, 0.5)


def recurrent(out):
    from torch.utils._python_dispatch import TorchDispatchMode

    class Tap(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.masks = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if "bernoulli" in str(function):
                self.masks.append(result.clone() != 0)
            return result

    for batch_first in (False, True):
        for kind in ("LSTM", "GRU", "RNN"):
            network = getattr(torch.nn, kind)(3, 4, 3, dropout=0.5, bidirectional=True, batch_first=batch_first)
            torch.manual_seed(9)
            with Tap() as tap:
                for _ in range(2):
                    network(ones((2, 5, 3)))
            assert len(tap.masks) == 4
            for number, mask in enumerate(tap.masks):
                seen = mask.swapaxes(0, 1) if batch_first else mask
                options = {"layer": number % 2, "num_layers": 3, "batch_first": batch_first}
                out.add("torch.nn." + kind, seen, 9, 0.5, "float32", number // 2, **options)
        packed = torch.nn.utils.rnn.pack_padded_sequence(ones((5, 2, 3)), [5, 3])
        network = torch.nn.LSTM(3, 4, 2, dropout=0.5)
        torch.manual_seed(9)
        with Tap() as tap:
            network(packed)
        out.add("torch.nn.LSTM", tap.masks[0], 9, 0.5)


def resumed(out):
    for drawn in (0, 1, 622, 623, 624, 625, 701):
        torch.manual_seed(4)
        torch.rand(drawn)
        state = torch.get_rng_state().numpy().tobytes()
        for call in range(2):
            out.add(
                "torch.nn.Dropout", functional.dropout(ones((700,)), 0.5) != 0, 0, 0.5, "float32", call, state=state
            )


def probe():
    warnings.simplefilter("ignore")
    out = Recorder(torch=torch.__version__)
    for part in (elementwise, channels, layouts, modes, recurrent, resumed):
        part(out)
    return out


if __name__ == "__main__":
    main(probe)
