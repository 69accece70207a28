"""Adapter jobs that run in a worker of a named environment, where old frameworks live."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from adapter_jobs import Call

from harness.adapters.base import Result, Unsupported
from harness.execution.process import Worker
from harness.records import Arrays
from harness.tape import Draw, TapeMismatch

ERRORS = {"unsupported": Unsupported, "mismatch": TapeMismatch, "error": RuntimeError}


class RemoteCall(Call):
    """A Call whose `run` asks a worker."""

    def __init__(self, worker: Worker, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.worker = worker
        self.implementation = arguments[1]

    def run(self, **changes: Any) -> Result:
        """Run in the worker. Raises Unsupported, TapeMismatch, or RuntimeError with the worker's words."""
        job = self.job._replace(**changes)
        arrays: Arrays = {}
        parts = {"inputs": job.inputs, "weights": job.weights, "cotangents": job.cotangents, "tape/0": job.tape or {}}
        for prefix, named in parts.items():
            arrays.update({f"{prefix}/{name}": np.asarray(array) for name, array in named.items()})
        one = {
            "role": "train",
            "seed": job.seed,
            "mode": job.mode,
            "gradients": bool(job.cotangents),
            "tape": None if job.tape is None else "0",
            "calls": job.calls,
        }
        header = {
            "op": "run",
            "layer": job.layer,
            "implementation": self.implementation,
            "target": "",
            "config": job.config,
            "options": job.options,
            "sites": [dataclasses.asdict(site) for site in self.sites],
            "dtype": job.dtype,
            "passes": [one],
        }
        answer, found = self.worker.ask(header, arrays, 300.0)
        (item,) = answer["passes"]
        if item["verdict"] is not None:
            raise ERRORS[item["verdict"]](item["message"] + "\n" + item.get("traceback", ""))
        found = {name: np.array(array) for name, array in found.items()}
        draws = {
            draw["site"]: Draw(draw["kind"], found[f"0/draws/{index}"], draw["rule"], draw["params"], draw["site"])
            for index, draw in enumerate(item["draws"])
        }
        return Result(_part(found, "0/outputs/"), _part(found, "0/gradients/"), draws)


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
