"""The page of a history: each figure over the runs, as an SVG and as a table. One file that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from harness.history import Figure
from harness.reporting.model import visible
from harness.reporting.verdicts import DIFFERENCES, SIGNS, severity, words

#: Series on a page; those that say most come first, and the page says how many are left out.
MOST = 400
#: The picture, in CSS pixels.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 168, 44, 8, 20, 24
#: Between the lowest power of ten and the line of zero, which has no place on a logarithmic scale.
ZERO = 18


@dataclass(frozen=True)
class Drawn:
    """One series as the template takes it; all positions are in the picture's pixels."""

    figures: Sequence[Figure]
    points: list[tuple[float, float, str, str]]
    path: str
    limit: str
    ticks: list[tuple[float, str]]
    changes: list[tuple[float, str]]
    sentence: str

    @property
    def first(self) -> Figure:
        """The oldest, for what all have in common."""
        return self.figures[0]

    @property
    def last(self) -> Figure:
        """The newest."""
        return self.figures[-1]


def page(series: Iterable[Sequence[Figure]]) -> str:
    """The page as text. Series whose verdict changed come first, then those whose figure moved most."""
    import jinja2
    import markupsafe

    found = sorted(series, key=_telling)
    days = sorted({f.started[:10] for one in found for f in one})
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    environment.globals.update(sign=sign, number=number, visible=visible)
    own = resources.files("harness.reporting")
    style = "".join(own.joinpath("static", name).read_text(encoding="utf-8") for name in ("colours.css", "history.css"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = own.joinpath("templates", "history.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        shown=[draw(one) for one in found[:MOST]],
        total=len(found),
        days=days,
        runs=len({f.run for one in found for f in one}),
        differing=sum(one[-1].verdict in DIFFERENCES for one in found),
        changed=sum(len({f.verdict for f in one}) > 1 for one in found),
        digest=f"sha256-{digest}",
        style=markupsafe.Markup(style),
        width=WIDTH,
        height=HEIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        left=LEFT,
        right=WIDTH - RIGHT,
    )


def draw(figures: Sequence[Figure]) -> Drawn:
    """The positions of one series."""
    seen = [value for f in figures for value in (f.measured, f.limit) if _positive(value)]
    low = math.floor(math.log10(min(seen))) if seen else -1  # type: ignore[type-var, arg-type]
    high = max(math.ceil(math.log10(max(seen))), low + 1) if seen else 0  # type: ignore[type-var, arg-type]
    step = (WIDTH - LEFT - RIGHT - 20) / max(1, len(figures) - 1)

    def across(index: int) -> float:
        return round(LEFT + 10 + index * step, 1)

    def at(power: float) -> float:
        return round(TOP + (high - power) / (high - low) * (HEIGHT - BOTTOM - ZERO - TOP), 1)

    def down(value: float | None) -> float:
        """Zero, and what is no figure, lie on the bottom line; infinity and NaN on the top one."""
        if value is None or value <= 0:
            return HEIGHT - BOTTOM
        return at(math.log10(value) if math.isfinite(value) else high)

    points = [
        (
            across(i),
            down(f.measured),
            "bad" if f.verdict in DIFFERENCES else "good",
            f"{f.started} {f.version}: {sign(f)}",
        )
        for i, f in enumerate(figures)
    ]
    changes = [
        (across(i), f.version)
        for i, f in enumerate(figures)
        if i == 0 or f.version != figures[i - 1].version  # the first run's version starts the row
    ]
    last = figures[-1]
    return Drawn(
        figures,
        points,
        " ".join(f"{x},{y}" for (x, y, *_), f in zip(points, figures, strict=True) if f.measured is not None),
        " ".join(f"{across(i)},{down(f.limit)}" for i, f in enumerate(figures) if _positive(f.limit)),
        [*((at(power), f"1e{power}") for power in _powers(low, high) if seen), (down(0.0), "0")],
        changes,
        f"{last.implementation}, {last.check} over {len(figures)} runs: now {sign(last)}, {number(last.measured) or 'no figure'}",
    )


def _powers(low: int, high: int) -> list[int]:
    """At most four powers of ten from the highest down to the lowest."""
    return [*range(high, low, -max(1, -(-(high - low) // 3))), low]


def sign(figure: Figure) -> str:
    """`✓ pass`."""
    return next(f"{SIGNS[v]} {words(v)}" for v in SIGNS if v == figure.verdict)


def number(value: float | None) -> str:
    """A figure in four digits; nothing where there is none."""
    return "" if value is None else f"{value:.4g}"


def _positive(value: float | None) -> bool:
    return value is not None and 0 < value < math.inf


def _telling(figures: Sequence[Figure]) -> tuple[int, int, float, str, str, str]:
    logs = [math.log10(f.measured) for f in figures if f.measured is not None and _positive(f.measured)]
    moved = max(logs) - min(logs) if logs else 0.0
    first = figures[0]
    changes = sum(a.verdict != b.verdict for a, b in itertools.pairwise(figures))
    return -changes, severity(figures[-1].verdict), -moved, first.case, first.implementation, first.check
