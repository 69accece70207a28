"""What ONNX Runtime's operators are asked: their recurrent ones have no dropout, and no draw can be replayed."""

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import case, full

BACKENDS = ("onnxruntime",)
DTYPES = ("float32",)


def lacks(operator: str) -> dict[str, str]:
    """The precisions that an operator has no kernel for."""
    return {name: f"no {operator} of {name}" for name in ("float64", "bfloat16")}


CASES = {
    ("dropout", "onnxruntime.Dropout"): {
        # The ratio of float64 arrays is a float32 number.
        "plain": case(rate=0.3, differs={"float64": "times its bound", "bfloat16": "no Dropout of bfloat16"}),
        "a shared mask": case(rate=0.3, shared=["time"], refused="decides for every element"),
        "rate 1": case(rate=1.0, refused=r"\[0, 1\)"),
    },
    ("lstm", "onnxruntime.LSTM"): {
        "layer": full(differs=lacks("LSTM")),
        "stack": full(layers=3, states=True),
        "both ways": full(layers=2, bidirectional=True),
        "last step, both ways": full(bidirectional=True, return_sequences=False),
        "backwards": full(go_backwards=True),
        "peepholes": full(peepholes=True, forget_bias=1.0),
        "lengths": full(padding="zeros"),
        "last of lengths": full(padding="zeros", return_sequences=False),
        "dropout": full(at("output"), refused="no dropout at 'output'"),
        "a projection": full(projection=2, refused="no setting projection"),
        "y repeated after its end": full(padding="repeat", refused="pads with zeros"),
    },
    ("gru", "onnxruntime.GRU"): {
        "layer": full(states=True, differs=lacks("GRU")),
        "reset before": full(reset_after=False),
    },
    ("simple_rnn", "onnxruntime.RNN"): {"layer": full(states=True, differs=lacks("RNN"))},
}
