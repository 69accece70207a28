"""PyTorch on CUDA: the layout of Philox words over threads. Read in descriptions, NOT confirmed by a run.

Source: PyTorch's notes on CUDA random numbers (https://pytorch.org/docs/stable/notes/randomness.html) and cuRAND's
documentation of curand_init and curand_uniform4 (https://docs.nvidia.com/cuda/curand/device-api-overview.html). Thread t
reads the stream with key = seed, counter = (offset / 4 + iteration, t); tests/streams/confirm_cuda.py compares these
rules with a device.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.streams import philox
from harness.streams.decision import Decision
from harness.streams.mask import Unpredictable
from harness.streams.registry import Query, rule
from harness.streams.sources import Computed, Levels, threshold

#: Whether a run on a device has confirmed these rules.
CONFIRMED = False

_BLOCK = 256
_STREAM = "Philox4x32-10, key = seed, one subsequence a thread; kept where u < 1 - p"
_NOTE = "depends on the device: options sm_count and threads_per_sm (defaults: 132 and 2048)"

Ints = npt.NDArray[np.int64]


def threads(count: int, sm_count: int, threads_per_sm: int) -> int:
    """Return how many threads a launch over `count` elements has."""
    return _BLOCK * max(1, min(-(-count // _BLOCK), sm_count * (threads_per_sm // _BLOCK)))


def growth(count: int, total: int) -> int:
    """Return by how much a call on `count` elements with `total` threads moves the generator's offset."""
    return ((count - 1) // (4 * total) + 1) * 4 if count else 0


def vector_width(count: int, dtype: str) -> int:
    """Return how many elements a thread of the dropout kernel takes at a time."""
    width = {"float32": 4, "float64": 2}.get(dtype, 8)
    while width > 1 and count % width:
        width //= 2
    return width


def placed(index: Ints, total: int, width: int) -> tuple[Ints, Ints, Ints]:
    """Return thread, iteration and lane of each element, for a kernel of `total` threads taking `width` at a time."""
    if width > 1:
        group = index // width
        return group % total, group // total * -(-width // 4) + index % width // 4, index % 4
    turn = index // total
    return index % total, turn // 4, turn % 4


def words_at(seed: int, offset: int, thread: Ints, iteration: Ints, lane: Ints) -> Levels:
    """Return the word that each element reads."""
    even = np.zeros((2, len(thread)), dtype=np.uint64)
    odd = np.zeros_like(even)
    even[0] = (offset // 4 + iteration).astype(np.uint64)
    even[1] = thread.astype(np.uint64)
    philox.rounds(even, odd, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    lanes = np.stack([even[0], odd[0], even[1], odd[1]])
    return lanes[lane, np.arange(len(thread))].astype(np.uint32)


def kept_below(keep: float) -> int:
    """Return the least word whose uniform, f32(w) * 2**-32 + 2**-33 in (0, 1], is not below float32(keep)."""
    bound, scale, half = np.float32(keep), np.float32(2.0**-32), np.float32(2.0**-33)
    return threshold(32, lambda word: bool(np.float32(word) * scale + half >= bound))


def _decision(
    query: Query, drawn: tuple[int, ...], offset: int, sm_count: int, threads_per_sm: int, fused: bool
) -> Decision:
    count = math.prod(drawn)
    total = threads(count, sm_count, threads_per_sm)
    width = vector_width(count, query.dtype) if fused else 1
    start_at = offset + query.call * growth(count, total)

    def levels(start: int, stop: int) -> Levels:
        index = np.arange(start, stop, dtype=np.int64)
        return words_at(query.seed, start_at, *placed(index, total, width))

    if query.rate in (0.0, 1.0):
        return Decision(drawn, constant=query.rate == 0.0)
    return Decision(drawn, Computed(32, levels), kept_below(1.0 - query.rate), keep_high=False)


@rule(
    "torch.nn.Dropout",
    "torch.nn.functional.dropout",
    "torch.native_dropout",
    stream=_STREAM,
    measured=(),
    backends=("cuda",),
    since="2.0",
    confirmed=CONFIRMED,
    note=_NOTE,
)
def cuda_dropout(query: Query, *, offset: int = 0, sm_count: int = 132, threads_per_sm: int = 2048) -> Decision:
    """Return the mask of the `call`-th dropout of one size after torch.cuda.manual_seed(seed).

    offset                    of the generator before the first call that `call` counts.
    sm_count, threads_per_sm  multi_processor_count and max_threads_per_multi_processor of the device.
    """
    return _decision(query, query.shape, offset, sm_count, threads_per_sm, fused=True)


@rule(
    "torch.nn.Dropout1d",
    "torch.nn.Dropout2d",
    "torch.nn.Dropout3d",
    stream=_STREAM + "; one draw a channel",
    measured=(),
    backends=("cuda",),
    since="2.0",
    confirmed=CONFIRMED,
    dtypes=("float32", "float16", "bfloat16"),
    note=_NOTE,
)
def cuda_channels(query: Query, *, offset: int = 0, sm_count: int = 132, threads_per_sm: int = 2048) -> Decision:
    """Return the mask of a channel-wise dropout of a batched tensor (N, C, ...), drawn by bernoulli_."""
    if len(query.shape) < 2:
        raise UserError(f"{query.like} needs the shape (N, C, ...); it is {query.shape}")
    drawn = query.shape[:2] + (1,) * (len(query.shape) - 2)
    return _decision(query, drawn, offset, sm_count, threads_per_sm, fused=False).spread(query.shape)


@rule(
    "torch.Tensor.bernoulli_",
    stream=_STREAM,
    measured=(),
    backends=("cuda",),
    since="2.0",
    confirmed=CONFIRMED,
    dtypes=("float32", "float16", "bfloat16"),
    note=_NOTE,
)
def cuda_bernoulli(query: Query, *, offset: int = 0, sm_count: int = 132, threads_per_sm: int = 2048) -> Decision:
    """Return bernoulli_(1 - rate) as a mask, after torch.cuda.manual_seed(seed)."""
    return _decision(query, query.shape, offset, sm_count, threads_per_sm, fused=False)


@rule(
    "torch.nn.LSTM",
    "torch.nn.GRU",
    "torch.nn.RNN",
    stream="cuDNN's own state",
    measured=(),
    backends=("cuda",),
    confirmed=CONFIRMED,
)
def cudnn_recurrent(query: Query) -> Decision:
    """Raise Unpredictable: cuDNN keeps a dropout state of its own."""
    raise Unpredictable(f"{query.like} on CUDA draws from cuDNN's own dropout state, which makes no promise")
