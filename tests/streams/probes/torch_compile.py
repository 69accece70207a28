"""Masks of PyTorch under torch.compile on the CPU; needs a C++ compiler."""

import torch
import torch.nn.functional as functional
from recorder import Recorder, main


def ones(shape, dtype="float32"):
    return torch.ones(shape, dtype=getattr(torch, dtype))


def one(x, rate):
    return functional.dropout(x, rate)


def three(x):
    return functional.dropout(x, 0.5), functional.dropout(x, 0.3), functional.dropout(x[:2], 0.5)


def probe():
    out = Recorder(torch=torch.__version__)
    for seed in (0, 5, -5, 2**32 + 9):
        for dtype in ("float32", "float64", "float16", "bfloat16"):
            torch._dynamo.reset()  # past a limit of recompilations torch falls back to eager, which draws otherwise
            compiled = torch.compile(one)
            torch.manual_seed(seed)
            for call, (shape, rate) in enumerate((((3, 4), 0.5), ((1001,), 0.1), ((100_000,), 0.3), ((5,), 0.9))):
                mask = compiled(ones(shape, dtype), rate) != 0
                out.add("torch.compile", mask, seed, rate, dtype, call)
    torch._dynamo.reset()
    compiled = torch.compile(three)
    torch.manual_seed(11)
    for turn in range(2):
        for number, (mask, rate) in enumerate(zip(compiled(ones((3, 50))), (0.5, 0.3, 0.5))):
            out.add("torch.compile", mask != 0, 11, rate, call=number, before=3 * turn)
    # A rate between float32 numbers, just below a uniform that seed 5 draws: float64 tensors tell the two apart.
    for dtype in ("float32", "float64"):
        torch._dynamo.reset()
        torch.manual_seed(5)
        mask = torch.compile(one)(ones((200,), dtype), 0.12221377342839376) != 0
        out.add("torch.compile", mask, 5, 0.12221377342839376, dtype)
    torch._dynamo.reset()
    torch.manual_seed(8)
    out.add("torch.compile", torch.compile(one)(ones((10**6,)), 0.25) != 0, 8, 0.25)
    return out


if __name__ == "__main__":
    main(probe)
