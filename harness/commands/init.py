"""`harness init`: a port to fill in, and a case that compares it."""

from __future__ import annotations

import os
from pathlib import Path

import click

FRAMEWORKS = ("torch", "tensorflow", "jax", "numpy", "keras")
#: What Keras runs on where $KERAS_BACKEND does not say it.
KERAS_ON = "tensorflow"

_STEP = {
    "torch": (
        "import torch\nimport torch.nn.functional as F",
        "    h = x.new_zeros(batch, units)\n    c = x.new_zeros(batch, units)",
        "i, f, g, o = (x[:, t] @ kernel + h @ recurrent + bias).chunk(4, dim=1)",
        ("torch.sigmoid", "torch.tanh"),
        'y = F.dropout(torch.stack(steps, dim=1), case.rate("output"), training=case.training)',
    ),
    "tensorflow": (
        "import tensorflow as tf",
        "    h = c = tf.zeros((batch, units), x.dtype)",
        "i, f, g, o = tf.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)",
        ("tf.sigmoid", "tf.tanh"),
        'y = tf.nn.dropout(tf.stack(steps, axis=1), case.rate("output"))',
    ),
    "jax": (
        "import jax\nimport jax.numpy as jnp",
        "    h = c = jnp.zeros((batch, units), x.dtype)",
        "i, f, g, o = jnp.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)",
        ("jax.nn.sigmoid", "jnp.tanh"),
        (
            'keep = 1.0 - case.rate("output")\n    y = jnp.stack(steps, axis=1)\n'
            "    if keep < 1.0:\n"
            "        y = jnp.where(jax.random.bernoulli(case.key, keep, y.shape), y / keep, 0.0)"
        ),
    ),
    "numpy": (
        "import numpy as np\n\n\ndef sigmoid(z):\n    return 1.0 / (1.0 + np.exp(-z))",
        "    h = c = np.zeros((batch, units), x.dtype)",
        "i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)",
        ("sigmoid", "np.tanh"),
        (
            'keep = x.dtype.type(1.0 - case.rate("output"))\n    y = np.stack(steps, axis=1)\n'
            "    if keep < 1.0:\n"
            "        y = y * case.rng.bernoulli(keep, y.shape) / keep"
        ),
    ),
}

_PORT = '''"""A port to compare: replace the loop in `run` by your own layer, and run the case beside this file.

`case` has: inputs ("x", and "h0", "c0" where the case gives them; batch-major), weights ("kernel" (I, 4H), "recurrent_kernel"
(H, 4H), "bias" (4H,), gates in the order i, f, g, o), config, dropout (the list of sites), rate(site), mode, training, {source}.
Return the outputs by name, batch-major. Gradients are taken through the call{gradients}.
"""

{imports}


def run(case):
    x = case.inputs["x"]
    kernel, recurrent, bias = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    batch, time, _ = x.shape
    units = recurrent.shape[0]
{start}
    steps = []
    for t in range(time):
        {step}
        c = {sigmoid}(f) * c + {sigmoid}(i) * {tanh}(g)
        h = {sigmoid}(o) * {tanh}(c)
        steps.append(h)
    {output}
    return {{"y": y, "h": h, "c": c}}
'''

_KERAS = '''"""A Keras model to compare: replace `model` by your own, and run the case beside this file.

`case` has: inputs ("x", and "h0", "c0" where the case gives them; batch-major), weights ("kernel" (I, 4H), "recurrent_kernel"
(H, 4H), "bias" (4H,), gates in the order i, f, g, o), config, dropout (the list of sites), rate(site), mode, training, {source}.
Return the outputs by name, batch-major. The model is called with the case's tensors in the place of its variables
(`stateless_call`), so that gradients reach them: `set_weights` would cut them off.
"""

{imports}


def model(case):
    x = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    y, h, c = keras.layers.LSTM(case.config["units"], return_sequences=True, return_state=True, dtype=case.dtype)(x)
    y = keras.layers.Dropout(case.rate("output"){seed}, dtype=case.dtype)(y)
    return keras.Model(x, [y, h, c])


def run(case):
    net = case.keep(lambda: model(case))
    # In the order of net.trainable_variables.
    weights = [case.weights[name] for name in ("kernel", "recurrent_kernel", "bias")]
    # The states of the layers' seed generators are among the others.
    {states}
    (y, h, c), {later} = net.stateless_call(weights, states, case.inputs["x"], training=case.training){assigned}
    return {{"y": y, "h": h, "c": c}}
'''

