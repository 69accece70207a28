"""Fixes are told in the words of the framework that code is written in, of the version that ran, and name what exists there."""

from __future__ import annotations

import ast
import dataclasses
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from planting import compared, first_setting
from port_cases import variant
from test_catalogue import EVERY

from harness.diagnosis.advice import Advice, advice_for, used
from harness.diagnosis.fault import Fault, catalogue
from harness.frameworks.contract.framework import Fix, frameworks
from harness.records import BackendRef

PRECISION = ("precision.float32", "precision.float16")
TF_KERAS = "import tf_keras\nlayer = tf_keras.layers.LSTM(3)"


def faults() -> dict[str, list[Fault]]:
    """The catalogue by name, over all cases; faults of one name may have other words."""
    found: dict[str, list[Fault]] = {}
    soft = variant(
        "lstm", {"units": 4, "recurrent_activation": "hard_sigmoid", "return_sequences": True}, {"x": (3, 5, 3)}
    )
    for case in (*EVERY.values(), soft):
        for fault in catalogue(first_setting(case)):
            found.setdefault(fault.name, []).append(fault)
    return found


def test_every_fix_is_of_a_fault_and_has_its_words() -> None:
    known = faults()
    for record in frameworks().values():
        for fix in record.fixes:
            names = [name for name in known if fnmatchcase(name, fix.fault)]
            # A mask that is drawn anew shows in its draws; what it would be called is a fault's name all the same.
            assert names or fix.fault in (*PRECISION, "mask.fresh over time"), f"{record.name}: no fault {fix.fault}"
            told = [
                one for name in names for one in known[name] if all(one.words.get(k) == v for k, v in fix.when.items())
            ]
            assert told or not names, f"{record.name}: {fix.fault} never has {fix.when}"
            for fault in told:
                assert not re.search(r"\{[a-z]+\}", fix.said(fault.words)), (record.name, fix)


def test_versions_decide_and_the_first_that_fits_is_taken() -> None:
    old, new, any_of_them = Fix("a*", "old", needs="keras<3"), Fix("a*", "new", needs="keras>=3"), Fix("a b", "any")
    advice = Advice((frameworks()["torch"]._replace(fixes=(old, new, any_of_them)),), {"keras": "3.15.1"})
    assert advice.fix("a b", "default", {}) == "new"
    assert dataclasses.replace(advice, versions={"keras": "2.10.0"}).fix("a b", "default", {}) == "old"
    assert dataclasses.replace(advice, versions={}).fix("a b", "default", {}) == "any"
    assert dataclasses.replace(advice, versions={}).fix("a c", "default", {}) == "default"
    when = Fix("a", "{right} is right", when={"right": "x"})
    advice = Advice((frameworks()["torch"]._replace(fixes=(when,)),))
    assert advice.fix("a", "default", {"right": "x"}) == "x is right"
    assert advice.fix("a", "default", {"right": "y"}) == "default"


@pytest.mark.parametrize(
    ("backend", "source", "versions", "frameworks_asked"),
    [
        (
            "tensorflow",
            TF_KERAS,
            {"tensorflow": "2.21.0", "keras": "3.15.1", "tf_keras": "2.21.0"},
            "keras2 tensorflow",
        ),
        ("tensorflow", "import keras", {"keras": "3.15.1"}, "keras3 tensorflow"),
        ("tensorflow", "import tensorflow as tf\ntf.keras.layers.GRU(3)", {"keras": "3.15.1"}, "keras3 tensorflow"),
        ("tensorflow", "import tensorflow as tf\ntf.keras.layers.GRU(3)", {"keras": "2.10.0"}, "keras2 tensorflow"),
        ("tensorflow", "from tensorflow.keras import layers", {"tensorflow": "1.8.0"}, "keras2 tensorflow"),
        ("tensorflow", "import tensorflow as tf\ntf.nn.dropout", {"keras": "3.15.1"}, "tensorflow"),
        ("torch", "import torch", {"torch": "2.9.0"}, "torch"),
        ("torch", "def run(case):\n    import keras", {"keras": "3.15.1"}, "keras3 torch"),
        ("jax", "from flax import nnx", {"flax": "0.12.0"}, "flax_nnx jax"),
        ("jax", "import flax.linen as nn", {"flax": "0.12.0"}, "flax_linen jax"),
        ("jax", "import flax\nflax.nnx.Dropout(0.5)", {"flax": "0.12.0"}, "flax_nnx jax"),
        ("jax", "import equinox as eqx", {}, "equinox jax"),
        ("jax", "x = (", {}, "jax"),
    ],
)
def test_what_code_is_written_in(
    backend: str, source: str, versions: dict[str, str], frameworks_asked: str, tmp_path: Path
) -> None:
    (tmp_path / "port.py").write_text(source, encoding="utf-8")
    ref = BackendRef(backend, target=f"{tmp_path / 'port.py'}:run")
    assert [record.name for record in advice_for(ref, "lstm", versions).records] == frameworks_asked.split()
    gone = BackendRef(backend, target=f"{tmp_path / 'none.py'}:run")
    assert [record.name for record in advice_for(gone, "lstm", versions).records] == [backend]


