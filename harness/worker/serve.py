"""A worker's loop: connect to the host, answer one message after another until told to stop or until the host has gone.

Requests (`op`):  `run` (one implementation, several passes), `program` (a user's program under observation), `describe` (what is
installed), `ping`, `exit`.
A failing pass is an answer, not a failure of the worker: `verdict` is `unsupported`, `mismatch`, `shape` or `error`.
"""

import importlib.util
import os
import platform
import sys
import time
import traceback
from multiprocessing.connection import Client
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract import programs
from harness.frameworks.contract.adapter import Adapter, Implementation, Job, Result, Unsupported, implementations
from harness.frameworks.contract.framework import owner, packages
from harness.frameworks.contract.geometry import Form
from harness.frameworks.contract.own_files import TargetError
from harness.frameworks.contract.shapes import WrongShape, asked_of
from harness.frameworks.contract.target import target_adapter
from harness.noises import Site
from harness.tape import TapeMismatch
from harness.traces import placeless
from harness.worker import orphan
from harness.worker.protocol import VERSION, Arena, Arrays, receive, send


class Server:
    """Answers requests for one backend; adapters are kept, so that what they compiled is kept."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._adapters: Dict[Tuple[str, str], Adapter] = {}

    def adapter(self, layer: str, name: str, target: str = "") -> Adapter:
        """The one adapter of an implementation, or of a user's own code. Raises Unsupported where there is none."""
        key = (layer, target or name)
        if key not in self._adapters and target:
            self._adapters[key] = target_adapter(self.backend, target)
        if key not in self._adapters:
            found: Optional[Implementation] = implementations().get((self.backend, layer, name))
            if found is None:
                raise Unsupported("%s has no implementation %r of %s" % (self.backend, name, layer))
            self._adapters[key] = found.adapter()
        return self._adapters[key]

    def answer(self, header: Dict[str, Any], arrays: Arrays) -> Tuple[Dict[str, Any], Arrays]:
        """Answer one request."""
        op = header.get("op")
        if op == "run":
            return self.run(header, arrays)
        if op == "program":
            answer, found = programs.answer(self.backend, header, arrays)
            return dict(answer, versions=versions(), device=device(self.backend)), found
        if op == "describe":
            there = {name: importlib.util.find_spec(name) is not None for name in header.get("packages", ())}
            return {"python": platform.python_version(), "found": there, "versions": versions()}, {}
        if op == "ping":
            return {"pong": True}, {}
        return {"verdict": "error", "message": "unknown request %r" % (op,)}, {}

    def run(self, header: Dict[str, Any], arrays: Arrays) -> Tuple[Dict[str, Any], Arrays]:
        """Run every pass of a job; see harness.execution.messages for the host's side."""
        results: List[Dict[str, Any]] = []
        out: Arrays = {}
        for index, item in enumerate(header["passes"]):
            start = time.perf_counter()
            try:
                answer, found = self._pass(header, item, arrays)
            except Unsupported as error:
                answer, found = {"verdict": "unsupported", "message": str(error)}, {}
            except TapeMismatch as error:
                answer, found = {"verdict": "mismatch", "message": str(error)}, {}
            except WrongShape as error:
                answer, found = {"verdict": "shape", "message": str(error)}, {}
            except Exception as error:
                # Anything a framework raises is this job's result; the worker goes on.
                message = "%s: %s" % (type(error).__name__, str(error).strip() or "no message")
                answer = {"verdict": "error", "message": message, "traceback": placeless(traceback.format_exc())}
                if isinstance(error, TargetError):
                    # The user's own lines, not ours.
                    answer = {"verdict": "error", "message": str(error), "traceback": error.detail}
                found = {}
            answer["seconds"] = time.perf_counter() - start
            results.append(answer)
            for name, array in found.items():
                out["%d/%s" % (index, name)] = array
        answer = {"passes": results, "versions": versions(), "device": device(self.backend)}
        if header.get("native"):
            try:
                job = self._job(
                    header,
                    dict(header["passes"][0], mode="eval", gradients=False, tape=None, calls=1, reset=False),
                    arrays,
                )
                adapter = self.adapter(header["layer"], header["implementation"], header.get("target", ""))
                out.update(("native/" + name, np.asarray(array)) for name, array in adapter.native(job).items())
            except Exception as error:
                # The passes' results stand; the profile says why this part of it is missing.
                answer["native"] = "%s: %s" % (type(error).__name__, str(error).strip() or "no message")
        return answer, out

    def _pass(self, header: Dict[str, Any], item: Dict[str, Any], arrays: Arrays) -> Tuple[Dict[str, Any], Arrays]:
        adapter = self.adapter(header["layer"], header["implementation"], header.get("target", ""))
        return packed(adapter.run(self._job(header, item, arrays)))

    def _job(self, header: Dict[str, Any], item: Dict[str, Any], arrays: Arrays) -> Job:
        """The job of one pass."""
        tape = None
        if item["tape"] is not None:
            tape = named(arrays, "tape/%s/" % item["tape"])
        return Job(
            layer=header["layer"],
            backend=self.backend,
            config=header["config"],
            options=header["options"],
            sites=tuple(Site.of(site) for site in header["sites"]),
            mode=item["mode"],
            seed=item["seed"],
            dtype=header["dtype"],
            inputs=named(arrays, "inputs/"),
            weights=named(arrays, "weights/"),
            cotangents=named(arrays, "cotangents/") if item["gradients"] else {},
            tape=tape,
            calls=item.get("calls", 1),
            reset=item.get("reset", False),
            form=Form.of(header["form"]) if header.get("form") else None,
            outputs=asked_of(header),
        )


