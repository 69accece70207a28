"""TensorFlow 1's LSTM cells under `dynamic_rnn` and `static_rnn`, with `DropoutWrapper`, as `lstm` and `encoder_decoder`.

https://github.com/tensorflow/tensorflow/blob/v1.8.0/tensorflow/python/ops/rnn_cell_impl.py . Sites: `input`, `output` (in a
stack also `between_layers`) and the state that leaves a step, `state.h` and `state.c`, so `drop_leaving_state` must be set.
TensorFlow 1.3 drops every state, and its mask of c is recorded as a draw at `state.c` also where the case has no such site; 1.8
drops all but c, unless its `dropout_state_filter_visitor` says otherwise, which it does here where the case has `state.c`.
Nothing depends on what an encoder emits, so a graph does not draw its mask. Options:

    runner               `dynamic_rnn` or `static_rnn`.
    eager                run eagerly (1.8).
    variational          `variational_recurrent`: one mask (1, n) for the whole batch and every step.
    parallel_iterations  of dynamic_rnn. Its default in TensorFlow, 32, gives the draws of one node no order across steps; here
                         it is 1, which orders them.

Seeds: each layer's DropoutWrapper gets `seed=job.seed + layer`, from which it derives one op seed for each thing it drops; a
decoder's go on where the encoder's end.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, Outcome, Unsupported, implementation
from harness.frameworks.contract.geometry import Geometry, outputs_of
from harness.frameworks.tensorflow.arrays import load
from harness.frameworks.tensorflow.graphs import (
    RULE,
    Tensors,
    check_draws,
    given_variables,
    igfo,
    require_eager,
    require_one,
    run,
)
from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.frameworks.tensorflow.wrapper_options import Wrapped
from harness.tape import Draw

#: A cell's variable by the last parts of its name: canonical weights, how they are joined.
PEEPHOLES = {"w_i_diag": "peephole_i", "w_f_diag": "peephole_f", "w_o_diag": "peephole_o"}


class Cells(Wrapped):
    """One cell class of `tf.contrib.rnn`."""

    options = {"runner": "dynamic_rnn", "eager": False, "variational": False, "parallel_iterations": 1}
    states = ("state.c", "state.h")
    sites = (
        *Wrapped.sites,
        "encoder.input",
        "encoder.between_layers",
        "decoder.input",
        "decoder.between_layers",
        "decoder.output",
    )
    recalls = True
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "forget_bias", "padding", "drop_leaving_state")
    values = {"padding": ("zeros",)}
    dtypes: Tuple[str, ...] = ("float16", "float32", "float64")
    versions = ("tensorflow<2",)
    because = {"padding": "dynamic_rnn and static_rnn emit zeros after the end of a sequence"}
    name = ""

    def check(self, job: Job) -> None:
        super().check(job)
        found = require_one("tf.contrib.rnn." + self.name)
        if self.option(job, "eager"):
            require_eager(found)
        if "parallel_iterations" in job.options and (
            self.option(job, "runner") == "static_rnn" or self.option(job, "eager")
        ):
            raise Unsupported(
                "parallel_iterations is of dynamic_rnn in a graph: elsewhere the steps run one after another"
            )
        self.check_wrapper(job)
        check_draws(job)

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        return TensorFlowTap(replay, rule=RULE)

    def both_states(self, job: Job) -> bool:
        return job.site("state.c") is not None or require_one("DropoutWrapper") < (1, 4)

    def drawn_early(self, job: Job) -> bool:
        # A session runs only what is used.
        return bool(self.option(job, "eager"))

    def cell(self, rnn: Any, job: Job) -> Any:
        """One cell without dropout; `rnn` is tf.contrib.rnn."""
        raise NotImplementedError

    def arguments(self, job: Job) -> Dict[str, Any]:
        """Arguments that every cell has."""
        return {"forget_bias": float(job.config.get("forget_bias") or 0.0)}

    def stack(self, tf: Any, job: Job, stack: Geometry) -> Any:
        """The wrapped cells of one stack, as one cell."""
        cells = []
        for layer in range(stack.layers):
            cell = self.cell(tf.contrib.rnn, job)
            if self.wrapped(job, stack):
                cell = tf.contrib.rnn.DropoutWrapper(cell, **self.wrapper(tf, job, stack, layer))
            cells.append(cell)
        return cells[0] if stack.layers == 1 else tf.contrib.rnn.MultiRNNCell(cells)

    def wrapper(self, tf: Any, job: Job, stack: Geometry, layer: int) -> Dict[str, Any]:
        arguments = super().wrapper(tf, job, stack, layer)
        if job.site("state.c") is not None and require_one("DropoutWrapper") >= (1, 4):
            arguments["dropout_state_filter_visitor"] = lambda state: True
        return arguments

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        tf = load()
        tap.program.trips = tuple(stack.time for stack in job.stacks if self.stack_slots(job, stack))

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            return self.forward(tf, job, inputs, weights)

        return run(job, forward, tap, bool(self.option(job, "eager")))

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The variables that the cells ask for, and the parts of the state that the runner returns, in their order."""
        if len(job.stacks) > 1:
            return {}
        tf = load()
        asked: Tensors = {}

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            self.forward(tf, job, inputs, weights, asked)
            # A loop asks for its variables inside of it, from where nothing can be fetched.
            for name in [name for name, tensor in asked.items() if tensor is None]:
                short = name.split("/", 1)[-1]
                asked[short] = variable(tf, job.stacks[0], weights, name)
                if short != name:
                    del asked[name]
            return asked

        return run(job, forward, self.tap(None), bool(self.option(job, "eager"))).outputs

    def forward(self, tf: Any, job: Job, inputs: Tensors, weights: Tensors, asked: Optional[Tensors] = None) -> Tensors:
        """Run every stack over its sequence, from the states of the one before. `asked` gets what is TensorFlow's own."""
        first, last = job.stacks[0], []
        zeros = {name: tf.zeros(first.state_shape(name), job.dtype) for name in first.states}
        state = [first.parted(inputs.get(name + "0", zeros[name])) for name in first.states]
        for stack in job.stacks:
            y, state = self.run_stack(tf, job, stack, inputs, weights, state, asked)
            last.append([stack.joined(rows, tf.stack) for rows in state])
        if asked is not None:
            asked.update(("state%d" % index, part) for index, part in enumerate(reversed(last[-1])))
        return outputs_of(job.stacks, job.config, y, last, lambda parts: parts)

    def run_stack(
        self,
        tf: Any,
        job: Job,
        stack: Geometry,
        inputs: Tensors,
        weights: Tensors,
        state: Any,
        asked: Optional[Tensors],
    ) -> Tuple[Any, Any]:
        """Run one stack; states, h and c by layer, come and go in its cells as (c, h)."""

        def find(name: str) -> Any:
            if asked is not None:
                asked[name] = None
            return variable(tf, stack, weights, name)

        x = inputs[stack.sequence]
        with given_variables(tf, stack.sites.rstrip(".") or "harness", find):
            cell = self.stack(tf, job, stack)
            pairs = [tf.contrib.rnn.LSTMStateTuple(c, h) for (h,), (c,) in zip(*state)]
            start = pairs[0] if stack.layers == 1 else tuple(pairs)
            lengths = tf.cast(inputs["lengths"], tf.int32) if "lengths" in inputs else None
            if self.option(job, "runner") == "dynamic_rnn":
                iterations = int(self.option(job, "parallel_iterations"))
                y, last = tf.nn.dynamic_rnn(
                    cell, x, sequence_length=lengths, initial_state=start, parallel_iterations=iterations
                )
            else:
                steps = tf.unstack(x, axis=1)
                emitted, last = tf.contrib.rnn.static_rnn(cell, steps, initial_state=start, sequence_length=lengths)
                y = tf.stack(emitted, axis=1)
        layers = [last] if stack.layers == 1 else list(last)
        return y, [[[h] for _, h in layers], [[c] for c, _ in layers]]


