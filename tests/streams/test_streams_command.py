"""`harness mask`."""

import json

import numpy as np
import pytest

from harness.cli import main
from harness.streams import predict


def run(capsys, *arguments):
    code = main(["mask", *map(str, arguments)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert "internal error" not in captured.err
    return code, captured.out, captured.err


def test_it_prints_the_mask(capsys):
    code, out, err = run(
        capsys, "--like", "torch.nn.Dropout", "--version", "2.13", "--seed", 7, "--shape", "3,4", "--rate", 0.5
    )
    assert code == 0
    assert out == "1 1 0 0\n0 0 1 0\n0 0 1 1\n"
    assert "MT19937" in err
    assert "kept 5 of 12" in err


def test_it_draws_matrices_apart(capsys):
    _, out, _ = run(capsys, "--like", "torch.nn.Dropout", "--seed", 7, "--shape", "2,2,3", "--draw")
    assert out == "██·\n···\n\n█··\n·██\n"


@pytest.mark.parametrize("shape", ["0", "3,0", "0,3", "1", "5"])
def test_odd_shapes_print(capsys, shape):
    code, out, _ = run(capsys, "--like", "torch.nn.Dropout", "--shape", shape)
    assert code == 0
    assert len(out.split()) == np.prod([int(n) for n in shape.split(",")])


@pytest.mark.parametrize(("shape", "count"), [("(3,)", 3), ("()", 1), ("[2, 2]", 4)])
def test_shapes_as_python_writes_them(capsys, shape, count):
    code, out, _ = run(capsys, "--like", "torch.nn.Dropout", "--shape", shape)
    assert (code, len(out.split())) == (0, count)


def test_later_calls_and_options(capsys):
    _, out, _ = run(
        capsys,
        *("--like", "keras.layers.LSTM", "--backend", "jax", "--seed", 3, "--shape", "2,5", "--call", 1, "--rate", 0.3),
        *("-o", "site=state.h", "-o", "recurrent_dropout=true", "-o", "gate=2"),
    )
    options = {"site": "state.h", "recurrent_dropout": True, "gate": 2}
    keep = predict("keras.layers.LSTM", None, 3, (2, 5), 0.3, "float32", 1, "jax", **options).keep
    assert out.split() == [str(int(kept)) for kept in keep.reshape(-1)]


def test_json_tells_all(capsys):
    code, out, _ = run(capsys, "--like", "tf.nn.dropout", "--seed", -5, "--shape", "2x3", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["format"], told["version"]) == ("parity-harness mask", 1)
    assert told["like"] == "tensorflow.nn.dropout"
    assert told["shape"] == [2, 3]
    assert told["confirmed"] is True
    assert told["keep"] == predict("tf.nn.dropout", seed=-5, shape=(2, 3)).keep.astype(int).tolist()


def test_save_then_find(capsys, tmp_path):
    path = tmp_path / "mask.npy"
    code, out, err = run(
        capsys, "--like", "tf.nn.dropout", "--seed", 5, "--shape", "30,20", "--rate", 0.3, "--save", path
    )
    assert (code, out) == (0, "")
    assert str(path) in err
    assert [each.name for each in tmp_path.iterdir()] == ["mask.npy"]
    assert np.load(path).shape == (30, 20)
    code, out, err = run(capsys, "--find", path, "--seeds", "0:8", "--like", "tf.nn.dropout", "--version", "2.21")
    assert code == 0
    assert "tensorflow.nn.dropout 2.21: seed=5, call=0, rate=0.3" in out
    assert "by chance with probability" in err
    code, out, _ = run(capsys, "--find", path, "--seeds", "5", "--calls", "0", "--json", "--like", "tf.nn.dropout")
    assert (code, json.loads(out)["found"][0]["seed"]) == (0, 5)


def test_nothing_found_is_exit_code_1(capsys, tmp_path):
    path = tmp_path / "mask.npy"
    np.save(path, np.random.default_rng((9, 8, 7)).random((30, 20)) < 0.5)
    code, out, _ = run(capsys, "--find", path, "--seeds", "0:2", "--like", "torch.nn.Dropout")
    assert code == 1
    assert "no stream that was tried gives this mask" in out


def test_a_state_comes_from_a_file(capsys, tmp_path):
    state = bytearray(5056)
    state[8:12] = (1).to_bytes(4, "little")
    state[24 : 24 + 8 * 624] = np.random.RandomState(6).get_state()[1].astype("<u8").tobytes()
    raw, array = tmp_path / "state.bin", tmp_path / "state.npy"
    raw.write_bytes(bytes(state))
    np.save(array, np.frombuffer(bytes(state), np.uint8))
    outputs = {run(capsys, "--like", "torch.nn.Dropout", "--shape", 40, "-o", f"state=@{p}")[1] for p in (raw, array)}
    assert outputs == {run(capsys, "--like", "torch.nn.Dropout", "--shape", 40, "--seed", 6)[1]}


def test_rules_are_listed(capsys):
    code, out, _ = run(capsys, "--rules")
    assert code == 0
    assert "torch.nn.Dropout: 1.0 on\n  options: before, mkl, state, strides" in out
    assert "torch.nn.Dropout on cuda: 2.0 on" in out
    _, out, _ = run(capsys, "--rules", "--json")
    assert any(entry["like"] == "flax.nnx.Dropout" for entry in json.loads(out)["rules"])


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("say whose mask", []),
        ("give the tensor's shape", ["--like", "torch.nn.Dropout"]),
        ("did you mean 'torch.nn.Dropout'", ["--like", "torch.nn.Dropot", "--shape", "3"]),
        ("not a list of sizes", ["--like", "torch.nn.Dropout", "--shape", "3,a"]),
        ("not a list of sizes", ["--like", "torch.nn.Dropout", "--shape", "3,x"]),
        ("not a list of sizes", ["--like", "torch.nn.Dropout", "--shape", "3,,4"]),
        ("has a size", ["--like", "torch.nn.Dropout", "--shape", "-3"]),
        ("did you mean 'float32'", ["--like", "torch.nn.Dropout", "--shape", "3", "--dtype", "flot32"]),
        ("not a probability", ["--like", "torch.nn.Dropout", "--shape", "3", "--rate", "7"]),
        ("write NAME=VALUE", ["--like", "torch.nn.Dropout", "--shape", "3", "-o", "mkl"]),
        ("did you mean 'mkl'", ["--like", "torch.nn.Dropout", "--shape", "3", "-o", "mk=true"]),
        ("valid boolean", ["--like", "torch.nn.Dropout", "--shape", "3", "-o", "mkl=5"]),
        ("too large to print", ["--like", "torch.nn.Dropout", "--shape", "2000,2000"]),
        ("more elements than", ["--like", "torch.nn.Dropout", "--shape", "99999999999,99999999999"]),
        ("does not fit in memory", ["--like", "torch.nn.Dropout", "--shape", "9999999,9999999", "--json"]),
        ("cuDNN", ["--like", "torch.nn.LSTM", "--shape", "3", "--backend", "cuda"]),
        ("No such file", ["--find", "nowhere.npy"]),
        ("neither a span", ["--find", "MASK", "--seeds", "0:x"]),
        ("neither a span", ["--find", "MASK", "--calls", "1:2:3"]),
        ("not a .npy file", ["--find", "TEXT"]),
        ("says nothing", ["--find", "MASK"]),
        ("several arrays", ["--find", "ARCHIVE"]),
        ("No such file", ["--like", "torch.nn.Dropout", "--shape", "3", "-o", "state=@nowhere.bin"]),
        ("cannot", ["--like", "torch.nn.Dropout", "--shape", "3", "--save", "TEXT/mask.npy"]),
        ("is not a valid integer", ["--like", "torch.nn.Dropout", "--shape", "3", "--seed", "x"]),
    ],
)
def test_bad_input_is_explained(capsys, tmp_path, said, arguments):
    (tmp_path / "text.npy").write_text("not an array")
    np.save(tmp_path / "mask.npy", np.ones(5))
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, a=np.ones(2), b=np.ones(2))
    names = {"TEXT": "text.npy", "MASK": "mask.npy", "ARCHIVE": "archive.npy"}
    for name, file in names.items():
        arguments = [each.replace(name, str(tmp_path / file)) for each in arguments]
    code, out, err = run(capsys, *arguments)
    assert code == 4
    assert out == ""
    assert said in err
