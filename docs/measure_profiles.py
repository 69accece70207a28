"""Measure the profiles of the shipped recurrent cases and write them as the tables at the end of profile.md.

    python docs/measure_profiles.py            # print the tables
    python docs/measure_profiles.py --write    # put them into profile.md

Environments that a case names and that are not built are left out; the tables say what ran.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from harness.cases import load
from harness.records import Variant
from harness.running import run

DOCUMENT = Path(__file__).with_name("profile.md")
CASES = Path(__file__).parent.parent / "cases"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
#: Layer kinds that are measured.
KINDS = ("lstm", "gru", "simple_rnn", "encoder_decoder", "awd_lstm")
LAYOUT = ("gate order", "kernel", "biases", "forget bias", "state order")
GENERAL = ("draws, in order", "draws in evaluation", "dropout touches")
OF_SITE = ("shared over", "a second call", "survivors times", "keeps where")

Profile = dict[str, str]


def variants() -> list[Variant]:
    """Of each case one variant for each way to share its masks, drawing natively, so that the frameworks' own are seen."""
    found: dict[tuple[object, ...], Variant] = {}
    folders = [CASES / name for name in ("recurrent", "documents", "awd_lstm", "legacy", "jax", "torch")]
    for one in load([folder for folder in folders if folder.is_dir()]):
        if one.layer in KINDS and one.draws == "native" and one.mode == "train":
            found.setdefault((one.path, *((site.at, site.shared) for site in one.sites)), one)
    return list(found.values())


def measured() -> tuple[dict[str, dict[str, Profile]], list[str]]:
    """Profiles by case and label, and the versions that gave them."""
    profiles: dict[str, dict[str, Profile]] = {}
    versions: set[str] = set()
    for event in run(variants(), profile=True):
        if not event.profile:
            continue
        case = Path(event.variant.path).resolve().relative_to(CASES.resolve()).with_suffix("")
        shared = [f"{site.at} shared over {', '.join(site.shared)}" for site in event.variant.sites if site.shared]
        title = str(case) + (f": {'; '.join(shared)}" if shared else "")
        profiles.setdefault(title, {})[event.backend.label] = dict(event.profile)
        at = f" @{event.backend.environment}" if event.backend.environment else ""
        versions |= {f"{name} {number}{at}" for name, number in event.versions.items() if name != "python"}
    return profiles, sorted(versions)


def grouped(rows: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    """Labels with the same cells joined."""
    labels: dict[tuple[str, ...], list[str]] = {}
    for label, cells in rows:
        labels.setdefault(cells, []).append(f"`{label}`")
    return [(", ".join(dict.fromkeys(names)), cells) for cells, names in labels.items()]


def table(columns: Iterable[str], rows: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    """A Markdown table."""
    names = ["implementation", *columns]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return lines + [
        f"| {label} | " + " | ".join(cell.replace("|", "\\|") or "–" for cell in cells) + " |" for label, cells in rows
    ]


def layout(profiles: dict[str, dict[str, Profile]]) -> list[str]:
    """What is an implementation's own, whatever the case: one row for those that are alike."""
    own: dict[str, set[tuple[str, ...]]] = {}
    for of_case in profiles.values():
        for label, found in of_case.items():
            if "gate order" in found:
                own.setdefault(label, set()).add(tuple(found.get(entry, "") for entry in LAYOUT))
    return table(LAYOUT, grouped((label, cells) for label, all_cells in own.items() for cells in sorted(all_cells)))


def masks(of_case: dict[str, Profile]) -> list[str]:
    """What is drawn in one case: one row for implementations that do the same."""
    entries = dict.fromkeys(name for found in of_case.values() for name in found)
    chosen = [name for name in entries if name in GENERAL or name.rpartition(": ")[2] in OF_SITE]
    return table(
        chosen, grouped((label, tuple(found.get(name, "") for name in chosen)) for label, found in of_case.items())
    )


def document() -> str:
    """The tables."""
    profiles, versions = measured()
    lines = [f"Measured with {', '.join(versions)}.", "", "### Their own arrays and states", "", *layout(profiles)]
    for case, of_case in profiles.items():
        lines += ["", f"### {case}", "", *masks(of_case)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the tables, or put them into profile.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    text = document()
    if not write:
        print(text)
        return
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
