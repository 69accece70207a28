"""PyTorch under torch.compile (Inductor) on the CPU: other masks than eager.

Source: observed on torch 2.13.0. Each compiled dropout takes one 64-bit word of the engine as its Philox seed; element
i is word 0 of the block at counter (i, 0, 0, 0). With `config.fallback_random` Inductor draws as eager does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.streams import philox
from harness.streams.decision import Decision
from harness.streams.numbers import scalar
from harness.streams.registry import Query, rule
from harness.streams.rules.torch_cpu import engine
from harness.streams.sources import Computed, threshold

#: Inductor's float32 factor for 31-bit integers; a little below 2**-31.
_FACTOR = np.float32(4.6566127342e-10)


def _first_words(key: tuple[int, int], start: int, stop: int) -> npt.NDArray[np.uint32]:
    even = np.zeros((2, stop - start), dtype=np.uint64)
    odd = np.zeros_like(even)
    even[0] = np.arange(start, stop, dtype=np.uint64)
    philox.rounds(even, odd, key)
    words: npt.NDArray[np.uint32] = even[0].astype(np.uint32)
    np.bitwise_and(words, np.uint32(0x7FFFFFFF), out=words)
    return words


@rule(
    "torch.compile",
    stream="Philox4x32-10 keyed by 64 bits of MT19937, word 0 of block i; kept where u > p",
    measured=("2.13.0",),
    since="2.0",
    note="Inductor's rule; measured on 2.13 only, and config.fallback_random brings eager's masks back",
)
def compiled_dropout(query: Query, *, before: int = 0, state: bytes | None = None) -> Decision:
    """Return the mask of the `call`-th dropout run by compiled functions after torch.manual_seed(seed).

    before  number of compiled dropouts that ran before, of any shape, at rates between 0 and 1; `call` counts further
            ones.
    state   bytes of torch.get_rng_state(): go on from there instead of from the seed.
    """
    if query.rate in (0.0, 1.0):
        return Decision(query.shape, constant=query.rate == 0.0)
    drawn = engine(query.seed, state, 2 * (before + query.call))().words64(1)
    word = int(drawn[0]) % (2**64 - 1)
    key = (word & 0xFFFFFFFF, 0)
    # The uniform is float32 whatever the tensor's dtype; the rate is rounded to that dtype and compared in the wider.
    bound = float(scalar(query.dtype)(query.rate))
    least = threshold(31, lambda level: float(np.float32(level) * _FACTOR) > bound)
    return Decision(query.shape, Computed(31, lambda start, stop: _first_words(key, start, stop)), least)
