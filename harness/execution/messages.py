"""A job as the worker's `run` request, and the answer as a JobResult."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.execution.plan import asks_again
from harness.layers.base import kinds
from harness.records import RAN, SHAPE, Arrays, BackendRef, Draws, JobResult, Pass, PassResult, Role, Variant, Verdict
from harness.tape import Draw

#: Further calls after one seeding, which an implementation may refuse.
LATER = (Role.AGAIN, Role.THIRD, Role.EVAL_AGAIN)
#: How a pass that gave no result is judged.
VERDICTS = {
    "unsupported": Verdict.UNSUPPORTED,
    "mismatch": Verdict.FAIL,
    "shape": Verdict.FAIL,
    "error": Verdict.ERROR,
}
#: The check whose row says so.
CHECKS = {"mismatch": "mask.sites", "shape": SHAPE}


def output_shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    """The canonical shapes of the outputs that are compared, by name."""
    return kinds()[variant.layer].output_shapes(variant.config, variant.input_shapes())


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
                "calls": one.role.calls,
                "reset": one.role.resets,
            }
        )
    form = kinds()[variant.layer].form
    header = {
        "op": "run",
        "layer": variant.layer,
        "implementation": backend.implementation,
        "target": str(Path.cwd() / backend.target) if backend.target else "",
        "form": form and form._asdict(),
        "config": plain_config(variant.config),
        "options": dict(backend.options),
        "outputs": {name: list(shape) for name, shape in output_shapes(variant).items()},
        "sites": [site._asdict() for site in variant.sites],
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
    asked = asks_again(variant, backend)
    for index, (one, item) in enumerate(zip(passes, header["passes"], strict=True)):
        if one.role in LATER and item["verdict"] == "unsupported":
            # The checks of further calls say that they were refused; the first call is judged all the same.
            continue
        if one.role is Role.AGAIN and item["verdict"] and not asked:
            # It is there for the profile alone, which then says nothing of calls.
            continue
        if item["verdict"] is not None:
            return JobResult(
                variant,
                backend,
                verdict=_verdict(backend, item["verdict"]),
                message=item["message"],
                check=_check(backend, item["verdict"]),
                detail=item.get("traceback", ""),
                failed=one,
                recipe=recipe,
                seconds=seconds,
                **common,
            )
        prefix = f"{index}/"
        own = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        done.append((one, _pass_result(variant, item, own)))
    native = {name[len("native/") :]: array for name, array in arrays.items() if name.startswith("native/")}
    if "native" in header:
        common["native_failure"] = str(header["native"])
    return JobResult(variant, backend, passes=tuple(done), recipe=recipe, seconds=seconds, native=native, **common)


def _verdict(backend: BackendRef, word: str) -> Verdict:
    """The verdict of a job that gave no result.

    A framework's layer may be unable to express a case. Code under test is what the case asks about: where it cannot be compared,
    nothing has shown that it is right, and that is a failure.
    """
    return Verdict.FAIL if backend.target and word == "unsupported" else VERDICTS[word]


def _check(backend: BackendRef, word: str) -> str:
    """The check whose row says so: of code under test that cannot be compared, how its draws belong to the case's sites."""
    return CHECKS["mismatch"] if backend.target and word == "unsupported" else CHECKS.get(word, RAN)


def _pass_result(variant: Variant, item: Mapping[str, Any], arrays: Arrays) -> PassResult:
    draws: Draws = {}
    for position, draw in enumerate(item["draws"]):
        values = arrays[f"draws/{position}"]
        draws[draw["site"]] = Draw(draw["kind"], values, draw["rule"], draw["params"], draw["site"])

    def part(prefix: str) -> Arrays:
        return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}

    outputs = part("outputs/")
    gradients = {name: array for name, array in part("gradients/").items() if variant.compares(name)}
    others = []
    for number, said in enumerate(item.get("others", ())):
        other = _pass_result(variant, {"seconds": item["seconds"], **said}, part(f"others/{number}/"))
        others.append(other if other.outputs else replace(other, outputs=outputs, gradients=gradients))

    order = tuple((str(site), tuple(shape)) for site, shape in item.get("order", ()))
    return PassResult(
        outputs,
        gradients,
        draws,
        seconds=float(item["seconds"]),
        order=order,
        anew=bool(item.get("anew")),
        others=tuple(others),
    )
