"""What an implementation can do, declared as class attributes: checked in one place, printed as one table.

A job that asks for anything else is refused with a reason (`refusal`), before any framework is imported. What depends on
more than one declaration, on a version or on values, stays a method `check` of the adapter. Declarations are validated when
a class registers (harness.frameworks.contract.declaring), and `harness layers` prints them.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from harness.frameworks.contract.options import either, wanted, word
from harness.noises import Site

SCALES = ("inverted", "none")
DTYPES = ("float16", "bfloat16", "float32", "float64")

#: Settings that need no word of an adapter, because every implementation of a kind that has them knows them.
PLAIN_SETTINGS = ("units", "layers", "return_sequences", "return_state", "tied", "rate", "shared", "stddev")

#: Settings of an LSTM's cell. No native layer has all of them; loops that write the formulas out have.
FORMULA_SETTINGS = ("forget_bias", "peepholes", "cell_clip", "projection", "projection_clip", "recurrent_activation")

#: In `Capabilities.shared`: every site that is not named there.
EVERY = ""
#: In `Shared.free`: every axis that is not in `always`.
ANY = ("any other",)


class Shared(NamedTuple):
    """The axes over which one mask is shared.

    always  axes that it is always shared over, where the site has them; a slice takes them by their place.
    free    further axes that it may be shared over or not, as the case says.
    """

    always: Union[Tuple[str, ...], slice] = ()
    free: Tuple[str, ...] = ()

    def of(self, axes: Sequence[str]) -> Tuple[str, ...]:
        """Those of a site's axes that its mask is always shared over."""
        if isinstance(self.always, slice):
            return tuple(axes[self.always])
        return tuple(axis for axis in axes if axis in self.always)

    def admits(self, site: Site) -> bool:
        """Whether a site shares its mask so."""
        always = set(self.of(site.axes))
        further = set(site.shared) - always
        return always <= set(site.shared) and (self.free == ANY or further <= set(self.free))

    def words(self, axes: Optional[Sequence[str]] = None) -> str:
        """`[gates, time]`, `any axes`, `[gates] and any further axes`; with a site's axes only those that it has."""
        if isinstance(self.always, slice) and axes is None:
            always = _SLICES.get((self.always.start, self.always.stop), str(self.always))
        else:
            always = "[%s]" % ", ".join(self.of(axes) if axes is not None else self.always)  # type: ignore[arg-type]
        if not self.free:
            return always
        free = (
            "any"
            if self.free == ANY
            else "any of [%s]" % ", ".join(axis for axis in self.free if axes is None or axis in axes)
        )
        if always == "[]":
            return free + " axes" * (free == "any")
        return "%s and %s" % (always, free.replace("any", "any further", 1) + " axes" * (free == "any"))


#: Every element decides for itself.
OWN = Shared()
#: All axes but the first and the last; all but the first two: what spatial layers share.
INNER, AFTER_SECOND = slice(1, -1), slice(2, None)
_SLICES = {(1, -1): "[all but the first and the last]", (2, None): "[all but the first two]"}


