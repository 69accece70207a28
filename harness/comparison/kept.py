"""The arrays of a comparison that differs, kept for `harness explain`, which then needs no framework."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from harness.comparison.context import Context, Evidence
from harness.records import Arrays, Kept, Pass, PassResult, Role, Row, Verdict

#: Rows that judge values: their causes are looked for in the arrays.
FAMILIES = ("value.", "gradient.", "state.", "scale.", "identity.")
#: Of more bytes nothing is kept.
LARGEST = 4 << 20


def kept(rows: Iterable[Row], evidence: Evidence) -> Kept | None:
    """Copies of what the search for a cause reads, where a row differs in values (known or not); None where none does."""
    if not any(row.verdict in (Verdict.FAIL, Verdict.KNOWN) and row.check.startswith(FAMILIES) for row in rows):
        return None
    wanted = [*evidence.main, *evidence.of(Role.EVAL)[:1]]
    size = sum(_bytes(result) for _, result in wanted)
    if size > LARGEST:
        return Kept(left_out=f"they are {size / 2**20:.0f} MiB, more than {LARGEST >> 20}")
    return Kept(tuple((_bare(one), _copied(result)) for one, result in wanted), given(evidence.context))


def given(context: Context) -> str:
    """SHA-256 of a case's inputs and weights, in hex: whether kept arrays still belong to them."""
    inputs, weights, _ = context.arrays()
    digest = hashlib.sha256()
    for group in (inputs, weights):
        for name, array in sorted(group.items()):
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _bytes(result: PassResult) -> int:
    values = (*result.outputs.values(), *result.gradients.values(), *(draw.values for draw in result.draws.values()))
    return sum(array.nbytes for array in values)


def _bare(one: Pass) -> Pass:
    return Pass(one.role, one.seed, one.mode, None, one.gradients)


def _copied(result: PassResult) -> PassResult:
    def copies(arrays: Arrays) -> Arrays:
        return {name: np.array(array) for name, array in arrays.items()}

    draws = {key: draw._replace(values=np.array(draw.values)) for key, draw in result.draws.items()}
    return PassResult(copies(result.outputs), copies(result.gradients), draws, seconds=result.seconds)
