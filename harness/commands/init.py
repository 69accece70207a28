"""`harness init`: a port to fill in, and a case that compares it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from harness.commands import next_step
from harness.frameworks.contract.framework import Framework, apis, frameworks, ported

#: The backends that code can be written in, the one with most ports to compare first; and APIs that run on several.
FRAMEWORKS = (*sorted(ported(), key=lambda name: frameworks()[name].offered), *apis())

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
@click.option(
    "--framework",
    type=click.Choice(FRAMEWORKS),
    default=FRAMEWORKS[0],
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
    api = apis().get(framework)
    backend = framework if api is None else chosen(api)
    record = frameworks()[backend]
    port = _looped(record) if api is None or api.port is None else api.port(backend)
    gradients = "" if record.gradients else "gradients: false\n"
    case_text = _CASE.format(framework=backend, file=file.name, gradients=gradients)
    write_whole(file, port)
    write_whole(case, case_text)
    click.echo(f"{file}\n{case}")
    next_step.say(["harness", "run", str(case)], "passes as written; then put your own layer in")
    return 0


def _looped(record: Framework) -> str:
    """A port that loops over the steps."""
    assert record.template is not None
    own = ', or returned under the key "gradients", by name of input and weight'
    return _PORT.format(**record.template._asdict(), gradients="" if record.gradients else own)


def chosen(api: Framework) -> str:
    """The backend that an API runs on here. Raises UserError where that is no backend of ours."""
    from harness.errors import UserError

    found = os.environ.get(api.chosen_by, api.backends[0])
    if found not in api.backends:
        *most, last = api.backends
        raise UserError(f"${api.chosen_by} is {found!r}; a case has {', '.join(most)} and {last}")
    return found