class Capabilities:
    """What an implementation declares. A subclass overrides what its base says of it."""

    #: names of `options` that it understands, with their defaults.
    options: Dict[str, Any] = {}
    #: what those options mean, where harness.frameworks.contract.options does not say it.
    about_options: Dict[str, str] = {}
    #: the values that options of its own may have, where their defaults' types do not tell.
    choices: Dict[str, Tuple[Any, ...]] = {}
    #: dropout sites that it can express, as a case lists them: `weight.recurrent` stands for `layer0.weight.recurrent` too.
    sites: Tuple[str, ...] = ()
    #: kinds of noise that it can express.
    noises: Tuple[str, ...] = ("bernoulli",)
    #: the kind's settings that it understands; any other that is set (not False, None or zero) is refused.
    settings: Tuple[str, ...] = PLAIN_SETTINGS
    #: the values of settings that it has, where it has not all; a setting may be left unset (None) all the same.
    values: Dict[str, Tuple[Any, ...]] = {}
    #: how it may scale what survives.
    scales: Tuple[str, ...] = SCALES
    #: by site, or EVERY: over which axes its masks are shared, each of several ways. A site that is not there: as the case says.
    #: `input` stands for `encoder.input` and `decoder.input` too.
    shared: Dict[str, Tuple[Shared, ...]] = {}
    #: the dtypes that it computes in.
    dtypes: Tuple[str, ...] = DTYPES
    #: the ranks of x that it takes; (): any.
    ranks: Tuple[int, ...] = ()
    #: packages with bounds beside those that it needs, where an API of another version is another one: `tensorflow>=2`.
    versions: Tuple[str, ...] = ()
    #: whether it can drop with rate 1.
    rate_one: bool = True
    #: whether it has gradients.
    differentiable: bool = True
    #: whether draws can be replayed.
    replays: bool = True
    #: whether it can be called again without a new seed (Job.calls): where the caller hands in a key it cannot. A layer that
    #: has the setting `stateful` always can.
    recalls: bool = False
    #: why it has not what it has not, by the name of the declaration, of a setting or of a site.
    because: Dict[str, str] = {}

    def refusal(
        self,
        options: Mapping[str, Any],
        config: Mapping[str, Any],
        sites: Sequence[Site],
        dtype: str,
        rank: Optional[int],
        gradients: bool,
        replay: bool,
    ) -> Optional[str]:
        """Why this cannot be asked; None where the declarations allow it."""
        found = self._options(options) + self._settings(config)
        if self.ranks and rank is not None and rank not in self.ranks:
            ranks = either([str(each) for each in self.ranks])
            found.append(self._why("ranks", "takes arrays of rank %s, not %d" % (ranks, rank)))
        found += self._sites(sites)
        if dtype not in self.dtypes:
            found.append(self._why("dtypes", "has %s, not %s" % (" and ".join(self.dtypes), dtype)))
        if gradients and not self.differentiable:
            found.append(self._why("differentiable", "has no gradients: set gradients: false"))
        if replay and not self.replays:
            found.append(self._why("replays", "draws cannot be replayed"))
        return found[0] if found else None

    def _options(self, options: Mapping[str, Any]) -> List[str]:
        found = []
        for name, value in sorted(options.items()):
            if name not in self.options:
                found.append("no option %r; it has: %s" % (name, ", ".join(sorted(self.options)) or "none"))
                continue
            takes = wanted(name, value, self.options[name], self.choices.get(name))
            if takes is not None:
                found.append(self._why(name, "option %s is %s, not %r" % (name, takes, value)))
        return found

    def _settings(self, config: Mapping[str, Any]) -> List[str]:
        found = []
        for name, value in sorted(config.items()):
            if value and name not in self.settings:
                found.append(self._why(name, "has no setting %s: %s" % (name, value)))
            elif value is not None and value not in self.values.get(name, (value,)):
                takes = either([word(each) for each in self.values[name]])
                found.append(self._why(name, "%s is %s, not %s" % (name, takes, word(value))))
        return found

    def _sites(self, sites: Sequence[Site]) -> List[str]:
        found = []
        for site in sites:
            if site.listed not in self.sites:
                found.append("has no dropout at %r" % site.at)
                continue
            if site.noise not in self.noises:
                found.append("has no %s noise" % site.noise)
            if site.scale not in self.scales:
                scaled = "scales survivors by 1 / (1 - rate); it has no dropout without a scale"
                found.append(self._why("scales", scaled if site.scale == "none" else "does not scale survivors"))
            if site.rate == 1.0 and not self.rate_one:
                found.append(self._why("rate_one", "has no rate 1"))
            shared = sharing(site, ways_of(self.shared, site))
            if shared is not None:
                name = site.at if site.at in self.because else plain(site)
                found.append(self._why(name if name in self.because else "shared", shared))
        return found

    def _why(self, name: str, text: str) -> str:
        return "%s (%s)" % (text, self.because[name]) if name in self.because else text


def within(version: str, need: str) -> bool:
    """Whether a version, `2.4.1`, lies in the bound of a need: `tensorflow>=2.4`, `tensorflow<2`."""
    sign = "<" if "<" in need else ">="
    bound = _numbers(need.partition(sign)[2])
    return (_numbers(version)[: len(bound)] >= bound) == (sign == ">=")


def _numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def plain(site: Site) -> str:
    """A site's name without the half of an encoder and decoder, or the layer, that it belongs to."""
    return site.listed.rpartition("coder.")[2]


def ways_of(shared: Mapping[str, Tuple[Shared, ...]], site: Site) -> Tuple[Shared, ...]:
    """The ways in which a site's masks may be shared; (): any."""
    for name in (site.listed, plain(site), EVERY):
        if name in shared:
            return shared[name]
    return ()


def sharing(site: Site, ways: Sequence[Shared]) -> Optional[str]:
    """Why a site cannot share its masks as the case asks, if each of `ways` is another; () are any."""
    if not ways or any(way.admits(site) for way in ways):
        return None
    words = either([way.words(site.axes) for way in ways])
    asked = "%s: one mask is shared over %s; the case asks for shared: [%s]"
    return asked % (site.at, words, ", ".join(site.shared))


#: The declarations, by the attributes' names.
DECLARED = tuple(sorted(Capabilities.__annotations__))


def adopt(cls: type, other: type, prefixes: Sequence[str] = ("",)) -> None:
    """Let a class declare what another one declares, its sites once with each prefix."""
    for name in DECLARED:
        if any(name in vars(owner) for owner in other.__mro__ if owner is not Capabilities):
            setattr(cls, name, getattr(other, name))
    cls.sites = tuple(prefix + site for prefix in prefixes for site in other.sites)  # type: ignore[attr-defined]
