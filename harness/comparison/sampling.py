"""What statistical checks are made of: the independent decisions of a site, and the design that judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.comparison.checks.mask import LUCK, keys, sizes, valid_steps
from harness.comparison.context import Context, Evidence
from harness.records import Pass, PassResult, Role, Site
from harness.tape import BERNOULLI, UNIFORM, Draw, decisions

if TYPE_CHECKING:
    from harness.comparison.statistics.design import Outcome, TwoStage

#: A bias of a rate that matters; what shows less says how many draws would do.
MATTERS = 0.02


def staged() -> TwoStage:
    """The design of a statistical check: a suspicious result is tried again on fresh draws."""
    from harness.comparison.statistics.design import TwoStage

    return TwoStage(LUCK)


def bernoulli_keys(context: Context) -> list[tuple[Site, str]]:
    """The sites that decide, with their tape keys."""
    return [(site, key) for site, key, kind in keys(context) if kind == BERNOULLI and sizes(site)]


def pooled(evidence: Evidence, key: str) -> list[tuple[Pass, PassResult, Draw]]:
    """The independent draws of a site: every seed's, without the repeat."""
    roles = (evidence.variant.mode, Role.OTHER)
    return [(one, result, result.draws[key]) for one, result in evidence.of(*roles) if key in result.draws]


def realised(site: Site, draw: Draw) -> float:
    """The rate that a draw really realises: its dtype and rule quantise the case's rate."""
    from harness.comparison.statistics.rates import realised_rate

    if draw.kind == UNIFORM:
        return float(realised_rate(site.rate, draw.values.dtype.name, draw.rule))
    return float(1.0 - draw.params["keep"]) if "keep" in draw.params else site.rate


def common_steps(context: Context, site: Site, draw: Draw) -> Draw:
    """The draw's steps that every sequence has: a box, so that elements have neighbours."""
    if "lengths" not in context.variant.inputs or "time" not in site.axes:
        return draw
    axis = site.axes.index("time")
    shortest = int(np.min(context.arrays()[0]["lengths"]))
    return draw._replace(values=draw.values.take(range(min(shortest, draw.values.shape[axis])), axis))


@dataclass(frozen=True)
class Sample:
    """The decisions of one site in all independent passes, one element for each independent decision.

    kept    bool, (seeds, *axes of the site); size 1 along axes over which every mask is constant.
    axes    "seeds" and the names of the site's axes.
    rate    the realised one.
    draw    the first pass's draw, as it was recorded.
    valid   which of `kept` every implementation draws (packed sequences).
    luck    by axis over which the masks are constant though the case does not share them: (its size, the probability of it).
    """

    site: Site
    key: str
    draw: Draw
    rate: float
    axes: tuple[str, ...]
    kept: np.ndarray
    valid: np.ndarray
    luck: dict[str, tuple[int, float]]

    @property
    def distinct(self) -> np.ndarray:
        """The masks without those that another seed gave too: a copy is no evidence."""
        return np.stack(list({mask.tobytes(): mask for mask in self.kept}.values()))

    @property
    def drawn_by_all(self) -> np.ndarray:
        """`valid` in the shape of `distinct`."""
        return np.broadcast_to(self.valid, self.distinct.shape)

    def copies(self) -> list[Outcome]:
        """The axes that are copied although the case does not share them, as outcomes of tests."""
        from harness.comparison.statistics.design import Outcome

        return [
            Outcome(f"copies.{axis}", float(size - 1), 0.0, luck, int(self.kept.size) * size, "copies", 1)
            for axis, (size, luck) in self.luck.items()
        ]


def sample(evidence: Evidence, site: Site, key: str, *, box: bool = False) -> Sample | None:
    """What a site decided in all independent passes; None where it drew nothing.

    box  of packed sequences only the steps that all of them have, so that elements have neighbours.
    """
    from harness.comparison.statistics.sharing import shared_axes

    context = evidence.context
    draws = [draw for _, _, draw in pooled(evidence, key)]
    draws = [common_steps(context, site, draw) for draw in draws] if box else draws
    draws = [draw for draw in draws if draw.values.shape == draws[0].values.shape]
    if not draws or not draws[0].values.size:
        return None
    rate = realised(site, draws[0])
    kept = np.stack([decisions(draw, site.rate) for draw in draws])
    own = site.axes if len(site.axes) == kept.ndim - 1 else tuple(map(str, range(kept.ndim - 1)))
    found = shared_axes(kept, rate, LUCK)
    constant = {axis for axis in (*found.shared, *found.undecidable) if axis and kept.shape[axis] > 1}
    luck = {
        own[axis - 1]: (kept.shape[axis], found.luck[axis])
        for axis in constant
        if axis in found.shared and own[axis - 1] not in site.shared
    }
    copied = {axis for axis in constant if axis in found.shared or own[axis - 1] in site.shared}
    once = tuple(slice(0, 1) if axis in copied else slice(None) for axis in range(kept.ndim))
    valid = valid_steps(context, site, draws[0])[once[1:]]
    return Sample(site, key, draws[0], rate, ("seeds", *own), kept[once], valid, luck)
