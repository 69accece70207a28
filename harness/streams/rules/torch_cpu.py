"""PyTorch on the CPU: nn.Dropout and its kin, bernoulli with a probability tensor, recurrent layers.

Source: observed on torch 2.6.0 (with MKL) and 2.13.0, documented at https://pytorch.org/docs/stable/notes/randomness.html
only as "not guaranteed across releases". One engine, MT19937, is seeded with the seed modulo 2**32. From 2.7 on, or
without MKL, `bernoulli_` takes two draws an element; with MKL before 2.7 it takes one draw a call, which seeds MCG31m1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.streams import mcg31, mt19937
from harness.streams.decision import Arrange, Decision
from harness.streams.numbers import scalar
from harness.streams.registry import Query, rule
from harness.streams.sources import Mcg31, Mersenne, threshold

_MKL_ENDS = (2, 7)

_STREAM = "MT19937, 53 bits of two draws an element; kept where u < 1 - p"
_MKL_STREAM = "MCG31m1 seeded by one draw of MT19937, compared in float32; kept where u < 1 - p"


def engine(seed: int, state: bytes | None, skip: int) -> Callable[[], mt19937.Stream]:
    """Return what opens the engine, `skip` draws after the seed or after a state of torch.get_rng_state()."""

    def begin() -> mt19937.Stream:
        stream = mt19937.Stream(seed) if state is None else resumed(state)
        stream.skip(skip)
        return stream

    return begin


def resumed(state: bytes) -> mt19937.Stream:
    """Return the engine of a state from torch.get_rng_state(), as bytes.

    Layout (little-endian): initial seed u64, `left` i32, seeded i32, `next` u64, 624 words as u64, then the cached
    normals. `left` counts the words before the next twist, that one included.
    """
    if len(state) < 24 + 624 * 8:
        raise UserError(f"a state of torch.get_rng_state() on the CPU has 5056 bytes; this one has {len(state)}")
    left = int(np.frombuffer(state, "<i4", 1, 8)[0])
    following = int(np.frombuffer(state, "<u8", 1, 16)[0])
    words = np.frombuffer(state, "<u8", 624, 24)
    return mt19937.Stream.resumed(words.astype(np.uint32).tolist(), 624 if left == 1 else following)


def _decision(
    query: Query, drawn: tuple[int, ...], before: Sequence[int], mkl: bool, state: bytes | None, arrange: Arrange | None
) -> Decision:
    rate = query.rate
    if rate in (0.0, 1.0):
        return Decision(drawn, constant=rate == 0.0, arrange=arrange)
    keep = 1.0 - rate
    if mkl and query.version < _MKL_ENDS:
        # A call on no element at all draws nothing.
        stream = engine(query.seed, state, sum(1 for size in before if size))()
        first = mcg31.initial(int(stream.words32(1)[0]))
        bound = np.float32(keep)
        dropped = threshold(31, lambda x: bool(np.float32(x / mcg31.MODULUS) >= bound))
        return Decision(drawn, Mcg31(first), dropped, keep_high=False, arrange=arrange, stream=_MKL_STREAM)
    source = Mersenne(engine(query.seed, state, 2 * sum(before)), 53)
    return Decision(drawn, source, math.ceil(keep * 2**53), keep_high=False, arrange=arrange)


def memory_order(shape: tuple[int, ...], strides: Sequence[int]) -> Arrange:
    """Return what lays decisions made in order of addresses out over a dense tensor with the given strides."""
    if len(strides) != len(shape):
        raise UserError(f"strides {tuple(strides)} are not those of a tensor of shape {shape}")
    order = sorted(range(len(shape)), key=lambda axis: (-strides[axis], axis))
    back = np.argsort(order)

    def arrange(drawn: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return drawn.reshape([shape[axis] for axis in order]).transpose(back)

    return arrange


_MEASURED = ("2.6.0", "2.13.0")


@rule(
    "torch.nn.Dropout",
    "torch.nn.functional.dropout",
    "torch.dropout",
    "torch.native_dropout",
    "torch.nn.AlphaDropout",
    "torch.nn.functional.alpha_dropout",
    "torch.Tensor.bernoulli_",
    stream=_STREAM,
    measured=_MEASURED,
    since="1.0",
    searched=({}, {"version": "2.6"}),
)
def dropout(
    query: Query,
    *,
    mkl: bool = True,
    strides: Sequence[int] | None = None,
    before: Sequence[int] = (),
    state: bytes | None = None,
) -> Decision:
    """Return the mask of the `call`-th dropout of one shape after torch.manual_seed(seed).

    mkl      whether a build before 2.7 has MKL (torch.backends.mkl.is_available()).
    strides  of a dense but not contiguous tensor: without MKL's stream it is filled in order of addresses.
    before   sizes of the dropouts drawn before, where they had other shapes; `call` counts further ones.
    state    bytes of torch.get_rng_state(): go on from there instead of from the seed.
    """
    drawn = [*before, *[math.prod(query.shape)] * query.call]
    arrange = None
    if strides is not None and not (mkl and query.version < _MKL_ENDS):
        arrange = memory_order(query.shape, strides)
    return _decision(query, query.shape, drawn, mkl, state, arrange)


@rule(
    "torch.nn.Dropout1d",
    "torch.nn.Dropout2d",
    "torch.nn.Dropout3d",
    "torch.nn.FeatureAlphaDropout",
    "torch.nn.functional.dropout1d",
    "torch.nn.functional.dropout2d",
    "torch.nn.functional.dropout3d",
    "torch.nn.functional.feature_alpha_dropout",
    stream=_STREAM + "; one draw a channel",
    measured=_MEASURED,
    since="1.12",
)
def channels(query: Query, *, mkl: bool = True, before: Sequence[int] = (), state: bytes | None = None) -> Decision:
    """Return the mask of a channel-wise dropout: drawn as (N, C, 1 ...), shared over what follows.

    Dropout1d takes (C, L) and Dropout3d (C, D, H, W) as unbatched, so one draw a row; Dropout2d takes (A, B, C) as
    (N, C, L), whatever its documentation says of unbatched input.
    """
    shape = query.shape
    least = {"1d": 2, "2d": 3, "3d": 4}.get(query.like[-2:], 2)
    if len(shape) < least:
        raise UserError(f"{query.like} needs {least} dimensions or more; the shape is {shape}")
    unbatched = (query.like.endswith("1d") and len(shape) == 2) or (query.like.endswith("3d") and len(shape) == 4)
    lead = 1 if unbatched else 2
    drawn = shape[:lead] + (1,) * (len(shape) - lead)
    sizes = [*before, *[math.prod(drawn)] * query.call]
    return _decision(query, drawn, sizes, mkl, state, lambda keep: np.broadcast_to(keep, shape))


@rule(
    "torch.bernoulli",
    stream="MT19937, 24 bits of one draw an element (float64: 53 of two); kept where u < p",
    measured=_MEASURED,
    since="1.0",
)
def probabilities(query: Query, *, before: Sequence[int] = (), state: bytes | None = None) -> Decision:
    """Return torch.bernoulli of a tensor filled with dtype(1 - rate), as a mask.

    before  sizes of the calls before that had other shapes and the same dtype.
    """
    keep = scalar(query.dtype)(1.0 - query.rate)
    skipped = sum(before) + query.call * math.prod(query.shape)
    if query.dtype == "float64":
        bits, skipped = 53, 2 * skipped
    else:
        bits, keep = 24, np.float32(keep)
    source = Mersenne(engine(query.seed, state, skipped), bits)
    return Decision(query.shape, source, math.ceil(float(keep) * 2**bits), keep_high=False)


@rule("torch.nn.LSTM", "torch.nn.GRU", "torch.nn.RNN", stream=_STREAM, measured=_MEASURED, since="1.0")
def between_layers(
    query: Query,
    *,
    layer: int = 0,
    num_layers: int = 2,
    batch_first: bool = False,
    mkl: bool = True,
    before: Sequence[int] = (),
    state: bytes | None = None,
) -> Decision:
    """Return the mask on the output of `layer` (from 0; the last one is not dropped) in the `call`-th forward pass.

    shape  of that output as the user sees it: (T, B, H * directions), or (B, T, H * directions) with `batch_first`;
           for packed input the shape of its `.data`. It is always drawn time-major.
    """
    if not 0 <= layer < num_layers - 1:
        raise UserError(f"{query.like} with {num_layers} layers drops the outputs of layers 0 to {num_layers - 2}")
    shape = query.shape
    if batch_first and len(shape) != 3:
        raise UserError(f"batch_first needs the shape (B, T, H * directions); it is {shape}")
    drawn = (shape[1], shape[0], shape[2]) if batch_first else shape
    earlier = query.call * (num_layers - 1) + layer
    sizes = [*before, *[math.prod(shape)] * earlier]
    return _decision(query, drawn, sizes, mkl, state, (lambda keep: keep.swapaxes(0, 1)) if batch_first else None)
