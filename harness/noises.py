"""Where randomness acts, and how: `Site`, and the one table of noises that answers every question about one.

Whether a site draws, what, in which order, whether its draws decide anything, whether it multiplies: host, workers, references,
faults, oracles and tests ask here. A further noise is a further row of NOISES. A framework that draws where the table says
that nothing is drawn (a layer that draws at rate 0 and uses none of it) says so itself, at its adapter.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

import math
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from harness.tape import BERNOULLI, NORMAL, Slot

#: What a noise does to an element: times a factor, plus a value, or another value in its place.
MULTIPLIES, ADDS, REPLACES = "multiplies", "adds", "replaces"


class Site(NamedTuple):
    """One dropout site: where randomness acts and how.

    at       `input`, `output`, `state.h`, `state.c`, `weight.recurrent`, `embedding.rows`, `between_layers`; with a stack's or
             a layer's prefix where there are several, `decoder.input`, `layer1.weight.recurrent`.
    rate     probability in [0, 1] that an element is dropped (for gaussian: the rate that sets its spread).
    noise    a row of NOISES.
    shared   names of the axes over which one mask is shared, e.g. ("time",); a subset of `axes`.
    scale    `inverted`: survivors are divided by the keep probability; `none`.
    axes     names of the canonical axes of this site's array, e.g. ("gates", "batch", "time", "features").
    shape    the canonical shape, shared axes having size 1: what one mask of this site looks like.
    stddev   of additive noise, in units of the input.
    full     the shape with every axis at its whole size.
    """

    at: str
    rate: float
    noise: str = BERNOULLI
    shared: Tuple[str, ...] = ()
    scale: str = "inverted"
    axes: Tuple[str, ...] = ()
    shape: Tuple[int, ...] = ()
    stddev: float = 0.0
    full: Tuple[int, ...] = ()

    @classmethod
    def of(cls, fields: Dict[str, Any]) -> "Site":
        """A site from its JSON form, which `_asdict` gives."""
        plain: Dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**plain)

    @property
    def listed(self) -> str:
        """The name under which a case lists it, and adapters declare it: without the number of a layer of its own."""
        layer, _, rest = self.at.partition(".")
        return rest if layer.startswith("layer") and layer[len("layer") :].isdigit() else self.at

    @property
    def keep(self) -> float:
        """The keep probability, 1 - rate."""
        return 1.0 - self.rate

    @property
    def law(self) -> "Noise":
        """The row of the table for its noise."""
        return NOISES[self.noise]

    @property
    def draws(self) -> Tuple[str, ...]:
        """The kinds of draw one mask takes, in order: `bernoulli` and/or `normal`."""
        return self.law.kinds

    @property
    def silent(self) -> bool:
        """Whether the noise changes nothing, so that nothing need be drawn: a rate of 0, a spread of 0."""
        return self.law.silent(self)

    @property
    def open(self) -> Tuple[str, ...]:
        """The kinds of draw that decide anything: no decision is open at rate 1, where nothing is kept."""
        if self.silent:
            return ()
        return tuple(kind for kind in self.draws if kind != BERNOULLI or 0.0 < self.rate < 1.0)

    @property
    def active(self) -> bool:
        """Whether the outcome depends on what is drawn."""
        return bool(self.open)

    @property
    def spread(self) -> float:
        """The standard deviation of the noise's normals; 0 for a noise without any."""
        return float(self.law.spread(self))

    @property
    def multiplies(self) -> bool:
        """Whether the noise is a factor."""
        return self.law.effect == MULTIPLIES

    @property
    def masks(self) -> bool:
        """Whether the factor is a mask: zero, or one value for all that is kept."""
        return self.multiplies and self.draws == (BERNOULLI,)


class Noise(NamedTuple):
    """One kind of noise.

    kinds   the kinds of draw that one mask takes, in order.
    effect  MULTIPLIES, ADDS or REPLACES.
    silent  of a site: whether the noise changes nothing.
    spread  of a site: the standard deviation of its normals.
    """

    kinds: Tuple[str, ...]
    effect: str
    silent: Callable[[Site], bool]
    spread: Callable[[Site], float] = lambda site: 0.0


def _never(site: Site) -> bool:
    return site.rate == 0.0


#: Every noise by its name in `Site.noise`.
#: bernoulli        Srivastava et al., *Dropout*, JMLR 15 (2014), section 4: kept or zero.
#: gaussian         the same, section 10: times N(1, rate / (1 - rate)).
#: alpha            Klambauer et al. 2017 (arXiv 1706.02515): SELU's saturation value, then an affine map.
#: additive         Bishop, Neural Computation 7 (1995): plus N(0, stddev**2).
#: masked_additive  the same, on the elements that dropout would have dropped.
#: zoneout          Krueger et al. 2017 (arXiv 1606.01305): the old value instead of the new one; in evaluation the expectation.
NOISES: Dict[str, Noise] = {
    "bernoulli": Noise((BERNOULLI,), MULTIPLIES, _never),
    "gaussian": Noise((NORMAL,), MULTIPLIES, _never, lambda site: math.sqrt(site.rate / site.keep)),
    "alpha": Noise((BERNOULLI,), REPLACES, _never),
    "additive": Noise((NORMAL,), ADDS, lambda site: site.stddev == 0.0, lambda site: site.stddev),
    "masked_additive": Noise(
        (BERNOULLI, NORMAL), ADDS, lambda site: site.rate == 0.0 or site.stddev == 0.0, lambda site: site.stddev
    ),
    "zoneout": Noise((BERNOULLI,), REPLACES, _never),
}


def noises_that(effect: str) -> Tuple[str, ...]:
    """The names of the noises with that effect."""
    return tuple(name for name, noise in NOISES.items() if noise.effect == effect)


def tape_keys(site: Site) -> Tuple[Tuple[str, str], ...]:
    """The (key, kind) pairs under which a site's draws travel: `input`, or `input` and `input/normal`."""
    if len(site.draws) == 1:
        return ((site.at, site.draws[0]),)
    return tuple((site.at if kind == BERNOULLI else "%s/%s" % (site.at, kind), kind) for kind in site.draws)


def whole_slots(site: Site) -> List[Slot]:
    """The slots of a site whose draws are each made at once, in its canonical shape."""
    shape = tuple(site.shape)
    return [Slot(key, kind, shape, shape) for key, kind in tape_keys(site)]


def settled(site: Site, kind: str) -> np.ndarray:
    """What a draw that decides nothing stands for, in the site's shape: all kept, or at rate 1 nothing; normals of 0."""
    if kind == NORMAL:
        return np.zeros(site.shape)
    return np.full(site.shape, site.silent)
