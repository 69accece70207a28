"""The tape: the ordered draws of one run, as data.

A *draw* is what a framework took from its random border: the floats of a uniform, the decisions of a Bernoulli, the
values of a normal. A tap records draws in the framework's own layout and order; an adapter's slots translate them to
the canonical layout (batch-major; see `Slot`).

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

BERNOULLI = "bernoulli"
UNIFORM = "uniform"
NORMAL = "normal"

#: The site of a draw that no output depends on (tf_keras draws four masks a kind and may use one).
UNUSED = ""

#: How a framework turns a uniform u into a decision. The name is the formula for "kept".
KEEP_RULES = ("u >= rate", "u < keep", "floor(keep + u)")
#: The rule that decides the other way round from the two ends of [0, 1), of each.
OPPOSITE = {"u >= rate": "u < keep", "floor(keep + u)": "u < keep", "u < keep": "u >= rate"}


class Draw(NamedTuple):
    """One draw.

    kind    `bernoulli` (values: bool, true where kept), `uniform` (values: floats in [0, 1)) or `normal` (values as the
            framework drew them, that is with `mean` and `stddev` of params already applied).
    values  the array; its layout is the framework's until a slot has translated it.
    rule    for `uniform`: one of KEEP_RULES, how this framework decides from u; else "".
    params  what the border was asked for: `keep` (bernoulli), `mean` and `stddev` (normal), where it is known there. On a tape:
            `rate`, where a program decides from uniforms itself.
    site    the dropout site, once a slot has named it.
    """

    kind: str
    values: np.ndarray
    rule: str = ""
    params: Dict[str, float] = {}
    site: str = ""

    def may_drop(self, rate: float) -> bool:
        """Whether a program may read this draw the other way round: a uniform that it compares itself, or a decision that it
        asked for with the probability to be dropped.
        """
        keep = self.params.get("keep")
        if self.kind == UNIFORM:
            # Where the border was told what to keep, it decides.
            return keep is None
        # A rate that a tensor of bfloat16 holds is off by so much.
        return self.kind == BERNOULLI and keep is not None and abs(keep - rate) <= 2.0**-8

    def other_way(self) -> "Draw":
        """The same draw read the other way round."""
        if self.kind != BERNOULLI:
            return self._replace(rule=OPPOSITE.get(self.rule, self.rule))
        keep = self.params.get("keep")
        params = dict(self.params) if keep is None else dict(self.params, keep=1.0 - keep)
        return self._replace(values=~np.asarray(self.values, dtype=bool), params=params)


class Slot(NamedTuple):
    """Which site a native draw belongs to, and where it lies in that site's canonical array.

    site       e.g. `input`, `output`, `state.h`, `between_layers`; UNUSED for a draw that the layer makes and throws away.
    kind       `bernoulli` or `normal`: what is decided here (a `uniform` draw satisfies `bernoulli`).
    shape      the shape of the native draw.
    canonical  the shape of the site's whole canonical array (all slots of a site agree on it).
    place      index of this draw's part in the canonical array; () is the whole of it.
    axes       native = transpose(canonical[place], axes), then reshaped to `shape`; None: no transpose.
    """

    site: str
    kind: str
    shape: Tuple[int, ...]
    canonical: Tuple[int, ...]
    place: Tuple[Any, ...] = ()
    axes: Optional[Tuple[int, ...]] = None

    def to_native(self, canonical: np.ndarray) -> np.ndarray:
        """Return this slot's part of a canonical array, in the framework's layout; broadcasts shared axes."""
        part = np.broadcast_to(canonical, self.canonical)[self.place]
        if self.axes is not None:
            part = np.transpose(part, self.axes)
        return np.ascontiguousarray(part).reshape(self.shape)

    def to_canonical(self, native: np.ndarray, into: np.ndarray) -> None:
        """Write a native draw into its part of the site's canonical array."""
        part_shape = into[self.place].shape
        if self.axes is None:
            into[self.place] = native.reshape(part_shape)
            return
        transposed = tuple(part_shape[axis] for axis in self.axes)
        into[self.place] = np.transpose(native.reshape(transposed), np.argsort(self.axes))


