"""Adapter jobs that run in a worker of a named environment, where old frameworks live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from harness.environments import resolve, why_not
from harness.execution.process import Worker
from harness.frameworks.contract.adapter import Result, Unsupported
from harness.records import Arrays
from harness.tape import Draw, TapeMismatch
from tests.frameworks.adapter_jobs import Call

ERRORS = {"unsupported": Unsupported, "mismatch": TapeMismatch, "error": RuntimeError}


class Workers:
    """One worker an environment and backend, started when it is first asked for."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], Worker] = {}

    def of(self, name: str, backend: str = "tensorflow") -> Worker:
        """The worker. Skips the test where its environment is not created."""
        if (name, backend) not in self._workers:
            environment = resolve(name)
            if environment is None:
                pytest.skip(why_not(name))
            self._workers[name, backend] = Worker(environment, backend)
        return self._workers[name, backend]

    def stop(self) -> None:
        """End all that were started."""
        while self._workers:
            self._workers.popitem()[1].stop()


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
            "form": job.form and job.form._asdict(),
            "config": job.config,
            "options": job.options,
            "sites": [site._asdict() for site in job.sites],
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
