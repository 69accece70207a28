"""Made-up cases and rows, so that reporting is tested without any framework."""

import datetime

import numpy as np

from harness.errors import Place
from harness.records import ArraySpec, BackendRef, Compared, Expectation, Row, Site, Variant, Verdict

VERSIONS = {"numpy": "2.4.6", "tensorflow": "2.21.0", "torch": "2.13.0", "jax": "0.10.2"}
LSTM = (
    "tensorflow: keras.layers.LSTM",
    "tensorflow: tf_keras.layers.LSTM",
    "torch: torch.nn.LSTM",
    "jax: equinox.nn.LSTMCell",
)
SOURCE = """about: One input mask for the whole sequence.
layer: lstm
dropout:
  - {at: input, rate: "{rate}", shared: [time]}
matrix: {rate: [0.25, 0.5]}
"""

#: What a diagnosis says, in all rows that it explains.
GATES = {
    "diagnosis": "gates read in the order i, f, o, g",
    "proof": "explains both differing arrays to within 0.2 of their limits",
    "fix": "split the weights as i, f, g, o",
}


def ref(label):
    backend, _, implementation = label.partition(": ")
    return BackendRef(backend, implementation or None)


def variant(case="cases/lstm/variational.yaml::[rate=0.5]", backends=("numpy", *LSTM), **changes):
    path, _, values = case.partition("::")
    site = Site("input", 0.5, shared=("time",), axes=("batch", "time", "features"), shape=(2, 1, 3))
    fields = {
        "id": case,
        "path": path,
        "about": "One input mask for the whole sequence.",
        "layer": "lstm",
        "config": {"units": 4},
        "sites": (site,),
        "inputs": {"x": ArraySpec((2, 5, 3), fill="normal")},
        "weights": {"kernel": ArraySpec((3, 16), fill="uniform")},
        "seeds": (0, 1),
        "mode": "train",
        "draws": "native",
        "dtype": "float32",
        "gradients": True,
        "backends": tuple(ref(label) for label in backends),
        "variant": dict(pair.split("=") for pair in values.strip("[]").split("-") if "=" in pair),
        "place": Place(path, 1, 1),
        "source": SOURCE,
    }
    return Variant(**fields | changes)


def row(case, label, check="value.y", verdict=Verdict.PASS, **changes):
    one = ref(label)
    fields = {
        "case": case.id,
        "seed": "0",
        "layer": case.layer,
        "backend": one.backend,
        "implementation": one.implementation or "",
        "environment": "",
        "version": VERSIONS[one.backend],
        "device": "cpu",
        "dtype": case.dtype,
        "check": check,
        "verdict": verdict,
        "measured": 1.25e-07,
        "limit": 4.5e-06,
        "unit": "abs",
        "seconds": 0.0625,
        "comparison_seconds": 0.25,
        "variant": case.variant,
        "name": label,
    }
    return Row(**fields | changes)


def mask(seed=0, shape=(2, 5, 3)):
    return np.random.default_rng(seed).random(shape) >= 0.5


def charts(off=1.25e-7, noise=False):
    """Charts of every kind, of a sequence of five steps whose last but one is the worst."""
    found = {
        "results": {
            "value.y": {
                "ulps": [20, 6, 3, 1],
                "steps": [off / 8, off / 4, 0.0, off, off / 2],
                "per": 1,
                "of": 5,
                "worst": [["0, 3, 2", "0", 0.5 + off, 0.5, off], ["1, 4, 0", "1", 0.25, 0.25 + off / 2, off / 2]],
            },
            "gradient.x": {"ulps": [30], "steps": [0.0] * 5, "per": 1, "of": 5},
        },
        "scale": {"keep": 0.5, "rules": {"x / d(keep)": 0, "x * d(1 / keep)": 1}, "ratio": [2.0, 2.0], "survivors": 15},
        "states": {"steps": 5, "h": 0.0, "c": 0.37},
        "handover": {"starts": {"(h, c)": off, "(c, h)": 0.4, "zeros": 0.6, "h without c": 0.3, "c without h": 0.2}},
    }
    if noise:
        counts = [0, 1, 4, 9, 20, 34, 49, 60, 60, 49, 34, 20, 9, 4, 1, 0]
        found["noise"] = {"kind": "gaussian", "reach": 4.0, "counts": counts, "mean": 1.01, "stddev": 0.23}
        found["noise"]["theory"] = [1.0, 0.22942]
    return found