class TapeMismatch(Exception):
    """A run drew something else than its tape or its slots say: another count, kind or shape."""


def decisions(draw: Draw, rate: float) -> np.ndarray:
    """Return which elements a draw keeps, as bool, by the framework's own rule.

    The comparison happens in the draw's dtype, because a rate is quantised with the draw (bfloat16 0.1 drops 10.14 %).
    """
    if draw.kind == BERNOULLI:
        return draw.values.astype(bool)
    if draw.kind != UNIFORM:
        raise TapeMismatch("a %s draw decides nothing" % draw.kind)
    u = draw.values
    scalar = u.dtype.type
    if draw.rule == "u >= rate":
        return np.asarray(u >= scalar(rate))
    if draw.rule == "u < keep":
        return np.asarray(u < scalar(1.0 - rate))
    if draw.rule == "floor(keep + u)":
        return np.asarray(np.floor(scalar(1.0 - rate) + u) >= 1)
    raise TapeMismatch("unknown keep rule %r" % draw.rule)


def deciding_uniforms(
    kept: np.ndarray, rule: str, rate: Optional[float], top: float, stored: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Uniforms, float64, that decide as `kept` says by a rule.

    rate    spread over both sides of its threshold: a program that compares with another one, keep for rate say, decides
            otherwise about many of them. None: the two ends of [0, 1), which decide so whatever the rate is.
    top     the largest number below 1 of the format that they are stored in.
    stored  uniforms as that format has them. What its rounding would decide otherwise lies at an end.
    """
    low = kept if rule == "u < keep" else ~kept
    ends = np.where(low, 0.0, top)
    if rate is None:
        return ends
    # Equidistributed (the golden ratio's multiples), and away from the threshold by more than the rounding of it.
    spread = 0.02 + 0.96 * ((0.5 + 0.6180339887498949 * np.arange(kept.size)) % 1.0).reshape(kept.shape)
    edge = 1.0 - rate if rule == "u < keep" else rate
    inner = np.where(low, edge * spread, edge + (1.0 - edge) * spread)
    return np.where(decisions(Draw(UNIFORM, stored(inner), rule), rate) == kept, inner, ends)


def standard_normal(draw: Draw) -> np.ndarray:
    """Return a normal draw as float64 values with mean 0 and standard deviation 1."""
    if draw.kind != NORMAL:
        raise TapeMismatch("a %s draw is not normal" % draw.kind)
    values = np.asarray(draw.values, dtype=np.float64)
    stddev = draw.params.get("stddev", 1.0)
    if stddev == 0:
        return np.zeros_like(values)
    return (values - draw.params.get("mean", 0.0)) / stddev


def assign(draws: Sequence[Draw], slots: Sequence[Slot]) -> Dict[str, Draw]:
    """Name recorded draws by their slots and join each site's draws into one canonical draw.

    Raises TapeMismatch when count, kind or shape differ: a run that drew something unforeseen has no known meaning.
    """
    if len(draws) != len(slots):
        drawn = ", ".join("%s%s" % (draw.kind, tuple(draw.values.shape)) for draw in draws) or "nothing"
        raise TapeMismatch("drew %d times where %d were expected: %s" % (len(draws), len(slots), drawn))
    sites: Dict[str, Draw] = {}
    for index, (draw, slot) in enumerate(zip(draws, slots)):
        wanted = (NORMAL,) if slot.kind == NORMAL else (BERNOULLI, UNIFORM)
        if draw.kind not in wanted:
            raise TapeMismatch("draw %d is %s where site %s needs %s" % (index, draw.kind, slot.site, slot.kind))
        if tuple(draw.values.shape) != tuple(slot.shape):
            raise TapeMismatch(
                "draw %d has shape %s where site %s draws %s"
                % (index, tuple(draw.values.shape), slot.site, tuple(slot.shape))
            )
        if slot.site == UNUSED:
            continue
        if slot.site not in sites:
            dtype = bool if draw.kind == BERNOULLI else draw.values.dtype
            empty = np.zeros(slot.canonical, dtype=dtype)
            sites[slot.site] = Draw(draw.kind, empty, draw.rule, dict(draw.params), slot.site)
        slot.to_canonical(draw.values, sites[slot.site].values)
    return sites
