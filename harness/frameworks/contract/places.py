"""Where a draw lies in its site's canonical array, by the names of the array's axes.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Any, List, NamedTuple, Sequence, Tuple

from harness.noises import Site, tape_keys
from harness.tape import UNUSED, Slot

Place = Tuple[Any, ...]

#: Axes of a sequence, as canonical arrays have them and with the time in front.
SEQUENCE, TIME_FIRST = ("batch", "time", "features"), ("time", "batch", "features")


def place_of(site: Site, **where: int) -> Place:
    """The index of a part of a site's array, from numbers on some of its axes; an axis of size 1 has one for all.

    An axis that the site has not is no matter: `place_of(site, layers=2, time=t)` is right for a single layer too.
    """
    place: List[Any] = []
    for axis, size in zip(site.axes, site.shape):
        place.append((where[axis] if size > 1 else 0) if axis in where else slice(None))
    while place and place[-1] == slice(None):
        place.pop()
    return tuple(place)


def part_axes(site: Site, place: Place) -> Tuple[str, ...]:
    """The axes that the part at a place has."""
    whole = (slice(None),) * (len(site.axes) - len(place))
    return tuple(axis for axis, index in zip(site.axes, (*place, *whole)) if index == slice(None))


def part_shape(site: Site, place: Place) -> Tuple[int, ...]:
    """The shape of the part at a place."""
    sizes = dict(zip(site.axes, site.shape))
    return tuple(sizes[axis] for axis in part_axes(site, place))


def part_slots(site: Site, place: Place) -> List[Slot]:
    """The draws of the part at a place, each made at once and laid as the canonical array is."""
    shape = part_shape(site, place)
    return [Slot(key, kind, shape, tuple(site.shape), place) for key, kind in tape_keys(site)]


class Part(NamedTuple):
    """What one dropout layer of a model masks: a site, or the share of it that one layer in one direction has."""

    site: Site
    place: Place = ()

    @property
    def axes(self) -> Tuple[str, ...]:
        """The names of its axes."""
        return part_axes(self.site, self.place)

    @property
    def shape(self) -> Tuple[int, ...]:
        """Its shape: axes over which one mask is shared have size 1."""
        return part_shape(self.site, self.place)

    @property
    def shared(self) -> Tuple[int, ...]:
        """The numbers of its axes over which one mask is shared."""
        return tuple(number for number, axis in enumerate(self.axes) if axis in self.site.shared)


def drawn_as(site: Site, **sizes: int) -> Site:
    """The site with the array that a framework draws whatever the case shares: every axis whole but those of the given sizes."""
    return site._replace(shape=tuple(sizes.get(axis, size) for axis, size in zip(site.axes, site.full)))


def slots_of(site: Site, order: Sequence[str], **where: int) -> List[Slot]:
    """The draws of the part at the numbers `where`, whose array has the axes `order`, in that order.

    An axis of size 1 may stand in neither. Raises ValueError for a longer one that does, for then no one draw is meant.
    """
    single = {axis: 0 for axis, size in zip(site.axes, site.shape) if size == 1 and axis not in order}
    place = place_of(site, **dict(single, **where))
    kept = part_axes(site, place)
    if sorted(kept) != sorted(order):
        raise ValueError(
            f"a draw over {', '.join(order)} has no place in {site.at} ({', '.join(site.axes)}) at {where}"
        )
    sizes = dict(zip(site.axes, site.shape))
    shape = tuple(sizes[axis] for axis in order)
    axes = tuple(kept.index(axis) for axis in order)
    turned = None if axes == tuple(range(len(axes))) else axes
    return [Slot(key, kind, shape, tuple(site.shape), place, turned) for key, kind in tape_keys(site)]


def thrown_away(slot: Slot) -> Slot:
    """The slot of a draw of the same shape that nothing uses."""
    return slot._replace(site=UNUSED, canonical=slot.shape, place=(), axes=None)
