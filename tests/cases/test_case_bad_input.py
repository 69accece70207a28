"""What a user sees for bad input: every message in full, with its line and column."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_kinds import CASE

from harness.cases import load
from harness.errors import UserError

Bad = Callable[[str | bytes], list[str]]


def changed(old: str, new: str) -> str:
    assert old in CASE
    return CASE.replace(old, new)


X = "{shape: [5, 7, 3], fill: normal}"

STRUCTURE = {
    "an unknown key, with the near one": (
        CASE + "lyer: toy\n",
        ["case.yaml:6:1: lyer: unknown key (did you mean 'layer'?)"],
    ),
    "an unknown key that is near nothing": (
        changed("{units: 2}", "{units: 2, zzz: 1}"),
        ["case.yaml:3:20: config.zzz: unknown key; known are: units, flip, axes"],
    ),
    "an unknown setting": (
        changed("units: 2", "units: 2, unit: 3"),
        ["case.yaml:3:20: config.unit: unknown key (did you mean 'units'?)"],
    ),
    "a key of another framework's": (
        changed("units: 2", "num_units: 2"),
        [
            "case.yaml:3:9: config.units: is required",
            "case.yaml:3:10: config.num_units: unknown key (did you mean 'units'?)",
        ],
    ),
    "a keep probability": (
        CASE + "dropout: [{at: input, keep_prob: 0.9}]\n",
        [
            "case.yaml:6:11: dropout.0.rate: is required",
            "case.yaml:6:23: dropout.0.keep_prob: unknown key; a rate is 1 - keep_prob",
        ],
    ),
    "capitals": (
        changed("toy", "TOY"),
        ["case.yaml:2:8: layer: unknown layer 'TOY' (did you mean 'toy'?); there are: flat, toy"],
    ),
    "what is missing": (
        "about: A case.\n",
        ["case.yaml:1:1: layer: is required", "case.yaml:1:1: backends: is required"],
    ),
    "a missing setting": (changed("units: 2", ""), ["case.yaml:3:9: config.units: is required"]),
    "text for a number": (
        changed("units: 2", 'units: "2"'),
        ["case.yaml:3:17: config.units: must be a whole number, not the text '2'"],
    ),
    "a truth value for a number": (
        changed("units: 2", "units: true"),
        ["case.yaml:3:17: config.units: must be a whole number, not true"],
    ),
    "a fraction for a whole number": (
        changed("units: 2", "units: 2.5"),
        ["case.yaml:3:17: config.units: must be a whole number, not 2.5"],
    ),
    "the word yes for a truth value": (
        CASE + "gradients: yes\n",
        ["case.yaml:6:12: gradients: must be true or false or 'inputs', not the text 'yes'"],
    ),
    "a number that is too small": (
        changed("units: 2", "units: 0"),
        ["case.yaml:3:17: config.units: must be at least 1, not 0"],
    ),
    "a word that is none of the choices": (
        CASE + "mode: trian\n",
        ["case.yaml:6:7: mode: must be 'train' or 'eval', not the text 'trian' (did you mean 'train'?)"],
    ),
    "a list for a mapping": (changed("{units: 2}", "[2]"), ["case.yaml:3:9: config: must be a mapping, not a list"]),
    "text for a list": (
        changed("[numpy]", "numpy"),
        ["case.yaml:5:11: backends: must be a list, not the text 'numpy'"],
    ),
    "no backends": (changed("[numpy]", "[]"), ["case.yaml:5:11: backends: must not be empty"]),
    "a blank about": (changed("A case.", '"  "'), ["case.yaml:1:8: about: must not be blank"]),
    "an unknown layer": (
        changed("toy", "tyo"),
        ["case.yaml:2:8: layer: unknown layer 'tyo' (did you mean 'toy'?); there are: flat, toy"],
    ),
    "seeds": (
        CASE + "seeds: [-1, 1.5, 4294967296]\n",
        [
            "case.yaml:6:9: seeds.0: must be at least 0, not -1",
            "case.yaml:6:13: seeds.1: must be a whole number, not 1.5",
            "case.yaml:6:18: seeds.2: must be at most 4294967295, not 4294967296",
        ],
    ),
    "no seeds": (CASE + "seeds: []\n", ["case.yaml:6:8: seeds: must not be empty"]),
    "a seed twice": (CASE + "seeds: [1, 2, 1]\n", ["case.yaml:6:15: seeds.2: the seed 1 stands twice"]),
    "limits": (
        CASE + "timeout: 1e999\ntolerance: {value: -1, gradient: .nan}\n",
        [
            "case.yaml:6:10: timeout: must be a finite number, not inf",
            "case.yaml:7:20: tolerance.value: must be at least 0, not -1",
            "case.yaml:7:34: tolerance.gradient: must be a finite number, not nan",
        ],
    ),
    "limits of nothing": (
        CASE + "tolerance: {valu.y: 1, value.y: 1, gradient: 1}\n",
        [
            (
                "case.yaml:6:13: tolerance.valu.y: is no row that has a limit (did you mean 'value.y'?); "
                "there are: value, value.y, gradient, gradient.x, gradient.kernel, gradient.bias"
            )
        ],
    ),
    "a known difference of no variant": (
        CASE + "matrix: {dtype: [float32]}\nexpect: [{reason: x, variant: {dtype: float16}}]\n",
        ["case.yaml:7:39: expect.0.variant.dtype: the matrix has no dtype=float16"],
    ),
    "known differences": (
        CASE + 'expect: [{backend: tocrh, reason: ""}, {reason: x, until: soon}, {reason: x, variant: {rate: 1}}, 3]\n',
        [
            "case.yaml:6:20: expect.0.backend: 'tocrh' is no backend of this case",
            "case.yaml:6:35: expect.0.reason: must not be empty",
            "case.yaml:6:59: expect.1.until: must be a date such as 2027-06-30, not the text 'soon'",
            "case.yaml:6:88: expect.2.variant.rate: is no key of the matrix",
            "case.yaml:6:99: expect.3: must be a mapping, not 3",
        ],
    ),
    "a date as number": (
        CASE + "expect: [{reason: x, until: 2027}]\n",
        ["case.yaml:6:29: expect.0.until: must be a date such as 2027-06-30, not 2027"],
    ),
}

RATES = {
    "outside": (
        CASE + "dropout:\n  - {at: input, rate: 1.5}\n  - {at: state.h, rate: -0.1}\n",
        [
            "case.yaml:7:23: dropout.0.rate: a rate is a probability, from 0 to 1, not 1.5",
            "case.yaml:8:25: dropout.1.rate: a rate is a probability, from 0 to 1, not -0.1",
        ],
    ),
    "no number": (
        CASE + "dropout:\n  - {at: input, rate: .nan}\n  - {at: state.h, rate: .inf}\n",
        [
            "case.yaml:7:23: dropout.0.rate: a rate is a probability, from 0 to 1, not nan",
            "case.yaml:8:25: dropout.1.rate: a rate is a probability, from 0 to 1, not inf",
        ],
    ),
    "of a layer's own": (
        changed("toy", "flat").replace("units: 2", "rate: .nan"),
        ["case.yaml:3:16: config.rate: a rate is a probability, from 0 to 1, not nan"],
    ),
    "of a layer's own, outside": (
        changed("toy", "flat").replace("units: 2", "rate: 1.01"),
        ["case.yaml:3:16: config.rate: a rate is a probability, from 0 to 1, not 1.01"],
    ),
    "text": (
        CASE + "dropout: [{at: input, rate: '0.5'}, {at: state.h}]\n",
        [
            "case.yaml:6:29: dropout.0.rate: must be a number, not the text '0.5'",
            "case.yaml:6:37: dropout.1.rate: is required",
        ],
    ),
    "sites": (
        CASE + "dropout: [{at: inptu, rate: 0}, {at: state.h, rate: 1, shared: [space]}]\n",
        [
            "case.yaml:6:16: dropout.0.at: unknown dropout site 'inptu' (did you mean 'input'?); toy has: input, state.h",
        ],
    ),
    "what the layer refuses": (
        CASE + "dropout: [{at: state.h, rate: 1, shared: [space]}]\n",
        ["case.yaml:6:42: dropout.0.shared: no axis 'space' here"],
    ),
    "what the layer refuses, and the weights": (
        CASE + "dropout: [{at: state.h, rate: 1, shared: [space]}]\nweights: {kernel: 1, bias: 2}\n",
        [
            "case.yaml:6:42: dropout.0.shared: no axis 'space' here",
            "case.yaml:7:19: weights.kernel: kernel must have shape [3, 2], but this has []",
            "case.yaml:7:28: weights.bias: bias must have shape [2], but this has []",
        ],
    ),
    "a site twice": (
        CASE + "dropout: [{at: input, rate: 0}, {at: input, rate: 1}]\n",
        ["case.yaml:6:38: dropout.1.at: input is listed twice (first as entry 1)"],
    ),
    "a layer without a dropout list": (
        changed("toy", "flat").replace("units: 2", "rate: 0") + "dropout: [{at: input, rate: 0}]\n",
        ["case.yaml:6:16: dropout.0.at: unknown dropout site 'input'; flat has none"],
    ),
}

BACKENDS = {
    "unknown": (
        changed("[numpy]", "[nmpy, {tensorfow: x}]"),
        [
            (
                "case.yaml:5:12: backends.0: unknown backend 'nmpy' (did you mean 'numpy'?); "
                "there are: numpy, tensorflow, torch, jax, onnxruntime"
            ),
            (
                "case.yaml:5:19: backends.1.tensorfow: unknown backend 'tensorfow' (did you mean 'tensorflow'?); "
                "there are: numpy, tensorflow, torch, jax, onnxruntime"
            ),
        ],
    ),
    "unknown implementations": (
        changed("[numpy]", "[{torch: toys.Tyo}, {torch: jaxtoys.Toy}, {torch: toys.Flat}, {tensorflow: toys.Toy}]"),
        [
            (
                "case.yaml:5:20: backends.0.torch: unknown implementation 'toys.Tyo' (did you mean 'toys.Toy'?); "
                "torch has for toy: toys.Toy, toys.ToyCell"
            ),
            "case.yaml:5:39: backends.1.torch: jaxtoys.Toy is an implementation of jax, not of torch",
            (
                "case.yaml:5:61: backends.2.torch: toys.Flat implements flat, not toy; "
                "for toy there are: toys.Toy, toys.ToyCell"
            ),
            "case.yaml:5:86: backends.3.tensorflow: tensorflow has no implementation of toy",
        ],
    ),
    "no entry of the list's": (
        changed("[numpy]", "[3, {}, {torch: toys.Toy, jax: jaxtoys.Toy}, {torch: 3}, {name: x}]"),
        [
            "case.yaml:5:12: backends.0: must be a backend, such as numpy or {torch: torch.nn.LSTM}, not 3",
            (
                "case.yaml:5:15: backends.1: must name a backend (numpy, tensorflow, torch, jax, onnxruntime), "
                "or have a target or recorded outputs"
            ),
            "case.yaml:5:19: backends.2: names 2 backends; give each an entry of its own",
            "case.yaml:5:64: backends.3.torch: must be an import name, such as torch.nn.LSTM, not 3",
            (
                "case.yaml:5:68: backends.4: must name a backend (numpy, tensorflow, torch, jax, onnxruntime), "
                "or have a target or recorded outputs"
            ),
        ],
    ),
    "twice": (
        changed("[numpy]", "[numpy, numpy, torch, {torch: toys.Toy}]"),
        [
            "case.yaml:5:19: backends.1: numpy is listed twice (first as entry 1)",
            "case.yaml:5:33: backends.3: torch: toys.Toy is listed twice (first as entry 3)",
        ],
    ),
    "settings": (
        changed(
            "[numpy]",
            "[{torch: toys.Toy, optoins: {}}, {torch: toys.Toy, options: {jti: 1}}, {torch: , options: {jit: 1}}]",
        ),
        [
            (
                "case.yaml:5:30: backends.0.optoins: unknown key (did you mean 'options'?); "
                "an entry takes: options, name, environment"
            ),
            "case.yaml:5:72: backends.1.options.jti: unknown option (did you mean 'jit'?); toys.Toy has: jit, unroll",
            "case.yaml:5:92: backends.2.options: options belong to one implementation; name it",
        ],
    ),
    "values of options": (
        changed(
            "[numpy]",
            "\n  - {torch: toys.Toy, options: {jit: off}}\n  - {torch: toys.Toy, name: b, options: {jit: 1, unroll: tru}}"
            "\n  - {name: c, framework: jax, target: 'x.py:run', options: {jit: no, own: off}}",
        ),
        [
            ("case.yaml:6:38: backends.0.options.jit: must be true or false, not the text 'off' (did you mean false?)"),
            "case.yaml:7:47: backends.1.options.jit: must be true or false, not 1",
            (
                "case.yaml:7:58: backends.1.options.unroll: must be true or false, not the text 'tru' "
                "(did you mean 'true'?)"
            ),
            "case.yaml:8:39: backends.2.target: there is no file x.py",
            "case.yaml:8:66: backends.2.options.jit: must be true or false, not the text 'no' (did you mean false?)",
        ],
    ),
    "an environment that nothing describes": (
        changed(
            "[numpy]",
            "[{torch: toys.Toy, environment: TF1.8}, {name: a, framework: numpy, target: 'case.yaml.py:run', "
            "environment: tf1.9}, numpy]\nenvironment: tf1.33",
        ),
        [
            (
                "case.yaml:5:43: backends.0.environment: no environment 'TF1.8' is described (did you mean 'tf1.8'?); "
                "there are: current, tf1.3, tf1.8, tf2.0, tf2.10"
            ),
            "case.yaml:5:87: backends.1.target: there is no file case.yaml.py",
            (
                "case.yaml:5:120: backends.1.environment: no environment 'tf1.9' is described (did you mean 'tf1.8'?); "
                "there are: current, tf1.3, tf1.8, tf2.0, tf2.10"
            ),
            (
                "case.yaml:6:14: environment: no environment 'tf1.33' is described (did you mean 'tf1.3'?); "
                "there are: current, tf1.3, tf1.8, tf2.0, tf2.10"
            ),
        ],
    ),
    "targets": (
        changed(
            "[numpy]",
            "\n  - {name: a, framework: torch, target: 'nofile.py:run'}\n  - {name: b, framework: troch, target: nofile.py}",
        ),
        [
            "case.yaml:6:41: backends.0.target: there is no file nofile.py",
            (
                "case.yaml:7:26: backends.1.framework: must be 'numpy', 'tensorflow', 'torch' or 'jax', "
                "not the text 'troch' (did you mean 'torch'?)"
            ),
            (
                "case.yaml:7:41: backends.1.target: must be a file and a function in it, such as my_port.py:run, "
                "not the text 'nofile.py'"
            ),
        ],
    ),
    "recorded outputs": (
        changed(
            "[numpy]",
            "\n  - {name: a, recorded: {y: [1]}, digits: 8, source: s}"
            "\n  - {name: b, recorded: {y: [1, x]}, digits: 8, source: s}"
            "\n  - {name: c, recorded: {y: [1]}, source: s}",
        ),
        [
            "case.yaml:7:33: backends.1.recorded.y.1: must be a number or lists of numbers, not the text 'x'",
            (
                "case.yaml:8:5: backends.2: needs either `digits` (significant ones) or `decimals`: "
                "the precision that was printed"
            ),
        ],
    ),
    "a recorded output that the layer does not have": (
        changed("[numpy]", "[{name: a, recorded: {z: [1]}, digits: 8, source: s}]"),
        ["case.yaml:5:33: backends.0.recorded.z: the layer has no output 'z'; it has: y"],
    ),
}

ARRAYS = {
    "an impossible shape": (
        changed("[5, 7, 3]", "[5, -7, 0]"),
        [
            "case.yaml:4:25: inputs.x.shape.1: must be at least 1, not -7",
            "case.yaml:4:29: inputs.x.shape.2: must be at least 1, not 0",
        ],
    ),
    "a shape that the layer refuses": (
        changed("[5, 7, 3]", "[5, 7]"),
        ["case.yaml:4:13: inputs.x: x must have 3 axes, not 2"],
    ),
    "a shape beyond any memory": (
        changed("[5, 7, 3]", "[100000, 100000, 3]"),
        ["case.yaml:4:13: inputs.x: would have 30,000,000,000 elements; at most 1,073,741,824 are possible"],
    ),
    "weights beyond any memory": (
        changed("units: 2", "units: 1000000000"),
        [
            (
                "case.yaml:3:9: config: kernel [3, 1000000000] would have 3,000,000,000 elements; "
                "at most 1,073,741,824 are possible"
            )
        ],
    ),
    "together beyond any memory": (
        changed("units: 2", "units: 200000000"),
        [
            (
                "case.yaml:3:9: config: would have 7,800,000,105 elements (105 in inputs, 800,000,000 in weights, "
                "7,000,000,000 in outputs); at most 2,147,483,648 are possible"
            )
        ],
    ),
    "inputs together beyond any memory": (
        changed(X, "{shape: [1000, 1000, 1000], fill: ones}, h0: {shape: [1024, 1024, 1024], fill: ones}").replace(
            "units: 2", "units: 100"
        ),
        [
            (
                "case.yaml:4:9: inputs: would have 2,173,841,924 elements (2,073,741,824 in inputs, 100,100 in weights, "
                "100,000,000 in outputs); at most 2,147,483,648 are possible"
            )
        ],
    ),
    "more axes than an array has": (
        changed(X, f"{{values: 1, shape: {[1] * 17}}}"),
        ["case.yaml:4:13: inputs.x: has 17 axes; at most 16 are possible"],
    ),
    "more axes than an array has, in brackets": (
        changed(X, "[" * 17 + "1" + "]" * 17),
        ["case.yaml:4:13: inputs.x: has 17 axes; at most 16 are possible"],
    ),
    "integers that float64 does not hold": (
        changed(X, "{shape: [5, 7, 3], fill: integers, low: -1.0e+300, high: 1.0e+301}"),
        [
            (
                f"case.yaml:4:{column}: inputs.x.{end}: is beyond ±2**53 = ±9,007,199,254,740,992, "
                "where a float64 no longer holds every integer"
            )
            for end, column in (("low", 53), ("high", 70))
        ],
    ),
    "a number that the dtype does not hold": (
        changed(X, "{values: [[[1, 70000, .inf]]]}") + "dtype: float16\n",
        ["case.yaml:4:13: inputs.x: x holds 70000, which is too large for float16"],
    ),
    "a constant that the dtype does not hold": (
        changed(X, "{shape: [5, 7, 3], fill: constant, value: 1.0e+39}"),
        ["case.yaml:4:13: inputs.x: x holds 1e+39, which is too large for float32"],
    ),
    "a span beyond float64": (
        changed(X, "{shape: [5, 7, 3], fill: uniform, low: -1.7e+308, high: 1.7e+308}"),
        ["case.yaml:4:13: inputs.x: from -1.7e+308 to 1.7e+308 is further than a float64 can say"],
    ),
    "no shape": (changed("shape: [5, 7, 3], ", ""), ["case.yaml:4:13: inputs.x.shape: is required"]),
    "an unknown fill": (
        changed("fill: normal", "fill: norml"),
        [
            (
                "case.yaml:4:38: inputs.x.fill: must be 'zeros', 'ones', 'constant', 'arange', 'linspace', 'uniform', "
                "'normal' or 'integers', not the text 'norml' (did you mean 'normal'?)"
            )
        ],
    ),
    "a setting of another fill": (
        changed("fill: normal", "fill: normal, low: 0"),
        ["case.yaml:4:46: inputs.x.low: normal takes no low"],
    ),
    "low above high": (
        changed("fill: normal", "fill: uniform, low: 3"),
        ["case.yaml:4:52: inputs.x.low: low is 3, above high, which is 1"],
    ),
    "an unknown input": (
        changed("x: {", "y: {"),
        [
            "case.yaml:4:9: inputs.x: is required: toy needs this input",
            "case.yaml:4:10: inputs.y: toy has no input 'y'; it has: x, h0",
        ],
    ),
    "rows of different lengths": (
        changed(X, "[[[1, 2], [3]]]"),
        ["case.yaml:4:23: inputs.x.0.1: has shape [1], the entries before it [2]"],
    ),
    "text among the numbers": (
        changed(X, "[[[1, one]]]"),
        ["case.yaml:4:19: inputs.x.0.0.1: must be a number or lists of numbers, not the text 'one'"],
    ),
    "no values": (changed(X, "[[[]]]"), ["case.yaml:4:13: inputs.x: holds no values"]),
    "values that do not fill the shape": (
        changed(X, "{values: [1, 2, 3], shape: [1, 2, 2]}"),
        ["case.yaml:4:40: inputs.x.shape: 3 values do not fill the shape [1, 2, 2]"],
    ),
    "neither of the three": (
        changed(X, "{fil: normal}"),
        ["case.yaml:4:13: inputs.x: needs one of fill, file or values (did you mean 'fill'?)"],
    ),
    "a missing file": (
        changed(X, "{file: nothing.npy}"),
        ["case.yaml:4:20: inputs.x.file: there is no file nothing.npy"],
    ),
    "a folder": (changed(X, "{file: .}"), ["case.yaml:4:20: inputs.x.file: . is no file"]),
    "a device": (changed(X, "{file: /dev/zero}"), ["case.yaml:4:20: inputs.x.file: /dev/zero is no file"]),
    "objects": (
        changed(X, "{file: object.npy}"),
        ["case.yaml:4:20: inputs.x.file: object.npy holds object, which are no real numbers"],
    ),
    "complex numbers": (
        changed(X, "{file: complex.npy}"),
        ["case.yaml:4:20: inputs.x.file: complex.npy holds complex128, which are no real numbers"],
    ),
    "an empty array": (
        changed(X, "{file: empty.npy}"),
        ["case.yaml:4:20: inputs.x.file: empty.npy holds no values: its shape is [5, 0, 3]"],
    ),
    "a file cut short": (
        changed(X, "{file: short.npy}"),
        ["case.yaml:4:20: inputs.x.file: short.npy is damaged: 72 bytes of data where its header announces 840"],
    ),
    "a file of another kind": (
        changed(X, "{file: text.txt}"),
        ["case.yaml:4:20: inputs.x.file: text.txt is neither .npy nor .npz"],
    ),
    "a name that is not in the file": (
        changed(X, "{file: weights.npz, key: kernle}"),
        [
            (
                "case.yaml:4:20: inputs.x.file: weights.npz has no array 'kernle' (did you mean 'kernel'?); "
                "it has: kernel, bias"
            )
        ],
    ),
    "another shape than announced": (
        changed(X, "{file: x.npy, shape: [7, 5, 3]}"),
        ["case.yaml:4:34: inputs.x.shape: the file has shape [5, 7, 3], not [7, 5, 3]"],
    ),
    "a weights file with other shapes": (
        CASE + "weights: {file: weights.npz}\n",
        ["case.yaml:6:10: weights: bias must have shape [2], but this has [9]"],
    ),
    "weights by name": (
        CASE + "weights: {kernel: [[1, 2]], bais: 0}\n",
        [
            "case.yaml:6:10: weights.bias: is required: [2]",
            "case.yaml:6:19: weights.kernel: kernel must have shape [3, 2], but this has [1, 2]",
            "case.yaml:6:29: weights.bais: toy has no weight 'bais' (did you mean 'bias'?); it has: kernel, bias",
        ],
    ),
    "a rule with a mistake": (
        CASE + "weights: {fill: uniform, sede: 3}\n",
        ["case.yaml:6:26: weights.sede: unknown key (did you mean 'seed'?)"],
    ),
    "a shape for all weights": (
        CASE + "weights: {fill: uniform, shape: [2]}\n",
        ["case.yaml:6:26: weights.shape: a rule for all weights cannot have this; write the weights by name"],
    ),
    "no rule": (
        CASE + "weights: 3\n",
        ["case.yaml:6:10: weights: must be one rule such as {fill: uniform}, or arrays by name, not 3"],
    ),
    "weights for a layer without": (
        changed("toy", "flat").replace("units: 2", "rate: 0") + "weights: {fill: ones}\n",
        ["case.yaml:6:1: weights: flat has no weights"],
    ),
}

MATRIX = {
    "a million variants": (
        CASE + "matrix: {" + ", ".join(f"config.{name}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for name in "abcdef") + "}\n",
        ["case.yaml:6:9: matrix: makes 1,000,000 variants; at most 10,000 are possible"],
    ),
    "keys that nothing uses": (
        CASE + "matrix: {units: [1], config.units: [1, 2], dypte: [float32], x.y: [1], inputs.x.0: [1]}\n",
        [
            'case.yaml:6:10: matrix.units: is used nowhere: not as "{units}" and not as a key of the case',
            (
                'case.yaml:6:44: matrix.dypte: is used nowhere: not as "{dypte}" and not as a key of the case '
                "(did you mean 'dtype'?)"
            ),
            'case.yaml:6:62: matrix.x.y: is used nowhere: not as "{x.y}" and not as a key of the case',
        ],
    ),
    "a placeholder of no key": (
        changed("units: 2", 'units: "{unist}"') + "matrix: {units: [1], dtype: [float64]}\n",
        [
            "case.yaml:3:17: config.units: {unist} is no key of the matrix (did you mean 'units'?)",
            'case.yaml:6:10: matrix.units: is used nowhere: not as "{units}" and not as a key of the case',
        ],
    ),
    "a placeholder without a matrix": (
        changed("units: 2", 'units: "{units}"'),
        ["case.yaml:3:17: config.units: {units} is no key of the matrix"],
    ),
    "no list": (
        CASE + "matrix: {dtype: float32, mode: []}\n",
        [
            "case.yaml:6:17: matrix.dtype: must be a list of values, not the text 'float32'",
            "case.yaml:6:32: matrix.mode: must not be empty",
        ],
    ),
    "no mapping": (CASE + "matrix: [1]\n", ["case.yaml:6:9: matrix: must be a mapping, not a list"]),
    "nothing in it": (CASE + "matrix: {}\n", ["case.yaml:6:9: matrix: has no key with values"]),
    "a value twice": (
        CASE + "matrix: {config.units: [1, 2, 1]}\n",
        ["case.yaml:6:31: matrix.config.units.2: the value 1 stands twice"],
    ),
    "values that look alike": (
        changed("A case.", '"{a}"') + 'matrix: {tags.0: [1, "1"]}\ntags: [x]\n',
        ["case.yaml:6:22: matrix.tags.0.1: two variants would have the id [tags.0=1]"],
    ),
    "a value that is wrong is shown where it stands": (
        changed("units: 2", 'units: "{units}"') + "matrix: {units: [1, 2, -3], dtype: [float32, flaot64]}\n",
        [
            "case.yaml:6:24: config.units: must be at least 1, not -3 (units=-3)",
            (
                "case.yaml:6:46: dtype: must be 'float16', 'bfloat16', 'float32' or 'float64', "
                "not the text 'flaot64' (did you mean 'float64'?) (dtype=flaot64)"
            ),
        ],
    ),
    "exclude and include": (
        CASE + "matrix:\n  dtype: [float32, float64]\n  exclude: [{dtype: float16}, {mode: train}]\n"
        "  include: [{dtpye: float16}]\n",
        [
            "case.yaml:8:32: matrix.exclude.1.mode: is no key of the matrix",
            "case.yaml:9:13: matrix.include.0: needs a value for dtype",
            "case.yaml:9:14: matrix.include.0.dtpye: is no key of the matrix (did you mean 'dtype'?)",
        ],
    ),
    "an exclusion of nothing": (
        CASE + "matrix:\n  dtype: [float32]\n  exclude: [{dtype: float16}]\n  include: [{dtype: float32}]\n",
        [
            "case.yaml:8:13: matrix.exclude.0: excludes nothing: no combination has these values",
            "case.yaml:9:13: matrix.include.0: this combination is there already",
        ],
    ),
    "an exclusion of everything": (
        CASE + "matrix:\n  dtype: [float32]\n  exclude: [{dtype: float32}]\n",
        ["case.yaml:8:12: matrix.exclude: excludes every combination"],
    ),
}

FILES = {
    "nothing": (b"", ["case.yaml: is empty; a case needs at least about, layer and backends"]),
    "a comment": (b"# hello\n", ["case.yaml: is empty; a case needs at least about, layer and backends"]),
    "binary junk": (b"about: x\nab\xff\x00", ["case.yaml:2:3: is not UTF-8 text, so no YAML case"]),
    "a control character": (b"about: \x00", ["case.yaml:1:8: is no YAML: special characters are not allowed"]),
    "half a surrogate pair": ('about: "\\ud800"\n', ["case.yaml:1:8: half a surrogate pair is no text"]),
    "a text": ("hello", ["case.yaml:1:1: a case is a mapping, not the text 'hello'"]),
    "a list": ("- 1", ["case.yaml:1:1: a case is a mapping, not a list"]),
    "an open bracket": (
        "a: [1,\n b: {",
        ["case.yaml:2:6: is no YAML: expected the node content, but found '<stream end>', while parsing a flow node"],
    ),
    "a tab": (
        "a:\n\t- 1\n",
        [
            (
                "case.yaml:2:1: is no YAML: found character '\\t' that cannot start any token, "
                "while scanning for the next token"
            )
        ],
    ),
    "a key twice": (CASE + "about: again\n", ["case.yaml:6:1: the key 'about' stands here twice (first on line 1)"]),
    "a deep key twice": (
        changed("units: 2", "units: 2, units: 3"),
        ["case.yaml:3:20: the key 'units' stands here twice (first on line 3)"],
    ),
    "a key that is no text": ("1: 2\n", ["case.yaml:1:1: a key must be text, not 1; quote it"]),
    "a merge key": (
        "a: &a {b: 1}\nc: {<<: *a}\n",
        ["case.yaml:2:5: merge keys (<<) are not part of YAML 1.2; write the keys out"],
    ),
    "a tag that would make an object": (
        CASE + "tags: !!python/object:os.system x\n",
        ["case.yaml:6:7: the tag !!python/object:os.system is not allowed in a case"],
    ),
    "two documents": (
        CASE + "---\n" + CASE,
        ["case.yaml:6:1: a second document starts here; write one case a file"],
    ),
    "YAML 1.1": ("%YAML 1.1\n---\n" + CASE, ["case.yaml:1:1: cases are YAML 1.2; take the %YAML line out"]),
    "a number of five thousand digits": (
        "a: " + "9" * 5000,
        ["case.yaml:1:4: this number has too many digits"],
    ),
    "a text of a million characters": (
        "a: " + "x" * 1_000_000,
        ["case.yaml:1:4: this text is longer than 10,000 characters"],
    ),
    "a file of two megabytes": (
        b"#" * (2 << 20),
        ["case.yaml: is larger than 1,048,576 bytes; put large arrays in .npy files beside the case"],
    ),
    "a bomb of aliases": (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ["case.yaml:6:8: aliases blow this file up to more than 200,000 values"],
    ),
    "a bomb of brackets": ("[" * 100_000, ["case.yaml:1:65: is nested more than 64 levels deep"]),
    "a list without end": (
        "a: [" + "1," * 300_000 + "]",
        ["case.yaml:1:4: holds more than 200,000 values; put large arrays in .npy files"],
    ),
    "an alias to itself": ("a: &a [*a]", ["case.yaml:1:8: the alias *a names no anchor before it"]),
}

ALL = {
    f"{group}: {name}": entry
    for group, entries in (
        ("structure", STRUCTURE),
        ("rates", RATES),
        ("backends", BACKENDS),
        ("arrays", ARRAYS),
        ("matrix", MATRIX),
        ("files", FILES),
    )
    for name, entry in entries.items()
}


@pytest.mark.parametrize("name", ALL)
def test_message(name: str, bad: Bad, arrays: Path) -> None:
    text, expected = ALL[name]
    assert bad(text) == expected


def test_all_files_report_at_once(toys: Path) -> None:
    Path("a.yaml").write_text(changed("toy", "tyo"))
    Path("b.yaml").write_text("about: [")
    Path("c.yaml").write_text(CASE)
    with pytest.raises(UserError) as caught:
        load(["a.yaml", "missing.yaml", "b.yaml", "c.yaml", "nowhere"])
    files = [problem.place.file for problem in caught.value.problems if problem.place]
    assert files == ["a.yaml", "missing.yaml", "b.yaml", "nowhere"]
    assert "missing.yaml: no such file or folder" in str(caught.value)


def test_one_mistake_is_told_once_for_all_variants(bad: Bad) -> None:
    text = changed("units: 2", "units: 0") + "matrix: {dtype: [float32, float64], seeds: [[0], [1], [2]]}\n"
    assert bad(text) == ["case.yaml:3:17: config.units: must be at least 1, not 0"]


def test_thousands_of_problems_are_cut_off(bad: Bad) -> None:
    lines = bad(CASE + "matrix: {config.units: [" + ", ".join(f"-{n}" for n in range(1, 5001)) + "]}\n")
    assert len(lines) == 101
    assert lines[-1] == "case.yaml: has more than 100 problems; the rest is not shown"


def test_what_the_matrix_would_set_is_not_missed(bad: Bad) -> None:
    text = "about: x\nbackends: [numpy]\nmatrix: {layer: [toy], config.units: [2], inputs.x: [1], mode: []}\n"
    assert bad(text) == ["case.yaml:3:64: matrix.mode: must not be empty"]


def test_problems_of_matrix_and_body_show_together(bad: Bad) -> None:
    text = changed("units: 2", 'units: "{units}"') + "mode: trian\nmatrix: {units: 3, dtype: [float32]}\n"
    assert bad(text) == [
        "case.yaml:6:7: mode: must be 'train' or 'eval', not the text 'trian' (did you mean 'train'?)",
        "case.yaml:7:17: matrix.units: must be a list of values, not 3",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_block(toys: Path) -> None:
    os.mkfifo("case.yaml")
    with pytest.raises(UserError, match=r"^case\.yaml: is not a file$"):
        load(["case.yaml"])


def test_a_folder_without_cases(toys: Path) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError, match=r"^empty: holds no case \(\*\.yaml, \*\.yml\)$"):
        load(["empty"])


def test_a_file_that_may_not_be_read(toys: Path) -> None:
    Path("case.yaml").write_text(CASE)
    Path("case.yaml").chmod(0)
    if os.access("case.yaml", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UserError, match=r"^case\.yaml: cannot be read: "):
        load(["case.yaml"])


def test_a_junk_array_file(bad: Bad, arrays: Path) -> None:
    for name in ("junk.npy", "junk.npz"):
        (line,) = bad(changed(X, f"{{file: {name}, key: x}}" if name.endswith("z") else f"{{file: {name}}}"))
        assert line.startswith(f"case.yaml:4:20: inputs.x.file: {name} is no readable NumPy file: ")