def packed(result: Result) -> Tuple[Dict[str, Any], Arrays]:
    """A pass's result as an answer and its arrays; those of its other readings lie under `others/`."""
    found: Arrays = {}
    for name, array in result.outputs.items():
        found["outputs/" + name] = np.asarray(array)
    for name, array in result.gradients.items():
        found["gradients/" + name] = np.asarray(array)
    draws = []
    for position, (site, draw) in enumerate(result.draws.items()):
        found["draws/%d" % position] = np.asarray(draw.values)
        params = {name: float(value) for name, value in draw.params.items()}
        draws.append({"site": site, "kind": draw.kind, "rule": draw.rule, "params": params})
    order = [[site, list(shape)] for site, shape in result.order]
    answer: Dict[str, Any] = {"verdict": None, "draws": draws, "order": order, "anew": result.anew}
    answer["others"] = []
    for number, other in enumerate(result.others):
        said, own = packed(other)
        answer["others"].append(said)
        found.update(("others/%d/%s" % (number, name), array) for name, array in own.items())
    return answer, found


def named(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with a prefix, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def versions() -> Dict[str, str]:
    """The versions of the frameworks imported so far, and Python's."""
    found = {"python": platform.python_version()}
    for name in packages():
        module = sys.modules.get(name)
        version = getattr(module, "__version__", None)
        if isinstance(version, str):
            found[name] = version
    return found


def device(backend: str) -> str:
    """Where this worker computes: `cpu`, or the accelerator's kind as the framework names it."""
    record = owner(backend)
    return "cpu" if record is None or record.device is None else record.device()


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop. Returns the exit status."""
    address, backend = arguments[0], arguments[1]
    orphan.watch(address)
    try:
        connection = Client(address, authkey=bytes.fromhex(os.environ.pop("HARNESS_AUTHKEY")))
    except (OSError, EOFError):
        orphan.leave(address)
        raise
    inbound = Arena(address + ".in")
    # An answer may still be read while the next one is written: the request names the mapping of its answer.
    outbound = (Arena(address + ".out0"), Arena(address + ".out1"))
    hello = {"protocol": VERSION, "pid": os.getpid(), "python": platform.python_version(), "numpy": np.__version__}
    send(connection, hello, {})
    server = Server(backend)
    while True:
        try:
            header, arrays = receive(connection, inbound)
        except (EOFError, OSError):
            orphan.leave(address)
            return 0
        if header.get("op") == "exit":
            return 0
        answer, out = server.answer(header, arrays)
        try:
            send(connection, answer, out, outbound[header.get("arena", 0)])
        except (BrokenPipeError, ConnectionResetError):
            orphan.leave(address)
            return 0