def variable(tf: Any, stack: Geometry, weights: Tensors, name: str) -> Any:
    """The variable that a cell of a stack asks for by its full name, from the canonical weights."""
    parts = name.split("/")
    prefix = stack.prefix(next((int(part[len("cell_") :]) for part in parts if part.startswith("cell_")), 0))
    if parts[-2:] == ["projection", "kernel"]:
        return weights[prefix + "projection"]
    if parts[-1] == "kernel":
        return igfo(tf, tf.concat([weights[prefix + "kernel"], weights[prefix + "recurrent_kernel"]], axis=0))
    if parts[-1] == "bias":
        return igfo(tf, weights[prefix + "bias"])
    return weights[prefix + PEEPHOLES[parts[-1]]]


@implementation("tf.contrib.rnn.LSTMCell", ["tensorflow"], "lstm", needs=["tensorflow<2"])
@implementation("tf.contrib.rnn.LSTMCell", ["tensorflow"], "encoder_decoder", needs=["tensorflow<2"])
class LSTMCell(Cells):
    """`LSTMCell(num_units, use_peepholes, cell_clip, num_proj, proj_clip, forget_bias)`."""

    settings = (*Cells.settings, "peepholes", "cell_clip", "projection", "projection_clip")
    name = "LSTMCell"

    def cell(self, rnn: Any, job: Job) -> Any:
        return rnn.LSTMCell(
            int(job.config["units"]),
            use_peepholes=bool(job.config.get("peepholes")),
            cell_clip=job.config.get("cell_clip"),
            num_proj=job.config.get("projection"),
            proj_clip=job.config.get("projection_clip"),
            **self.arguments(job),
        )