_CASE = """about: Does my port mean the same LSTM with dropout on its output as the layers it was written after?
layer: lstm
config: {{units: 6, return_sequences: true, return_state: true}}
dropout:
  - {{at: output, rate: 0.4}}
inputs:
  x: {{shape: [4, 7, 5], fill: normal, seed: 1}}
weights: {{fill: uniform, seed: 2}}
seeds: [0, 1]
{gradients}matrix: {{draws: [native, replay]}}
backends:
  - {{name: my-port, framework: {framework}, target: "{file}:run"}}
  - numpy
"""


@click.command(epilog="\b\nExamples:\n  harness init my_port.py --framework torch\n  harness run my_port.yaml")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.py")
@click.option(
    "--framework",
    type=click.Choice(FRAMEWORKS),
    default="torch",
    show_default=True,
    help="What it is in; keras: on $KERAS_BACKEND.",
)
def init(file: Path, framework: str) -> int:
    """Write a port to fill in, and beside it a case that compares it.

    The port as written is right, so `harness run` passes; docs/own-code.md tells the rest. Existing files are never overwritten.
    """
    from harness.errors import UserError
    from harness.reporting.files import write_whole

    if file.suffix != ".py":
        raise UserError(f"{file}: a port is a Python file; name it {file.with_suffix('.py')}")
    case = file.with_suffix(".yaml")
    for path in (file, case):
        if path.exists():
            raise UserError(f"{path} exists already; nothing was written")
    if not file.parent.is_dir():
        raise UserError(f"{file.parent}: no such folder")
    backend = keras_backend() if framework == "keras" else framework
    gradients = "gradients: false\n" if framework == "numpy" else ""
    port = _keras(backend) if framework == "keras" else _looped(framework)
    case_text = _CASE.format(framework=backend, file=file.name, gradients=gradients)
    write_whole(file, port)
    write_whole(case, case_text)
    click.echo(f"{file}\n{case}")
    return 0


def _looped(framework: str) -> str:
    """A port that loops over the steps."""
    imports, start, step, (sigmoid, tanh), output = _STEP[framework]
    gradients = ', or returned under the key "gradients", by name of input and weight' if framework == "numpy" else ""
    return _PORT.format(
        imports=imports,
        start=start,
        step=step,
        sigmoid=sigmoid,
        tanh=tanh,
        output=output,
        source={"jax": "key", "numpy": "rng"}.get(framework, "seed"),
        gradients=gradients,
    )


def keras_backend() -> str:
    """What Keras runs on. Raises UserError where $KERAS_BACKEND names what is no backend of ours."""
    from harness.errors import UserError

    found = os.environ.get("KERAS_BACKEND", KERAS_ON)
    if found not in ("tensorflow", "torch", "jax"):
        raise UserError(f"$KERAS_BACKEND is {found!r}; a case has tensorflow, torch and jax")
    return found


def _keras(backend: str) -> str:
    """A port around a Keras model. In JAX the states of its seeds are made of the case's key."""
    if backend == "jax":
        states = """keys = jax.random.split(case.key, len(net.non_trainable_variables))
    states = [jax.random.key_data(key) for key in keys]"""
        return _KERAS.format(
            imports="import jax\nimport keras", seed="", states=states, later="_", assigned="", source="key"
        )
    assigned = """
    for variable, value in zip(net.non_trainable_variables, later):
        # A further call draws on from here.
        variable.assign(value)"""
    states = "states = [variable.value for variable in net.non_trainable_variables]"
    return _KERAS.format(
        imports="import keras", seed=", seed=case.seed", states=states, later="later", assigned=assigned, source="seed"
    )
