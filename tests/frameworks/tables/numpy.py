"""What the NumPy recipes are asked."""

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import case, full

BACKENDS = ("numpy",)
DTYPES = ("float64",)

EVERYWHERE = [
    at("input", 0.4, "time"),
    at("state.h", 0.3, "time", "gates"),
    at("state.c", 0.25),
    at("output", 0.5, scale="none"),
]
PAIR = [at("encoder.input", 0.4, "time"), at("decoder.state.h", 0.4), at("decoder.output", 0.5)]
MODEL = {"vocabulary": 7, "features": 3, "units": 4, "layers": 2, "return_state": True}
AWD = [at("embedding.rows", 0.3, "batch", "features"), at("input", 0.3, "time"), at("weight.recurrent", 0.5)]
LOCKED = at("input", 0.3, "time")

CASES = {
    ("dropout", "numpy.dropout"): {"shared": case(rate=0.4, shared=["time"]), "plain": case(rate=0.4)},
    ("gaussian_dropout", "numpy.gaussian_dropout"): {"plain": case(rate=0.3)},
    ("gaussian_noise", "numpy.gaussian_noise"): {"plain": case(stddev=0.5)},
    ("masked_gaussian_noise", "numpy.masked_gaussian_noise"): {"plain": case(rate=0.4, stddev=0.5)},
    ("alpha_dropout", "numpy.alpha_dropout"): {"plain": case(rate=0.3)},
    ("lstm", "numpy.lstm"): {
        "everywhere": full(*EVERYWHERE, states=True),
        "stack": full(LOCKED, at("between_layers"), layers=2, bidirectional=True),
        "gaussian": full(at("state.h", 0.3, "time", noise="gaussian")),
    },
    ("zoneout_lstm", "numpy.zoneout_lstm"): {
        "both states": full(at("state.h", 0.3, noise="zoneout"), at("state.c", 0.4, noise="zoneout")),
    },
    ("encoder_decoder", "numpy.encoder_decoder"): {"own weights": full(*PAIR), "tied": full(*PAIR, tied=True)},
    ("gru", "numpy.gru"): {"layer": full(LOCKED, at("state.h")), "reset before": full(LOCKED, reset_after=False)},
    ("simple_rnn", "numpy.simple_rnn"): {"layer": full(LOCKED, at("state.h"))},
    ("embedding", "numpy.embedding"): {"rows": case(AWD[0], vocabulary=7, features=3)},
    ("awd_lstm", "numpy.awd_lstm"): {"tied": case(*AWD, **MODEL, tied=True), "model": case(*AWD, **MODEL)},
}  # fmt: skip
