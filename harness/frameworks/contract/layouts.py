"""Which of a case's dropout sites a user's draws belong to, and how they lie in the site's canonical array.

A user's code draws one mask for a whole sequence or one a step, time-major or batch-major, one for all gates or one each, and in
its own order of sites. `readings` finds the assignments that use every draw, the case's order of sites and the simplest layout
that fits first. Two axes of one size cannot be told apart by their shape: each reading is given, the batch-major one first, and
the program's numbers decide (harness.comparison.keep_rules). A user can name the axes instead (`case.site(name, axes=...)`).
"""

import functools
import itertools
from collections import OrderedDict
from typing import AbstractSet, Any, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from harness.noises import Site, tape_keys
from harness.tape import BERNOULLI, NORMAL, UNIFORM, UNUSED, Draw, Slot, TapeMismatch

#: Axes over which people loop, drawing once for each round; the outer loop first, where shapes leave that open.
LOOPS = ("layers", "directions", "time", "gates")
#: More readings than this are not given; of this many, those that share their masks as the case says.
MOST = 8
LOOKED_AT = 64
#: A loop's step draws for so many sites of one form at most.
STRIDES = 4


class Label(NamedTuple):
    """Draws start to stop were made inside `case.site(site)`; axes: how the user says that they lie, or None."""

    site: str
    start: int
    stop: int
    axes: Optional[Tuple[str, ...]]


class Wanted(NamedTuple):
    """One kind of draw at one site."""

    key: str
    kind: str
    site: Site


def wanted_of(site: Site) -> List[Wanted]:
    """What a site's noise draws, under the keys that the tape uses."""
    return [Wanted(key, kind, site) for key, kind in tape_keys(site)]


class Form(NamedTuple):
    """What of a draw decides how it may be read."""

    kind: str
    shape: Tuple[int, ...]


def fits_kind(draw: Form, kind: str) -> bool:
    """Whether a draw can be what a site needs."""
    return draw.kind == NORMAL if kind == NORMAL else draw.kind in (BERNOULLI, UNIFORM)


def layouts(want: Wanted, draws: Sequence[Form], axes: Optional[Tuple[str, ...]]) -> Iterator[List[Slot]]:
    """Every way in which the first draws may be one site's, simplest first."""
    site = want.site
    sizes = dict(zip(site.axes, site.full))
    loopable = [name for name in LOOPS if sizes.get(name, 1) > 1]
    for count in range(len(loopable) + 1):
        for loops in itertools.permutations(loopable, count):
            if axes is not None and loops != tuple(axes[:count]):
                continue
            yield from _looped(want, draws, loops, axes)


def _looped(
    want: Wanted, draws: Sequence[Form], loops: Tuple[str, ...], axes: Optional[Tuple[str, ...]]
) -> Iterator[List[Slot]]:
    """The slots if the draws are made in these nested loops; nothing where they are not."""
    site = want.site
    sizes = dict(zip(site.axes, site.full))
    rounds = 1
    for name in loops:
        rounds *= sizes[name]
    if rounds > len(draws):
        return
    mine = draws[:rounds]
    shape = mine[0].shape if mine else ()
    if any(not fits_kind(draw, want.kind) or draw.shape != shape for draw in mine):
        return
    inner = [name for name in site.axes if name not in loops]
    places: List[Tuple[Any, ...]] = [()]
    if loops:
        rounds_of = (dict(zip(loops, index)) for index in itertools.product(*(range(sizes[name]) for name in loops)))
        places = [tuple(at.get(name, slice(None)) for name in site.axes) for at in rounds_of]
    for order, shared in _inner(site, inner, shape, axes):
        canonical = tuple(1 if name in shared else sizes[name] for name in site.axes)
        axes_of = tuple(inner.index(name) for name in order)
        yield [Slot(want.key, want.kind, shape, canonical, place, axes_of) for place in places]


def _inner(
    site: Site, inner: Sequence[str], shape: Tuple[int, ...], axes: Optional[Tuple[str, ...]]
) -> Iterator[Tuple[Tuple[str, ...], Tuple[str, ...]]]:
    """Order and shared axes of one draw with that shape, each that makes a difference; the case's own sharing first."""
    sizes = dict(zip(site.axes, site.full))
    squeezed = tuple(size for size in shape if size != 1)
    if axes is not None:
        orders = [tuple(name for name in axes if name in inner) + tuple(name for name in inner if name not in axes)]
    else:
        orders = list(itertools.permutations(inner))
    mine = tuple(name for name in inner if name in site.shared)
    others = [
        subset for count in range(len(inner) + 1) for subset in itertools.combinations(inner, count) if subset != mine
    ]
    seen = set()
    for shared in [mine, *others]:
        for order in orders:
            sized = [1 if name in shared else sizes[name] for name in order]
            if tuple(size for size in sized if size != 1) == squeezed or _merged(order, sized, squeezed):
                # Where an axis of one element stands makes no difference.
                long = tuple(name for name, size in zip(order, sized) if size != 1)
                if long not in seen:
                    seen.add(long)
                    yield tuple(order), shared


def _merged(order: Sequence[str], sized: Sequence[int], squeezed: Tuple[int, ...]) -> bool:
    """Whether the shape is that of gates and features (or a weight's units) in one axis, (B, 4H), as fused kernels have it."""
    last = "units" if "units" in order else "features"
    if "gates" not in order or last not in order:
        return False
    gates, features = order.index("gates"), order.index(last)
    if features != gates + 1 or sized[gates] == 1:
        return False
    joined = [*sized[:gates], sized[gates] * sized[features], *sized[features + 1 :]]
    return tuple(size for size in joined if size != 1) == squeezed