@implementation("tf.contrib.rnn.BasicLSTMCell", ["tensorflow"], "lstm", needs=["tensorflow<2"])
@implementation("tf.contrib.rnn.BasicLSTMCell", ["tensorflow"], "encoder_decoder", needs=["tensorflow<2"])
class BasicLSTMCell(Cells):
    """`BasicLSTMCell(num_units, forget_bias)`: no peepholes, no clipping, no projection."""

    name = "BasicLSTMCell"

    def cell(self, rnn: Any, job: Job) -> Any:
        return rnn.BasicLSTMCell(int(job.config["units"]), **self.arguments(job))


@implementation("tf.contrib.rnn.LSTMBlockCell", ["tensorflow"], "lstm", needs=["tensorflow<2"])
@implementation("tf.contrib.rnn.LSTMBlockCell", ["tensorflow"], "encoder_decoder", needs=["tensorflow<2"])
class LSTMBlockCell(Cells):
    """`LSTMBlockCell(num_units, forget_bias, use_peephole, cell_clip)`: one fused op a step, float32."""

    settings = (*Cells.settings, "peepholes", "cell_clip")
    dtypes = ("float32",)
    name = "LSTMBlockCell"

    def check(self, job: Job) -> None:
        super().check(job)
        if job.config.get("cell_clip") not in (None, 3.0) and require_one("LSTMBlockCell") < (1, 8):
            raise Unsupported("TensorFlow 1.3's LSTMBlockCell clips c at 3 or not at all")

    def cell(self, rnn: Any, job: Job) -> Any:
        arguments = self.arguments(job)
        clip = job.config.get("cell_clip")
        if require_one("LSTMBlockCell") >= (1, 8):
            # -1: no clipping; the op's own default clips c at 3.
            arguments["cell_clip"] = clip or -1
        else:
            arguments["clip_cell"] = bool(clip)
        return rnn.LSTMBlockCell(int(job.config["units"]), use_peephole=bool(job.config.get("peepholes")), **arguments)
