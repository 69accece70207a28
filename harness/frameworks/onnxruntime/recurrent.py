"""ONNX' recurrent operators: LSTM, GRU and RNN, a stack being a chain of them.

https://onnx.ai/onnx/operators/onnx__LSTM.html , onnx__GRU.html , onnx__RNN.html : arrays are time-major, weights one row a gate
with a first axis for the directions, W (N, GH, D), R (N, GH, H), B (N, 2GH) = [Wb, Rb], peepholes P (N, 3H) in the order
i, o, f. Gates lie in the order i, o, f, c (canonical: i, f, g, o) and z, r, h (the canonical one). They have no dropout.
"""

from typing import Any, Dict, List, Tuple

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, Tap, implementation
from harness.frameworks.contract.geometry import Geometry, outputs_of
from harness.frameworks.onnxruntime.graph import Arrays, Node, OrtAdapter, run
from harness.tape import Slot


class Recurrent(OrtAdapter):
    """What the three operators share; subclasses say their names and gates."""

    op = ""
    #: Places of the operator's gates in the canonical order.
    order: Tuple[int, ...] = (0,)

    def slots(self, job: Job) -> List[Slot]:
        return []

    def outputs(self, job: Job, tap: Tap) -> Arrays:
        (stack,) = job.stacks
        weights = self.weights(job, stack)
        inputs = {"x0": np.ascontiguousarray(job.inputs["x"].transpose(1, 0, 2))}
        lengths = ""
        if "lengths" in job.inputs:
            lengths = "lengths"
            inputs[lengths] = job.inputs["lengths"].astype(np.int32)
        nodes: List[Node] = []
        for layer in range(stack.layers):
            start = [self._start(job, stack, state, layer, inputs) for state in stack.states]
            reads = [f"x{layer}", *(f"{name}{layer}" for name in "WRB"), lengths, *start]
            if f"P{layer}" in weights:
                reads.append(f"P{layer}")
            gives = [f"s{layer}", *(f"{state}{layer}" for state in stack.states)]
            nodes.append(Node(self.op, reads, gives, self.attributes(job)))
            # (T, N, B, H) to (T, B, N H): both directions' outputs side by side.
            nodes.append(Node("Transpose", [f"s{layer}"], [f"t{layer}"], {"perm": [0, 2, 1, 3]}))
            nodes.append(Node("Reshape", [f"t{layer}", "flat"], [f"x{layer + 1}"], {}))
        weights["flat"] = np.asarray([0, 0, -1], dtype=np.int64)
        wanted = [f"{state}{layer}" for state in stack.states for layer in range(stack.layers)]
        y, *last = run(nodes, weights, inputs, [f"x{stack.layers}", *wanted])
        states = np.stack(last).reshape((-1, *stack.state_shape("h")))
        # ONNX leaves every output at its position; the canonical y of a sequence read from its end is in the order of reading.
        y = y.transpose(1, 0, 2)[:, :: -1 if stack.backwards else 1]
        return outputs_of([stack], job.config, y, [list(states)], lambda parts: np.concatenate(parts, axis=-1))

    def _start(self, job: Job, stack: Geometry, state: str, layer: int, inputs: Arrays) -> str:
        """The name of a layer's initial state (N, B, H) among the inputs; "" where it is zero."""
        given = job.inputs.get(state + "0")
        if given is None:
            return ""
        name = f"{state}_start{layer}"
        inputs[name] = np.ascontiguousarray(given.reshape(stack.grid(state))[layer])
        return name

    def attributes(self, job: Job) -> Dict[str, Any]:
        """The operator's attributes."""
        (stack,) = job.stacks
        way = "reverse" if stack.backwards else "forward"
        return {"hidden_size": stack.units, "direction": "bidirectional" if stack.directions == 2 else way}

    def weights(self, job: Job, stack: Geometry) -> Arrays:
        """The operator's weights by name, numbered by layer."""
        found: Arrays = {}
        for layer in range(stack.layers):
            sides = [self.packed(job, prefix) for prefix in stack.prefixes(layer)]
            found.update((f"{name}{layer}", np.stack([side[name] for side in sides])) for name in sides[0])
        return found

    def packed(self, job: Job, prefix: str) -> Arrays:
        """W, R and B of one layer and direction."""
        given = job.weights
        bias = given[prefix + "bias"]
        second = given.get(prefix + "recurrent_bias")
        return {
            "W": self.rows(given[prefix + "kernel"]),
            "R": self.rows(given[prefix + "recurrent_kernel"]),
            "B": np.concatenate([self.rows(bias), np.zeros_like(bias) if second is None else self.rows(second)]),
        }

    def rows(self, array: np.ndarray) -> np.ndarray:
        """Gate blocks along the last axis in the operator's order; a kernel as (GH, D)."""
        blocks = np.split(array, len(self.order), axis=-1)
        return np.concatenate([blocks[index].T for index in self.order])

    def native(self, job: Job) -> Arrays:
        (stack,) = job.stacks
        found = self.weights(job, stack)
        stated = self.outputs(job._replace(config=dict(job.config, return_state=True), cotangents={}), self.tap(None))
        found.update((f"state{index}", stated[state]) for index, state in enumerate(stack.states))
        return found


@implementation("onnxruntime.LSTM", ["onnxruntime"], "lstm", needs=["onnxruntime", "onnx"])
class LSTM(Recurrent):
    """Peepholes, both directions, lengths; ONNX' `clip` is not a clipped c, and it has no projection."""

    op = "LSTM"
    order = (0, 3, 1, 2)
    settings = (*PLAIN_SETTINGS, "forget_bias", "peepholes", "bidirectional", "go_backwards", "padding")

    values = {"padding": ("zeros",)}
    because = {**Recurrent.because, "padding": "ONNX' LSTM pads with zeros"}

    def packed(self, job: Job, prefix: str) -> Arrays:
        found = super().packed(job, prefix)
        units = job.config["units"]
        # The forget gate's second bias holds what is added at run time; gates are i, o, f, c.
        found["B"][6 * units : 7 * units] += found["B"].dtype.type(job.config.get("forget_bias", 0.0))
        if job.config.get("peepholes"):
            found["P"] = np.concatenate([job.weights[f"{prefix}peephole_{gate}"] for gate in "iof"])
        return found


@implementation("onnxruntime.GRU", ["onnxruntime"], "gru", needs=["onnxruntime", "onnx"])
class GRU(Recurrent):
    """Both places of the reset gate, by `linear_before_reset`."""

    op = "GRU"
    order = (0, 1, 2)
    settings = (*PLAIN_SETTINGS, "reset_after")

    def attributes(self, job: Job) -> Dict[str, Any]:
        return dict(super().attributes(job), linear_before_reset=int(bool(job.config.get("reset_after"))))


@implementation("onnxruntime.RNN", ["onnxruntime"], "simple_rnn", needs=["onnxruntime", "onnx"])
class RNN(Recurrent):
    """Elman's layer with tanh."""

    op = "RNN"