def readings(
    draws: Sequence[Draw], labels: Sequence[Label], sites: Sequence[Site], unused: AbstractSet[int] = frozenset()
) -> List[List[Slot]]:
    """The slot of every draw, in order, for each way to read them; UNUSED is the site of those that nothing depends on.

    Raises TapeMismatch, with what was drawn, where no assignment uses all others.
    """
    forms = tuple(Form(draw.kind, tuple(draw.values.shape)) for draw in draws)
    return [list(slots) for slots in _readings(forms, tuple(labels), tuple(sites), frozenset(unused))]


@functools.lru_cache(maxsize=256)
def _readings(
    draws: Tuple[Form, ...], labels: Tuple[Label, ...], sites: Tuple[Site, ...], unused: FrozenSet[int]
) -> List[List[Slot]]:
    """As `readings`, of forms: all seeds and calls of a program draw alike, and the search may take a second."""
    idle = {number: Slot(UNUSED, draws[number].kind, draws[number].shape, ()) for number in unused}
    said: Dict[Tuple[str, Optional[Tuple[str, ...]]], List[int]] = OrderedDict()
    for label in labels:
        # A block that is entered at every step names one draw a time; the site's draws belong together.
        taken = {number for numbers in said.values() for number in numbers} | set(unused)
        mine = [number for number in range(label.start, label.stop) if number not in taken]
        said.setdefault((label.site, label.axes), []).extend(mine)
    parts = []
    for (name, axes), numbers in said.items():
        named = [site for site in sites if name in (site.at, site.listed)]
        if not named:
            known = ", ".join(site.at for site in sites) or "none"
            raise TapeMismatch("case.site(%r): the case has no such site; it has: %s" % (name, known))
        parts.append(_assignments(draws, numbers, named, axes))
    labelled = {site.at for name, _ in said for site in sites if name in (site.at, site.listed)}
    placed = {number for numbers in said.values() for number in numbers} | set(unused)
    rest = [number for number in range(len(draws)) if number not in placed]
    parts.append(_assignments(draws, rest, [site for site in sites if site.at not in labelled], None))
    found = []
    for chosen in itertools.islice(itertools.product(*parts), LOOKED_AT):
        slots = dict(idle)
        for part in chosen:
            slots.update(part)
        found.append([slots[number] for number in range(len(draws))])
    asked = {want.key: tuple(site.shape) for site in sites for want in wanted_of(site)}
    return sorted(
        found, key=lambda slots: len({slot.site for slot in slots if asked.get(slot.site) != slot.canonical})
    )[:MOST]


def _assignments(
    draws: Sequence[Form], numbers: Sequence[int], sites: Sequence[Site], axes: Optional[Tuple[str, ...]]
) -> List[Dict[int, Slot]]:
    """The slots of the draws with those numbers, each way in which they are of those sites."""
    wanted = [want for site in sites for want in wanted_of(site)]
    found = list(itertools.islice(_search(draws, tuple(numbers), wanted, axes, set()), LOOKED_AT))
    if not found:
        mine = [draws[number] for number in numbers]
        drawn = ", ".join("%s%s" % draw for draw in mine) or "nothing"
        known = ", ".join("%s %s" % (want.key, want.site.full) for want in wanted) or "none"
        hint = ""
        if any(len(draw.shape) == 2 for draw in mine) and len(mine) > 1:
            hint = "; what a layer's initializers draw is no dropout: make the layer with case.keep(make)"
        raise TapeMismatch("drew %s, which does not fit the case's sites: %s%s" % (drawn, known, hint))
    return found


Dead = Set[Tuple[Tuple[int, ...], Tuple[str, ...]]]


def _search(
    draws: Sequence[Form], left: Tuple[int, ...], wanted: Sequence[Wanted], axes: Optional[Tuple[str, ...]], dead: Dead
) -> Iterator[Dict[int, Slot]]:
    """Assign all draws that are left to the wanted ones, in their order first; one may be left out, which the check mask.sites
    then tells.

    dead  what has been found to have no assignment: (draws, wanted).
    """
    if not left:
        yield {}
        return
    state = left, tuple(want.key for want in wanted)
    if state in dead:
        return
    some = False
    alike = set()
    for index, want in enumerate(wanted):
        # Sites of one form can be exchanged: where one leads nowhere, neither does the next.
        form = want.kind, want.site[1:]
        if form in alike:
            continue
        before = some
        seen = set()
        for numbers in _taken(draws, left, len(wanted)):
            for slots in layouts(want, [draws[number] for number in numbers], axes):
                mine = dict(zip(numbers, slots))
                if repr(mine) in seen:
                    continue
                seen.add(repr(mine))
                rest = tuple(number for number in left if number not in mine)
                for after in _search(draws, rest, [*wanted[:index], *wanted[index + 1 :]], axes, dead):
                    some = True
                    yield {**after, **mine}
        if some == before:
            alike.add(form)
    if not some:
        dead.add(state)


def _taken(draws: Sequence[Form], left: Tuple[int, ...], sites: int) -> List[Tuple[int, ...]]:
    """The draws that may be one site's, of one form with the first that is left.

    Every second, third … of them, as the steps of a loop draw for one site after the other; all in a row; those that stand
    between others' of another form too.
    """
    first = draws[left[0]]
    same = tuple(number for number in left if draws[number] == first)
    row = tuple(itertools.takewhile(lambda number: draws[number] == first, left))
    found = [*(same[::stride] for stride in range(2, min(sites, STRIDES) + 1)), row, same]
    return list(OrderedDict.fromkeys(found))
