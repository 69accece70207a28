"""A job as the worker's `run` request, and the answer as a JobResult."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.execution.plan import AGAIN, CONTINUED, RESET, calls_again
from harness.records import Arrays, BackendRef, Draws, JobResult, Pass, PassResult, Variant, Verdict
from harness.tape import Draw

#: How a pass that gave no result is judged.
VERDICTS = {"unsupported": Verdict.UNSUPPORTED, "mismatch": Verdict.FAIL, "error": Verdict.ERROR}


def plain_config(config: Any) -> dict[str, Any]:
    """A layer kind's settings as plain JSON values."""
    dumped: dict[str, Any] = config.model_dump(mode="json")
    return dumped


def request(
    variant: Variant,
    backend: BackendRef,
    passes: tuple[Pass, ...],
    inputs: Arrays,
    weights: Arrays,
    cotangents: Arrays,
    profile: bool = False,
) -> tuple[dict[str, Any], Arrays]:
    """Build the `run` request. A tape that several passes share is sent once, named by its seed.

    profile   ask also for the framework's own parameters and states, once.
    """
    arrays: Arrays = {f"inputs/{name}": array for name, array in inputs.items()}
    arrays.update({f"weights/{name}": array for name, array in weights.items()})
    arrays.update({f"cotangents/{name}": array for name, array in cotangents.items()})
    items = []
    for one in passes:
        tape = None
        if one.tape is not None:
            tape = str(one.seed)
            arrays.update({f"tape/{tape}/{site}": array for site, array in one.tape.items()})
        items.append(
            {
                "role": one.role,
                "seed": one.seed,
                "mode": one.mode,
                "gradients": one.gradients,
                "tape": tape,
                "calls": 2 if one.role in (AGAIN, CONTINUED, RESET) else 1,
                "reset": one.role == RESET,
            }
        )
    header = {
        "op": "run",
        "layer": variant.layer,
        "implementation": backend.implementation,
        "target": str(Path.cwd() / backend.target) if backend.target else "",
        "config": plain_config(variant.config),
        "options": dict(backend.options),
        "sites": [dataclasses.asdict(site) for site in variant.sites],
        "dtype": variant.dtype,
        "passes": items,
        "native": profile and bool(weights),
    }
    return header, arrays


def result(
    variant: Variant,
    backend: BackendRef,
    passes: tuple[Pass, ...],
    header: Mapping[str, Any],
    arrays: Arrays,
    recipe: bool,
) -> JobResult:
    """Read an answer. The first pass that gave no result decides for the job: its verdict and words stand for all."""
    done: list[tuple[Pass, PassResult]] = []
    common: dict[str, Any] = {"versions": header.get("versions", {}), "device": header.get("device", "")}
    if "passes" not in header:
        return JobResult(variant, backend, verdict=Verdict.ERROR, message=str(header.get("message", "no answer")))
    seconds = sum(float(item["seconds"]) for item in header["passes"])
    asked = calls_again(variant, backend)
    for index, (one, item) in enumerate(zip(passes, header["passes"], strict=True)):
        if one.role == AGAIN and (item["verdict"] == "unsupported" or (item["verdict"] and not asked)):
            # The check says that it was refused; of what is there for the profile alone, that then says nothing of calls.
            continue
        if item["verdict"] is not None:
            return JobResult(
                variant,
                backend,
                verdict=VERDICTS[item["verdict"]],
                message=item["message"],
                detail=item.get("traceback", ""),
                failed=one,
                recipe=recipe,
                seconds=seconds,
                **common,
            )
        prefix = f"{index}/"
        own = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        done.append((one, _pass_result(item, own)))
    native = {name[len("native/") :]: array for name, array in arrays.items() if name.startswith("native/")}
    if "native" in header:
        common["native_failure"] = str(header["native"])
    return JobResult(variant, backend, passes=tuple(done), recipe=recipe, seconds=seconds, native=native, **common)


def _pass_result(item: Mapping[str, Any], arrays: Arrays) -> PassResult:
    draws: Draws = {}
    for position, draw in enumerate(item["draws"]):
        values = arrays[f"draws/{position}"]
        draws[draw["site"]] = Draw(draw["kind"], values, draw["rule"], draw["params"], draw["site"])

    def part(prefix: str) -> Arrays:
        return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}

    order = tuple((str(site), tuple(shape)) for site, shape in item.get("order", ()))
    return PassResult(part("outputs/"), part("gradients/"), draws, seconds=float(item["seconds"]), order=order)
