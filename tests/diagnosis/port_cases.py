"""The cases that the ports of tests/diagnosis/ports are run on, by the name that a port's docstring gives."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from harness.records import ArraySpec, Variant

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "comparison"))

from simulated import variant

BOTH = {"return_sequences": True, "return_state": True}
LOCKED = {"rate": 0.4, "shared": ["time", "gates"]}
STATES = {"x": (4, 7, 3), "h0": (4, 6), "c0": (4, 6)}

CASES: dict[str, Variant] = {
    "plain": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 3)}),
    "square": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 6)}),
    "same": variant("lstm", {"units": 6, **BOTH}, {"x": (5, 5, 3)}),
    "states": variant("lstm", {"units": 6, **BOTH}, STATES),
    "last": variant("lstm", {"units": 6}, {"x": (4, 7, 3)}),
    "forget": variant("lstm", {"units": 6, "forget_bias": 1.0, **BOTH}, {"x": (4, 7, 3)}),
    "hard": variant("lstm", {"units": 6, "recurrent_activation": "hard_sigmoid_keras2", **BOTH}, {"x": (4, 7, 3)}),
    "double": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 3)}, dtype="float64"),
    "bidirectional": variant("lstm", {"units": 6, "bidirectional": True, "return_sequences": True}, {"x": (4, 7, 3)}),
    "stack": variant(
        "lstm", {"units": 6, "layers": 2, **BOTH}, {"x": (4, 7, 3)}, [{"at": "between_layers", "rate": 0.4}]
    ),
    "output": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 3)}, [{"at": "output", "rate": 0.3}]),
    "input": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 6)}, [{"at": "input", **LOCKED}]),
    "state": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 3)}, [{"at": "state.h", **LOCKED}]),
    "variational": variant(
        "lstm", {"units": 12, **BOTH}, {"x": (8, 7, 10)}, [{"at": "input", **LOCKED}, {"at": "state.h", **LOCKED}]
    ),
    "gated": variant(
        "lstm", {"units": 8, **BOTH}, {"x": (4, 7, 8)}, [{"at": "input", "rate": 0.4, "shared": ["time"]}]
    ),
    "weight": variant("lstm", {"units": 6, **BOTH}, {"x": (4, 7, 6)}, [{"at": "weight.recurrent", "rate": 0.4}]),
    "gru": variant("gru", {"units": 5, **BOTH}, {"x": (4, 6, 3)}),
    "gru state": variant(
        "gru", {"units": 5, **BOTH}, {"x": (4, 6, 3)}, [{"at": "state.h", "rate": 0.4, "shared": ["gates", "time"]}]
    ),
    "rnn": variant("simple_rnn", {"units": 5, **BOTH}, {"x": (4, 6, 3)}),
    "rnn output": variant("simple_rnn", {"units": 5, **BOTH}, {"x": (4, 6, 3)}, [{"at": "output", "rate": 0.3}]),
    "dropout": variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)}),
    "spatial": variant("dropout", {"rate": 0.3, "shared": ["time"]}, {"x": (12, 4, 16)}),
    "gaussian": variant("gaussian_dropout", {"rate": 0.3}, {"x": (20, 8, 10)}),
    "noise": variant("gaussian_noise", {"stddev": 0.5}, {"x": (20, 8, 10)}),
    "masked": variant("masked_gaussian_noise", {"rate": 0.3, "stddev": 0.5}, {"x": (20, 8, 10)}),
    "alpha": variant("alpha_dropout", {"rate": 0.3}, {"x": (6, 8, 10)}),
    "handover": variant("encoder_decoder", {"units": 6, **BOTH}, {"x": (4, 7, 3), "z": (4, 5, 2)}),
}
# h0 and c0 of their own: with the same numbers no case tells them apart.
_STATES = CASES["states"].inputs
CASES["states"] = dataclasses.replace(
    CASES["states"], inputs={**_STATES, "c0": dataclasses.replace(_STATES["c0"], seed=5)}
)
#: Sequences of several lengths, whose lengths no fill makes.
_LENGTHS = {"x": (3, 6, 3), "lengths": (3,)}
CASES["lengths"] = variant("lstm", {"units": 6, "padding": "zeros", **BOTH}, _LENGTHS)
CASES["lengths"] = dataclasses.replace(
    CASES["lengths"], inputs={**CASES["lengths"].inputs, "lengths": ArraySpec((3,), values=[6, 2, 4])}
)


def case(name: str, framework: str, target: str) -> Variant:
    """A case with one port as its backend; a port in NumPy has no gradients."""
    from harness.records import BackendRef

    backend = BackendRef(framework, name=target.rpartition(":")[2], target=target)
    found = CASES[name]
    return dataclasses.replace(
        found, id=f"{name}/{backend.name}", backends=(backend,), gradients=framework != "numpy", timeout=300.0
    )
