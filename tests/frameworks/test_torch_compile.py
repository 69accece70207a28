"""torch.compile beside eager calls: the same masks from the same seed, and what a compiled nn.LSTM loses."""

import numpy as np
import pytest

pytest.importorskip("torch")

from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import Case, Trial, X, case, full


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("layer", "name"), [("dropout", "torch.nn.Dropout"), ("alpha_dropout", "torch.nn.AlphaDropout")]
)
def test_a_compiled_layer_draws_what_an_eager_one_draws(layer: str, name: str, backend: str) -> None:
    trial = Trial("torch", layer, name, case(rate=0.3, options={"compile": backend}))
    np.testing.assert_array_equal(trial.own.draws["input"].values, trial.call(options={}).run().draws["input"].values)
    assert trial.job.worst(trial.own) <= 1.0
    np.testing.assert_array_equal(trial.replayed.draws["input"].values, trial.tape["input"])
    assert trial.job.worst(trial.replayed) <= 1.0


@pytest.mark.slow
def test_a_compiled_loop() -> None:
    sites = [at("input", 0.3, "gates", "time"), at("state.h", 0.3, "gates"), at("output")]
    asked = full(*sites, inputs={"x": X[:, :2]}, options={"compile": "aot_eager"})
    trial = Trial("torch", "lstm", "torch.nn.LSTMCell", asked)
    assert trial.job.worst(trial.own) <= 1.0
    assert trial.job.worst(trial.replayed) <= 1.0


@pytest.mark.slow
def test_a_compiled_lstm_loses_its_dropout() -> None:
    """With `allow_rnn` torch 2.13 traces nn.LSTM by a decomposition that never applies the dropout between its layers."""

    def trial(asked: Case) -> Trial:
        return Trial("torch", "lstm", "torch.nn.LSTM", asked)

    options = {"compile": "aot_eager", "allow_rnn": True}
    with pytest.raises(TapeMismatch, match="drew 1 times where 3 were expected"):
        trial(full(at("between_layers"), at("output"), layers=3, states=True, options=options)).job.run()
    silent = trial(full(layers=3, states=True, options=options))
    assert silent.job.worst(silent.own) <= 1.0


@pytest.mark.slow
def test_one_graph_is_compiled_after_a_broken_one() -> None:
    """What torch ran eagerly behind a break in one layer's graph is compiled in the next one all the same."""
    asked = full(at("between_layers"), at("output"), layers=3, options={"compile": "aot_eager"})
    broken = Trial("torch", "lstm", "torch.nn.LSTM", asked)
    assert broken.job.worst(broken.own) <= 1.0
    alone = Trial("torch", "dropout", "torch.nn.Dropout", case(rate=0.3, options={"compile": "aot_eager"}))
    assert alone.job.worst(alone.own) <= 1.0
