"""A case as a stored run holds it: plain values, without its arrays and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.records import BackendRef, Variant
from harness.reporting.rows import to_json


def describe(variant: Variant) -> dict[str, Any]:
    """One case as cases.json holds it, but for its masks; the YAML text stands apart, once for each file."""
    described = {
        "id": variant.id,
        "path": variant.path,
        "about": variant.about,
        "layer": variant.layer,
        "mode": variant.mode,
        "draws": variant.draws,
        "dtype": variant.dtype,
        "seeds": list(variant.seeds),
        "variant": dict(variant.variant),
        "tags": list(variant.tags),
        "place": str(variant.place) if variant.place else "",
        "backends": [[ref.label, ref.backend] for ref in variant.backends],
        "sites": [
            {
                "at": s.at,
                "rate": s.rate,
                "noise": s.noise,
                "shared": list(s.shared),
                "axes": list(s.axes),
                "scale": s.scale,
            }
            for s in variant.sites
        ],
        "expect": [
            {
                "backend": e.backend,
                "check": e.check,
                "reason": e.reason,
                "until": e.until.isoformat() if e.until else "",
                "variant": dict(e.variant),
                "place": str(e.place) if e.place else "",
            }
            for e in variant.expect
        ],
    }
    result = to_json(described)
    assert isinstance(result, dict)
    return result


def position(case: Mapping[str, Any], ref: BackendRef) -> int:
    """Where a case names a backend; an implementation of a whole backend stands where the backend is named."""
    labels = [label for label, _ in case["backends"]]
    if ref.label in labels:
        return labels.index(ref.label)
    backends = [backend for _, backend in case["backends"]]
    return backends.index(ref.backend) if ref.backend in backends else len(backends)


def axes_of(case: Mapping[str, Any], mask: str) -> list[str]:
    """The names of a mask's axes: those of the site that it belongs to, or none."""
    return next((site["axes"] for site in case["sites"] if mask == site["at"] or mask.startswith(f"{site['at']}/")), [])
