"""ONNX graphs as sessions of ONNX Runtime on the CPU, and what all of its implementations share.

ONNX Runtime draws inside its kernels, so there is no border at which draws could be recorded or replayed, and its inference
sessions differentiate nothing. Both are refused with that reason. What an operator itself returns as an output, such as
Dropout's mask, is recorded from there.

Operators: https://onnx.ai/onnx/operators/ , in the operator set OPSET.
"""

import warnings
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome, Tap, Unsupported
from harness.tape import Draw

Arrays = Dict[str, np.ndarray]

#: The operator set whose LSTM, GRU, RNN and Dropout are used, and the file format that goes with it.
OPSET, IR = 17, 8


#: What it says of a dtype that an operator has not.
NO_KERNEL = ("does not support", "Type Error: Type 'tensor(")


class Node(NamedTuple):
    """One operator: names of what it reads ("" for an input left out) and of what it gives, and its attributes."""

    op: str
    reads: Sequence[str]
    gives: Sequence[str]
    attributes: Dict[str, Any]


class Recorder(Tap):
    """Takes the draws that an operator shows as an output; nothing can be given to a kernel."""


class OrtAdapter(Adapter):
    """One operator, or a chain of it. Subclasses write `slots` and `outputs`."""

    differentiable = False
    replays = False
    because = {"replays": "ONNX Runtime draws inside its kernels"}

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        return Recorder(replay)

    def call(self, job: Job, tap: Tap) -> Outcome:
        return Outcome(self.outputs(job, tap), {})

    def outputs(self, job: Job, tap: Tap) -> Arrays:
        """The canonical outputs of a job; draws that they show are put on the tap."""
        raise NotImplementedError


def run(nodes: Sequence[Node], weights: Arrays, inputs: Arrays, outputs: Sequence[str]) -> List[np.ndarray]:
    """What a graph of these nodes gives for the named outputs. `weights` are constants of the graph.

    Raises Unsupported with ONNX Runtime's own words where it has no kernel for the arrays' dtype.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Errors are raised; nothing is to be printed as well. One thread: sums have one order.
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            _model(nodes, weights, inputs, outputs), options, ["CPUExecutionProvider"]
        )
        return list(session.run(list(outputs), inputs))
    except Exception as error:
        if type(error).__name__ == "NotImplemented" or any(words in str(error) for words in NO_KERNEL):
            dtype = next(array.dtype.name for array in inputs.values() if array.dtype.kind != "i")
            raise Unsupported("ONNX Runtime's CPU kernels have no %s of %s" % (nodes[0].op, dtype)) from error
        raise


def _model(nodes: Sequence[Node], weights: Arrays, inputs: Arrays, outputs: Sequence[str]) -> bytes:
    """The serialised model. The type of an output is left for ONNX to infer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx
        from onnx import helper, numpy_helper

    def declared(name: str, array: np.ndarray) -> Any:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)

    graph = helper.make_graph(
        [helper.make_node(node.op, list(node.reads), list(node.gives), **node.attributes) for node in nodes],
        "case",
        [declared(name, array) for name, array in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array, order="C"), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return bytes(model.SerializeToString())
