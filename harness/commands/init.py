"""`harness init`: a port to fill in, and a case that compares it."""

from __future__ import annotations

from pathlib import Path

import click

FRAMEWORKS = ("torch", "tensorflow", "jax", "numpy")

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
@click.option("--framework", type=click.Choice(FRAMEWORKS), default="torch", show_default=True, help="What it is in.")
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
    imports, start, step, (sigmoid, tanh), output = _STEP[framework]
    own = framework == "numpy"
    port = _PORT.format(
        imports=imports,
        start=start,
        step=step,
        sigmoid=sigmoid,
        tanh=tanh,
        output=output,
        source={"jax": "key", "numpy": "rng"}.get(framework, "seed"),
        gradients=', or returned under the key "gradients", by name of input and weight' if own else "",
    )
    write_whole(file, port)
    write_whole(case, _CASE.format(framework=framework, file=file.name, gradients="gradients: false\n" if own else ""))
    click.echo(f"{file}\n{case}")
    return 0