def test_a_registered_implementation_is_of_its_own_framework() -> None:
    for backend, layer, name, asked in (
        ("tensorflow", "lstm", "tf_keras.layers.LSTM", "keras2 tensorflow"),
        ("torch", "lstm", "keras.layers.LSTM", "keras3 torch"),
        ("torch", "lstm", "torch.nn.LSTM", "torch"),
        ("jax", "lstm", "no.such.thing", "jax"),
    ):
        records = advice_for(BackendRef(backend, name), layer, {}).records
        assert [record.name for record in records] == asked.split(), name


def test_names_of_modules() -> None:
    tree = ast.parse("import a.b as c, d.e\nfrom f.g import h as i\nc.x\nd.y\ni.z\nother.w")
    assert used(tree) >= {"a.b", "d.e", "f.g.h", "a.b.x", "d.y", "f.g.h.z"}
    assert not any("other" in name for name in used(tree))


@pytest.mark.slow
def test_what_copied_weights_are_told_to_do_exists() -> None:
    """Keras 3 has `stateless_call` and Keras 2 has not; there the case's tensors can stand in the place of a cell's variables."""
    tf_keras, keras = pytest.importorskip("tf_keras"), pytest.importorskip("keras")
    tensorflow = pytest.importorskip("tensorflow")

    def said(name: str) -> str:
        return Advice((frameworks()[name],)).fix("gradient.stopped weights", "default", {})

    assert "stateless_call" in said("keras3") and hasattr(keras.layers.Layer, "stateless_call")
    assert "stateless_call" not in said("keras2") and not hasattr(tf_keras.layers.Layer, "stateless_call")
    layer, x = tf_keras.layers.LSTM(2), tensorflow.ones((1, 3, 2))
    layer.build(x.shape)
    names = re.findall(r"layer\.cell\.(\w+)", said("keras2"))
    assert names == ["kernel", "recurrent_kernel", "bias"]
    with tensorflow.GradientTape() as tape:
        tensors = [tensorflow.fill((2, 8)[-rank:], 0.25) for rank in (2, 2, 1)]
        tape.watch(tensors)
        for name, tensor in zip(names, tensors, strict=True):
            setattr(layer.cell, name, tensor)
        y = tensorflow.reduce_sum(layer(x))
    assert all(float(tensorflow.reduce_sum(g)) > 0.0 for g in tape.gradient(y, tensors))


def test_a_row_says_it_in_the_words_of_its_implementation() -> None:
    case = dataclasses.replace(EVERY["plain"], backends=(BackendRef("torch", "torch.nn.LSTM"),))
    (row,) = (row for row in compared(case, "bias.doubled").rows if row.check == "value.y")
    assert row.fix.endswith("put the canonical bias into one of them and zeros into the other")
    case = dataclasses.replace(EVERY["plain"], backends=(BackendRef("jax", "equinox.nn.LSTMCell"),))
    (row,) = (row for row in compared(case, "bias.doubled").rows if row.check == "value.y")
    assert row.fix == "add the bias once"
