"""TensorFlow 1's LSTM cells under `dynamic_rnn` and `static_rnn`, with `DropoutWrapper`, as `lstm`.

https://github.com/tensorflow/tensorflow/blob/v1.8.0/tensorflow/python/ops/rnn_cell_impl.py . Sites: `input`, `output` (in a
stack also `between_layers`) and the state that leaves a step, `state.h` and `state.c`, so `drop_leaving_state` must be set.
TensorFlow 1.3 drops every state, and its mask of c is recorded as a draw at `state.c` also where the case has no such site; 1.8
drops all but c, unless its `dropout_state_filter_visitor` says otherwise, which it does here where the case has `state.c`.
Options:

    runner               `dynamic_rnn` or `static_rnn`.
    eager                run eagerly (1.8).
    variational          `variational_recurrent`: one mask (1, n) for the whole batch and every step.
    parallel_iterations  of dynamic_rnn. Its default in TensorFlow, 32, gives the draws of one node no order across steps; here
                         it is 1, which orders them.

Seeds: each layer's DropoutWrapper gets `seed=job.seed + layer`, from which it derives one op seed for each thing it drops.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from harness.adapters._dropout_wrapper import Shape, Wrapped
from harness.adapters.base import PLAIN_SETTINGS, Job, Outcome, Unsupported, implementation
from harness.adapters.tensorflow1_base import RULE, Tensors, given_variables, igfo, require_eager, require_one, run
from harness.adapters.tensorflow_arrays import load
from harness.adapters.tensorflow_tap import TensorFlowTap
from harness.tape import Draw

#: A cell's variable by the last parts of its name: canonical weights, how they are joined.
PEEPHOLES = {"w_i_diag": "peephole_i", "w_f_diag": "peephole_f", "w_o_diag": "peephole_o"}


class Cells(Wrapped):
    """One cell class of `tf.contrib.rnn`."""

    options = {"runner": "dynamic_rnn", "eager": False, "variational": False, "parallel_iterations": 1}
    states = ("state.c", "state.h")
    recalls = True
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "forget_bias", "padding", "drop_leaving_state")
    name = ""

    def __init__(self) -> None:
        self._tap: Optional[TensorFlowTap] = None

    def check(self, job: Job) -> None:
        super(Cells, self).check(job)
        found = require_one("tf.contrib.rnn." + self.name)
        if self.option(job, "eager"):
            require_eager(found)
        if self.option(job, "runner") not in ("dynamic_rnn", "static_rnn"):
            raise Unsupported("option runner is dynamic_rnn or static_rnn, not %r" % (self.option(job, "runner"),))
        if "parallel_iterations" in job.options and (
            self.option(job, "runner") == "static_rnn" or self.option(job, "eager")
        ):
            raise Unsupported(
                "parallel_iterations is of dynamic_rnn in a graph: elsewhere the steps run one after another"
            )
        if job.config.get("padding") not in (None, "zeros"):
            raise Unsupported("dynamic_rnn and static_rnn emit zeros after the end of a sequence")
        if job.dtype == "bfloat16":
            raise Unsupported("TensorFlow 1's cells have no bfloat16")
        self.check_wrapper(job)

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        self._tap = TensorFlowTap(replay, rule=RULE)
        return self._tap

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

    def stack(self, tf: Any, job: Job) -> Any:
        """The wrapped cells, as one cell."""
        sizes = self.sizes(job)
        cells = []
        for layer in range(sizes.layers):
            cell = self.cell(tf.contrib.rnn, job)
            if self.wrapped(job):
                cell = tf.contrib.rnn.DropoutWrapper(cell, **self.wrapper(tf, job, layer))
            cells.append(cell)
        return cells[0] if sizes.layers == 1 else tf.contrib.rnn.MultiRNNCell(cells)

    def wrapper(self, tf: Any, job: Job, layer: int) -> Dict[str, Any]:
        arguments = super(Cells, self).wrapper(tf, job, layer)
        if job.site("state.c") is not None and require_one("DropoutWrapper") >= (1, 4):
            arguments["dropout_state_filter_visitor"] = lambda state: True
        return arguments

    def call(self, job: Job) -> Outcome:
        tf = load()
        assert self._tap is not None
        self._tap.program.trips = (self.sizes(job).time,)

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            return self.forward(tf, job, inputs, weights)

        return run(job, forward, self._tap, bool(self.option(job, "eager")))

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The variables that the cells ask for, and the parts of the state that the runner returns, in their order."""
        tf = load()
        asked: Tensors = {}

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            self.forward(tf, job, inputs, weights, asked)
            # A loop asks for its variables inside of it, from where nothing can be fetched.
            for name in [name for name, tensor in asked.items() if tensor is None]:
                short = name.split("/", 1)[-1]
                asked[short] = self.variable(tf, self.sizes(job), weights, name)
                if short != name:
                    del asked[name]
            return asked

        return run(job, forward, self.tap(None), bool(self.option(job, "eager"))).outputs

    def forward(
        self,
        tf: Any,
        job: Job,
        inputs: Tensors,
        weights: Tensors,
        asked: Optional[Tensors] = None,
        scope: str = "harness",
    ) -> Tensors:
        """Run the cells over the sequence; states come and go as (c, h). `asked` gets what is TensorFlow's own."""
        sizes = self.sizes(job)

        def find(name: str) -> Any:
            if asked is not None:
                asked[name] = None
            return self.variable(tf, sizes, weights, name)

        with given_variables(tf, scope, find):
            cell = self.stack(tf, job)
            state = self.start(tf, job, inputs)
            lengths = tf.cast(inputs["lengths"], tf.int32) if "lengths" in inputs else None
            if self.option(job, "runner") == "dynamic_rnn":
                iterations = int(self.option(job, "parallel_iterations"))
                y, last = tf.nn.dynamic_rnn(
                    cell, inputs["x"], sequence_length=lengths, initial_state=state, parallel_iterations=iterations
                )
            else:
                steps = tf.unstack(inputs["x"], axis=1)
                emitted, last = tf.contrib.rnn.static_rnn(cell, steps, initial_state=state, sequence_length=lengths)
                y = tf.stack(emitted, axis=1)
        outputs = {"y": y if job.config.get("return_sequences") else y[:, -1]}
        states = [last] if sizes.layers == 1 else list(last)
        if asked is not None:
            parts_of = [list(state) for state in states]
            for index, same_part in enumerate(zip(*parts_of)):
                asked["state%d" % index] = same_part[0] if sizes.layers == 1 else tf.stack(same_part)
        if job.config.get("return_state"):
            for name, index in (("h", 1), ("c", 0)):
                parts = [state[index] for state in states]
                outputs[name] = parts[0] if sizes.layers == 1 else tf.stack(parts)
        return outputs

    def start(self, tf: Any, job: Job, inputs: Tensors) -> Any:
        """The initial state, zeros where the job gives none."""
        sizes = self.sizes(job)
        states = []
        for layer in range(sizes.layers):
            parts = []
            for name, width in (("c0", sizes.units), ("h0", sizes.emitted)):
                given = inputs.get(name)
                if given is None:
                    parts.append(tf.zeros((sizes.batch, width), job.dtype))
                else:
                    parts.append(given if sizes.layers == 1 else given[layer])
            states.append(tf.contrib.rnn.LSTMStateTuple(*parts))
        return states[0] if sizes.layers == 1 else tuple(states)

    def variable(self, tf: Any, sizes: Shape, weights: Tensors, name: str) -> Any:
        """The variable that a cell asks for by its full name, from the canonical weights."""
        parts = name.split("/")
        prefix = ""
        if sizes.layers > 1:
            layer = next(int(part[len("cell_") :]) for part in parts if part.startswith("cell_"))
            prefix = "layer%d." % layer
        if parts[-2:] == ["projection", "kernel"]:
            return weights[prefix + "projection"]
        if parts[-1] == "kernel":
            return igfo(tf, tf.concat([weights[prefix + "kernel"], weights[prefix + "recurrent_kernel"]], axis=0))
        if parts[-1] == "bias":
            return igfo(tf, weights[prefix + "bias"])
        return weights[prefix + PEEPHOLES[parts[-1]]]


@implementation("tf.contrib.rnn.LSTMCell", ["tensorflow"], "lstm", needs=["tensorflow<2"])
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
class BasicLSTMCell(Cells):
    """`BasicLSTMCell(num_units, forget_bias)`: no peepholes, no clipping, no projection."""

    name = "BasicLSTMCell"

    def cell(self, rnn: Any, job: Job) -> Any:
        return rnn.BasicLSTMCell(int(job.config["units"]), **self.arguments(job))


@implementation("tf.contrib.rnn.LSTMBlockCell", ["tensorflow"], "lstm", needs=["tensorflow<2"])
class LSTMBlockCell(Cells):
    """`LSTMBlockCell(num_units, forget_bias, use_peephole, cell_clip)`: one fused op a step, float32."""

    settings = (*Cells.settings, "peepholes", "cell_clip")
    name = "LSTMBlockCell"

    def check(self, job: Job) -> None:
        super(LSTMBlockCell, self).check(job)
        if job.dtype != "float32":
            raise Unsupported("LSTMBlockCell makes float32 states, not %s" % job.dtype)
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
