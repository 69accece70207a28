"""torch.compile beside eager calls: the same masks from the tape, and what a compiled nn.LSTM loses."""

import numpy as np
import pytest

pytest.importorskip("torch")

from adapter_jobs import FULL, Call, at
from torch_cases import CASES, STACKED, X, call

from harness.adapters.base import Unsupported
from harness.tape import TapeMismatch

COMPILED = pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])


@COMPILED
@pytest.mark.parametrize("name", ["torch.nn.Dropout", "torch.nn.AlphaDropout"])
def test_compiled_layers(name: str, backend: str) -> None:
    """The compiled graph takes its masks from the tape; with the seed of eager torch it draws what eager torch draws."""
    case = next(case for case in CASES if case[1] == name)
    job = call(case, options={"compile": backend})
    eager = call(case).run()
    result = job.run()
    np.testing.assert_array_equal(result.draws["input"].values, eager.draws["input"].values)
    assert job.worst(result) <= 1.0
    replayed = job.run(tape=job.tape())
    np.testing.assert_array_equal(replayed.draws["input"].values, job.tape()["input"])
    assert job.worst(replayed) <= 1.0


@pytest.mark.slow
def test_a_compiled_loop() -> None:
    inputs = {"x": X[:, :2]}
    sites = [at("input", 0.3, "gates", "time"), at("state.h", 0.3, "gates"), at("output")]
    job = Call("torch", "torch.nn.LSTMCell", "lstm", FULL, sites, inputs=inputs, options={"compile": "aot_eager"})
    assert job.worst(job.run()) <= 1.0
    assert job.worst(job.run(tape=job.tape())) <= 1.0


def test_a_compiled_lstm_runs_eagerly_by_default() -> None:
    job = call(STACKED, options={"compile": "aot_eager"})
    assert job.worst(job.run()) <= 1.0


@pytest.mark.slow
def test_a_compiled_lstm_loses_its_dropout() -> None:
    """With `allow_rnn` torch 2.13 traces nn.LSTM by a decomposition that never applies the dropout between its layers."""
    job = call(STACKED, options={"compile": "aot_eager", "allow_rnn": True})
    with pytest.raises(TapeMismatch, match="drew 1 times where 3 were expected"):
        job.run()
    silent = call(("lstm", "torch.nn.LSTM", {**FULL, "layers": 3}, ()), options=job.job.options)
    assert silent.worst(silent.run()) <= 1.0


def test_compile_backends() -> None:
    with pytest.raises(Unsupported, match="option compile is .*, not 'xla'"):
        call(CASES[0]).run(options={"compile": "xla"})
    with pytest.raises(Unsupported, match="without `compile` it does nothing"):
        call(("lstm", "torch.nn.LSTM", FULL, ())).run(options={"allow_rnn": True})
