"""`mask.*`: what was drawn, taken from the tap. Never guessed from zeros: an input that is zero is not a dropped one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.context import Context, Evidence
from harness.comparison.last_step import last_alone, on_output
from harness.frameworks.contract.framework import owner
from harness.layers.base import tape_keys
from harness.records import Aim, PassResult, Role, Site, Verdict
from harness.tape import NORMAL, Draw, decisions

#: Luck may make a right system look wrong (or a wrong one right) with at most this probability, for each check: 1e-6 over
#: the ten thousand statistical rows of a large run (docs/statistics.md). A constant, so that no verdict depends on what
#: else is run.
LUCK = 1e-10


def active_sites(context: Context) -> list[Site]:
    """The sites that draw in this variant's own mode."""
    return [site for site in context.variant.sites if context.variant.mode == "train" and site.active]


def native(context: Context) -> bool:
    """Whether the frameworks draw for themselves."""
    return context.variant.draws == "native"


def keys(context: Context) -> list[tuple[Site, str, str]]:
    """(site, tape key, kind) of every draw that decides anything at the active sites."""
    return [(site, key, kind) for site in active_sites(context) for key, kind in tape_keys(site) if kind in site.open]


def sizes(site: Site) -> int:
    """How many independent values one mask of a site has."""
    return int(np.prod(site.shape, dtype=np.int64))


def luck(site: Site, kind: str) -> float:
    """The probability that two independent masks of a site are the same."""
    return 0.0 if kind == NORMAL else float((site.rate**2 + site.keep**2) ** sizes(site))


def tells_apart(context: Context) -> bool:
    """Whether two independent runs of this variant could be told apart: somewhere enough is drawn."""
    found = keys(context)
    return (
        bool(found) and min(luck(site, kind) for site, _, kind in found) <= LUCK and any(sizes(s) for s, _, _ in found)
    )


@check("mask.sites", lambda context: ["mask.sites"] if active_sites(context) else [])
def sites(evidence: Evidence) -> Iterator[Finding]:
    """Every site that the case names draws, and nothing else does."""
    wanted = {key for _, key, _ in keys(evidence.context)}
    idle = {key for site in evidence.variant.sites for key, kind in tape_keys(site) if kind not in site.open}
    for one, result in evidence.main:
        found = set(result.draws) - idle
        missing, extra = sorted(wanted - found), sorted(found - wanted)
        if missing or extra:
            parts = [f"draws nothing at {', '.join(missing)}"] if missing else []
            parts += [f"draws at {', '.join(extra)}, where the case has no dropout"] if extra else []
            parts += [unseen(evidence)] if not found and draws_unseen(evidence, result) else []
            cause = "; ".join(parts)
            drawn, seed = len(found), str(one.seed)
            yield Finding("mask.sites", Verdict.FAIL, drawn, len(wanted), "sites", cause=cause, seed=seed, aim=Aim.MEET)
            return
    note = ", ".join(sorted(wanted))
    yield Finding("mask.sites", Verdict.PASS, len(wanted), len(wanted), "sites", note=note, aim=Aim.MEET)


def draws_unseen(evidence: Evidence, result: PassResult) -> bool:
    """Whether a pass without draws gives something else than evaluation: then it draws where no tap is."""
    return any(
        not np.array_equal(array, result.outputs[name], equal_nan=True)
        for _, evaluated in evidence.of(Role.EVAL)
        for name, array in evaluated.outputs.items()
        if name in result.outputs
    )


def unseen(evidence: Evidence) -> str:
    """What is said of that."""
    record = None if evidence.job is None else owner(evidence.job.backend.backend)
    where = f": draw from {record.seen}" if record is not None and record.seen else ""
    return f"yet training gives something else than evaluation: it draws where the tap does not see it{where}"


def valid_steps(context: Context, site: Site, draw: Draw) -> np.ndarray:
    """Which elements of a draw are drawn whatever the implementation: a packed sequence draws nothing after its end."""
    valid = np.ones(draw.values.shape, dtype=bool)
    if "lengths" in context.variant.inputs and {"batch", "time"} <= set(site.axes):
        batch, time = site.axes.index("batch"), site.axes.index("time")
        lengths = context.arrays()[0]["lengths"]
        if draw.values.shape[batch] == len(lengths) and draw.values.shape[time] > 1:
            sizes = [1] * draw.values.ndim
            sizes[batch], sizes[time] = len(lengths), draw.values.shape[time]
            valid &= (np.arange(sizes[time]) < np.asarray(lengths)[:, None]).reshape(sizes)
    return valid


