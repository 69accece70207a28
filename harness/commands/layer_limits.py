"""What an implementation's declarations leave out, in words: for `harness layers` and its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.frameworks.contract.capabilities import DTYPES, EVERY, OWN, SCALES, Capabilities, Shared
from harness.frameworks.contract.options import either, word


def declared(adapter: type[Capabilities], sites: Sequence[str], settings: Sequence[str]) -> dict[str, Any]:
    """What a class declares beside options, sites, noises and settings, as JSON's types.

    sites, settings   those of the layer kind that the class has.
    """
    return {
        "values": {name: list(adapter.values[name]) for name in settings if name in adapter.values},
        "scales": list(adapter.scales),
        "shared": {site: [way.words() for way in ways] for site in sites if (ways := _ways(adapter, site))},
        "dtypes": list(adapter.dtypes),
        "ranks": list(adapter.ranks),
        "versions": list(adapter.versions),
        "rate_one": adapter.rate_one,
        "gradients": adapter.differentiable,
        "replays": adapter.replays,
    }


def limits(found: dict[str, Any]) -> list[str]:
    """The limits of an implementation, as `harness.commands.layers.implementing` describes it; [] for none."""
    said = [f"{name}: {either([word(value) for value in values])}" for name, values in found["values"].items()]
    if found["scales"] != list(SCALES) and found["sites"]:
        said.append(f"scale: {either(found['scales'])}")
    by_way: dict[str, list[str]] = {}
    for site, ways in found["shared"].items():
        by_way.setdefault(either(ways), []).append(site)
    for way, sites in by_way.items():
        whole = "masks" if len(sites) == len(found["sites"]) else ""
        names = dict.fromkeys(site.rpartition("coder.")[2] for site in sites)  # both halves alike
        said.append(f"{whole or ', '.join(names)} shared over {'nothing' if way == OWN.words() else way}")
    if found["dtypes"] != list(DTYPES):
        said.append(f"dtype: {either(found['dtypes'])}")
    if found["ranks"]:
        said.append(f"rank {either([str(rank) for rank in found['ranks']])}")
    said += [f"with {need}" for need in found["versions"]]
    for name, words in (("rate_one", "no rate 1"), ("gradients", "no gradients"), ("replays", "no replay")):
        if not found[name]:
            said.append(words)
    return said


def _ways(adapter: type[Capabilities], site: str) -> tuple[Shared, ...]:
    """The ways in which masks of a listed site are shared; () for any."""
    for name in (site, site.rpartition("coder.")[2], EVERY):
        if name in adapter.shared:
            return adapter.shared[name]
    return ()