def compared(case, label, *rows, masks=None, detail="", profile=None, charts=None):
    one = ref(label)
    versions = {one.backend: VERSIONS[one.backend]}
    return Compared(case, one, tuple(rows), masks or {}, versions, detail, profile=profile or {}, charts=charts or {})


def small_run():
    """Two cases with one row or more of every verdict: (variants, events)."""
    one = variant(
        expect=(
            Expectation(
                "tensorflow: tf_keras.layers.LSTM", "mask.shared", "draws at every step", datetime.date(2027, 6, 30)
            ),
        )
    )
    two = variant(
        "cases/dropout/plain.yaml", ("numpy", "torch"), layer="dropout", about="The mask is where it is kept."
    )
    events = [
        compared(
            one,
            "numpy",
            row(one, "numpy", "mask.rate", measured=0.5, limit=None, unit="share"),
            row(one, "numpy"),
            masks={"input": mask(0)},
            profile={"scale of survivors": "2", "input: shared over": "time"},
            charts=charts(noise=True),
        ),
        compared(
            one,
            LSTM[0],
            row(one, LSTM[0], "mask.shared", measured=1.0, limit=1.0, unit="masks"),
            row(one, LSTM[0], "repeat.bit_equal", Verdict.NONDETERMINISTIC, measured=None, limit=None, unit=""),
            masks={"input": mask(1)},
            profile={"scale of survivors": "2", "input: shared over": "nothing"},
            charts=charts(),
        ),
        compared(
            one,
            LSTM[1],
            row(
                one,
                LSTM[1],
                "mask.shared",
                Verdict.KNOWN,
                measured=5.0,
                limit=1.0,
                unit="masks",
                cause="draws at every step",
            ),
            row(one, LSTM[1], "value.h", Verdict.UNEXPECTED_PASS, measured=0.0),
            row(one, LSTM[1], "value.c", Verdict.ILL_CONDITIONED, measured=2.0, limit=float("inf")),
        ),
        compared(
            one,
            LSTM[2],
            row(
                one,
                LSTM[2],
                "value.y",
                Verdict.FAIL,
                measured=0.03125,
                where="(0, 3, 2)",
                cause="5 of 30 elements differ",
                place="cases/lstm/variational.yaml:4:5",
                **GATES,
            ),
            row(one, LSTM[2], "gradient.x", Verdict.FAIL, measured=float("nan"), where="(1, 0, 0)", **GATES),
            masks={"input": mask(1)},
            charts=charts(0.03125),
        ),
        compared(
            one,
            LSTM[3],
            row(one, LSTM[3], "run", Verdict.CRASH, measured=None, limit=None, unit="", cause="exit code -11"),
            detail="Fatal Python error: Segmentation fault",
        ),
        compared(
            two,
            "torch",
            row(two, "torch", "run", Verdict.TIMEOUT, measured=None, limit=120.0, unit="s"),
            row(
                two,
                "torch",
                "mask.rate",
                Verdict.ERROR,
                measured=None,
                limit=None,
                unit="",
                cause="planned, but gave no row",
            ),
        ),
        compared(
            two,
            "numpy",
            row(
                two,
                "numpy",
                "mask.axes",
                Verdict.UNSUPPORTED,
                measured=None,
                limit=None,
                unit="",
                cause="has no dropout at 'state.c'",
            ),
        ),
    ]
    return [one, two], events


def green_run():
    """One case that passes everywhere: (variants, events)."""
    one = variant(backends=("numpy", LSTM[2]))
    return [one], [compared(one, "numpy", row(one, "numpy")), compared(one, LSTM[2], row(one, LSTM[2]))]


def store(folder, variants, events, shard="", **finish):
    from harness.reporting.writer import Writer

    with Writer.of(folder, variants, ["harness", "run", "cases"], shard) as writer:
        for event in events:
            writer.add(event)
        writer.finish(**finish)
    return folder