def measured_axes(site: Site, draw: Draw) -> tuple[set[str], set[str], set[str]]:
    """The axes over which a drawn mask is shared, is not, and those of which nothing can be said.

    An axis is shared where the framework drew one value for it (size 1 although the site's array is longer) or where all
    values along it are equal and luck is no explanation.
    """
    from harness.comparison.statistics.sharing import shared_axes

    values = draw.values
    shared: set[str] = set()
    distinct: set[str] = set()
    unknown: set[str] = set()
    if draw.kind == NORMAL:
        constant = {
            axis
            for axis in range(values.ndim)
            if values.shape[axis] > 1 and bool((values == values.take([0], axis)).all())
        }
        undecidable: set[int] = set()
    else:
        result = shared_axes(decisions(draw, site.rate), site.rate, LUCK)
        constant, undecidable = set(result.shared), set(result.undecidable)
    for axis, name in enumerate(site.axes):
        drawn, asked = values.shape[axis], site.shape[axis]
        if drawn == 1:
            # One value where the case's own mask has several is shared; where it has one as well, it is as the case says.
            (shared if asked > 1 or name in site.shared else unknown).add(name)
        elif axis in constant:
            shared.add(name)
        elif axis in undecidable:
            unknown.add(name)
        else:
            distinct.add(name)
    return shared, distinct, unknown


@check("mask.shared", lambda context: ["mask.shared"] if sharing_matters(context) else [])
def shared(evidence: Evidence) -> Iterator[Finding]:
    """Each mask is shared over the axes that the case says, and over no others."""
    differences, seen = [], []
    decided = 0
    for one, result in evidence.main[:1]:
        for site, key, _ in keys(evidence.context):
            if key not in result.draws:
                differences.append(f"{key}: drew nothing")
                continue
            over, not_over, _ = measured_axes(site, result.draws[key])
            if last_alone(evidence.context, site):
                # Of a sequence's mask the step that is returned alone matters: Dropout behind the layer draws no other.
                over, not_over = over - {"time"}, not_over - {"time"}
            decided += len(over) + len(not_over)
            seen.append(f"{key} over {', '.join(axis for axis in site.axes if axis in over) or 'nothing'}")
            too_many, too_few = sorted(over - set(site.shared)), sorted(not_over & set(site.shared))
            if too_many:
                differences.append(f"{key}: one value over {', '.join(too_many)}, where the case has one for each")
            if too_few:
                differences.append(f"{key}: drawn anew over {', '.join(too_few)}, where the case shares one mask")
        note = "shared: " + "; ".join(seen)
        if not differences and not decided:
            yield Finding("mask.shared", Verdict.ERROR, cause="too few elements to tell", note=note)
            return
        verdict = Verdict.FAIL if differences else Verdict.PASS
        count = len(differences)
        yield Finding(
            "mask.shared", verdict, count, 0, "axes", cause="; ".join(differences), note=note, seed=str(one.seed)
        )


def sharing_matters(context: Context) -> bool:
    """Whether any active site has an axis of which something can be said: a shared one, or one with enough elements."""
    return any(
        site.shared or (kind == NORMAL and sizes(site) > 1) or any(decidable(site, size) for size in site.shape)
        for site, _, kind in keys(context)
    )


def decidable(site: Site, size: int) -> bool:
    """Whether an unshared axis of that size would not look shared by luck."""
    lines = sizes(site) // size if size else 0
    return size > 1 and float((site.rate**size + site.keep**size) ** lines) <= LUCK


@check("mask.same_seed", lambda context: ["mask.same_seed"] if native(context) and active_sites(context) else [])
def same_seed(evidence: Evidence) -> Iterator[Finding]:
    """The same seed gives the same draws, bit for bit."""
    runs = [evidence.main[0][1], *(result for _, result in evidence.of(Role.REPEAT))]
    keys_drawn = sorted({key for result in runs for key in result.draws})
    if not keys_drawn:
        yield Finding("mask.same_seed", Verdict.FAIL, cause="drew nothing")
        return
    differing = [key for key in keys_drawn if not all(same_draw(runs[0], result, key) for result in runs[1:])]
    sets = distinct([[result.draws[key].values for key in keys_drawn if key in result.draws] for result in runs])
    note = f"{sets} distinct in {len(runs)} runs"
    verdict = Verdict.NONDETERMINISTIC if differing else Verdict.PASS
    cause = f"another mask from the same seed at {', '.join(differing)}: {note}" if differing else ""
    seed = str(evidence.main[0][0].seed)
    yield Finding("mask.same_seed", verdict, sets, 1, "distinct runs", cause=cause, note=note, seed=seed)


def same_draw(first: PassResult, second: PassResult, key: str) -> bool:
    """Whether two passes drew the same bits at a site."""
    return key in first.draws and key in second.draws and same(first.draws[key].values, second.draws[key].values)


def distinct(runs: Sequence[Sequence[np.ndarray]]) -> int:
    """How many different results several runs gave, bit for bit."""
    return len({b"".join(array.tobytes() for array in run) for run in runs})


@check("mask.other_seed", lambda context: ["mask.other_seed"] if native(context) and tells_apart(context) else [])
def other_seed(evidence: Evidence) -> Iterator[Finding]:
    """Another seed gives other draws."""
    runs = evidence.of(evidence.variant.mode, Role.OTHER)
    pairs = list(itertools.pairwise(runs))
    stuck = [
        f"{one.seed} and {two.seed}"
        for (one, first), (two, second) in pairs
        if first.draws
        and one.seed != two.seed
        and all(
            key in second.draws and same(draw.values, second.draws[key].values) for key, draw in first.draws.items()
        )
    ]
    if not pairs or not any(result.draws for _, result in runs):
        yield Finding("mask.other_seed", Verdict.FAIL, cause="drew nothing")
        return
    verdict = Verdict.FAIL if stuck else Verdict.PASS
    cause = f"the same mask from seeds {'; '.join(stuck)}" if stuck else ""
    yield Finding("mask.other_seed", verdict, len(stuck), 0, "seeds", cause=cause, note=f"{len(pairs)} pairs of seeds")


@check("mask.replayed", lambda context: ["mask.replayed"] if not native(context) and active_sites(context) else [])
def replayed(evidence: Evidence) -> Iterator[Finding]:
    """What the implementation took is the tape's, element for element."""
    wrong, count = [], 0
    for one, result in evidence.main:
        assert one.tape is not None
        for site, key, kind in keys(evidence.context):
            if key not in result.draws:
                wrong.append(f"{key}: drew nothing")
                continue
            draw = result.draws[key]
            count += draw.values.size
            if kind == NORMAL:
                taken, tape = evidence.drawn(one, result)[key], np.asarray(one.tape[key], dtype=np.float64)
                # mean + stddev * z is rounded once in the draw's dtype, relative to the value it makes.
                size = 1.0 + abs(draw.params.get("mean", 0.0)) / (draw.params.get("stddev", 1.0) or 1.0)
                room = 4.0 * float(np.finfo(np.float32).eps if draw.values.dtype.itemsize >= 4 else 2.0**-7) * size
                equal = bool(np.all(np.abs(taken - tape) <= room * np.maximum(1.0, np.abs(tape))))
            else:
                equal = not np.any(np.logical_xor(*compared_steps(evidence.context, site, one.tape[key], draw)))
            if not equal:
                wrong.append(f"{key}: not the tape's values")
    if not count and not wrong:
        wrong.append("nothing was taken from the tape")
    verdict = Verdict.FAIL if wrong else Verdict.PASS
    yield Finding(
        "mask.replayed", verdict, len(wrong), 0, "sites", cause="; ".join(wrong), note=f"{count} values taken"
    )


def compared_steps(context: Context, site: Site, tape: np.ndarray, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """The decisions of a tape and of a draw at the steps that matter to the outputs."""
    kept = decisions(draw, site.rate)
    if last_alone(context, site):
        return on_output(context, tape), on_output(context, kept)
    valid = valid_steps(context, site, draw)
    return np.broadcast_to(tape, kept.shape) & valid, kept & valid


@check("mask.backward", lambda context: ["mask.backward"] if backward_plans(context) else [])
def backward(evidence: Evidence) -> Iterator[Finding]:
    """The backward pass uses the same mask: the input's gradient is zero exactly where an element was dropped."""
    (site,) = active_sites(evidence.context)
    cotangent = evidence.context.arrays()[2]["y"]
    wrong, compared = 0, 0
    for one, result in evidence.main:
        gradient, drawn = result.gradients.get("x"), evidence.drawn(one, result).get(site.at)
        if gradient is None or drawn is None:
            cause = "drew nothing" if drawn is None else "gave no gradient of x: nothing was compared"
            yield Finding("mask.backward", Verdict.FAIL if drawn is None else Verdict.ERROR, cause=cause)
            return
        kept = np.broadcast_to(drawn, gradient.shape)
        told = np.asarray(cotangent, dtype=np.float64) != 0
        told &= np.isfinite(np.asarray(evidence.context.arrays()[0]["x"], dtype=np.float64))
        compared += int(np.count_nonzero(told))
        wrong += int(np.count_nonzero(((np.asarray(gradient, dtype=np.float64) != 0) != kept) & told))
    if not compared:
        yield Finding("mask.backward", Verdict.ERROR, cause="every cotangent is zero: nothing was compared")
        return
    verdict = Verdict.FAIL if wrong else Verdict.PASS
    cause = f"{wrong} of {compared} elements have a gradient that their mask does not allow" if wrong else ""
    yield Finding("mask.backward", verdict, wrong, 0, "elements", cause=cause)


def backward_plans(context: Context) -> bool:
    """Elementwise layers with Bernoulli masks; through a recurrence a gradient says nothing of one mask's zeros."""
    found = active_sites(context)
    return context.variant.gradients and len(found) == 1 and found[0].masks and not context.variant.weights


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Bit for bit the same: a NaN equals the same NaN, and -0.0 is not 0.0."""
    return first.shape == second.shape and first.dtype == second.dtype and first.tobytes() == second.tobytes()
