"""`keras.layers.GRU` and `SimpleRNN`, and tf_keras's: one layer, one state, dropout at the input, the state and the output.

https://keras.io/api/layers/recurrent_layers/gru/ . Keras 3's GRU draws as its LSTM: one input mask for all gates, or with
`recurrent_dropout` or implementation 1 three, then three for h; its SimpleRNN one and one. tf_keras draws three masks a kind (one
in SimpleRNN) on the paths of its LSTM (harness.adapters.tf_keras_lstm). The gates' order, z, r, h, is canonical; with
`reset_after` the layer has one bias (2, 3H), the canonical bias over the canonical recurrent bias.

Import policy: Keras is imported inside functions only.
"""

import sys
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.adapters.base import PLAIN_SETTINGS, Adapter, Job, Outcome, SiteSpec, Unsupported, implementation
from harness.adapters.keras3_load import load as load_keras
from harness.adapters.keras3_run import KerasAdapter, keras_implementation, precision
from harness.adapters.keras3_stack import rate_of
from harness.adapters.tensorflow_arrays import load, tensors
from harness.adapters.tensorflow_base import Network, TensorFlowAdapter, Tensors, refuse_rate_one
from harness.tape import BERNOULLI, UNUSED, Slot


class Simple(Adapter):
    """What both Keras share. `gates`: how many masks a kind has; `name`: of the layer."""

    sites = ("input", "state.h", "output")
    gates = 1
    name = ""

    def check(self, job: Job) -> None:
        super(Simple, self).check(job)
        site = job.site("output")
        if site is not None and not job.config.get("return_sequences") and site.shape[1] != 1:
            raise Unsupported("Dropout on a last output (B, H) draws no mask for the other steps")
        if self.option(job, "implementation") not in self.implementations():
            raise Unsupported("%s has no implementation %r" % (self.name, self.option(job, "implementation")))

    def implementations(self) -> Tuple[Any, ...]:
        """What option `implementation` may be; None: the default."""
        return (None, 1, 2) if self.gates > 1 else (None,)

    def cell_of(self, layer: Any) -> Any:
        """What holds the layer's weights."""
        return layer.cell

    def sizes(self, job: Job) -> Tuple[int, int, int, int]:
        """Batch, steps, input features, units."""
        batch, time, features = job.inputs["x"].shape
        return batch, time, features, int(job.config["units"])

    def masks(self, at: str, used: int, mask: Tuple[int, int], steps: int, step: int) -> List[Slot]:
        """The slots of one kind's masks (B, F) at one step: of the gates that have one of their own, then unused ones."""
        batch, width = mask
        lead: Tuple[int, ...] = (used,) if self.gates > 1 else ()
        found = []
        for gate in range(used):
            place = (gate,) if self.gates > 1 else ()
            found.append(Slot(at, BERNOULLI, mask, (*lead, batch, steps, width), (*place, slice(None), step)))
        return found

    def output_slots(self, job: Job) -> List[Slot]:
        """The draw of the Dropout layer on top."""
        site = job.site("output")
        if site is None or not job.train or not 0.0 < site.rate < 1.0:
            return []
        batch, _, units = site.shape
        shape = tuple(site.shape) if job.config.get("return_sequences") else (batch, units)
        return [Slot("output", BERNOULLI, shape, tuple(site.shape))]

    def arguments(self, job: Job) -> Dict[str, Any]:
        """The layer's arguments."""
        found: Dict[str, Any] = {
            "units": int(job.config["units"]),
            "dropout": rate_of(job, "input"),
            "recurrent_dropout": rate_of(job, "state.h"),
            "return_sequences": bool(job.config.get("return_sequences")),
            "return_state": True,
            "unroll": bool(self.option(job, "unroll")),
            # No initialiser may draw: weights are assigned, and a draw would stand on the tape.
            "kernel_initializer": "zeros",
            "recurrent_initializer": "zeros",
            "dtype": job.dtype,
        }
        if self.gates > 1:
            found["reset_after"] = bool(job.config.get("reset_after"))
        if self.option(job, "implementation") is not None:
            found["implementation"] = self.option(job, "implementation")
        return found

    def layers(self, keras: Any, job: Job, arguments: Dict[str, Any], seed: Dict[str, Any]) -> Network:
        """The layer, and a Dropout layer on its output where the case has one."""
        layer = getattr(keras.layers, self.name)(**arguments)
        layer.build((None, None, job.inputs["x"].shape[2]))
        variables = {name: getattr(self.cell_of(layer), name) for name in ("kernel", "recurrent_kernel", "bias")}
        site = job.site("output")
        dropout = None if site is None else self.dropout(keras, job, site, seed)

        def forward(inputs: Tensors) -> Tensors:
            initial = [inputs["h0"]] if "h0" in inputs else None
            y, h = layer(inputs["x"], initial_state=initial, training=job.train)
            if dropout is not None:
                y = dropout(y, training=job.train)
            return {"y": y, "h": h} if job.config.get("return_state") else {"y": y}

        return Network(variables, [layer] + ([] if dropout is None else [dropout]), forward)

    def dropout(self, keras: Any, job: Job, site: SiteSpec, seed: Dict[str, Any]) -> Any:
        """The Dropout layer on top."""
        batch, _, units = site.shape
        shape = tuple(site.shape) if job.config.get("return_sequences") else (batch, units)
        return keras.layers.Dropout(site.rate, noise_shape=shape if site.shared else None, dtype=job.dtype, **seed)


def joined(job: Job) -> Job:
    """The job with the two biases of a GRU that resets after the product in one array, as Keras has them."""
    if "recurrent_bias" not in job.weights:
        return job
    weights = dict(job.weights)
    weights["bias"] = np.stack([weights["bias"], weights.pop("recurrent_bias")])
    return job._replace(weights=weights)


def parted(job: Job, outcome: Outcome) -> Outcome:
    """The gradient of a joined bias as those of the canonical two."""
    if "recurrent_bias" not in job.weights or not outcome.gradients:
        return outcome
    gradients = dict(outcome.gradients)
    gradients["bias"], gradients["recurrent_bias"] = gradients["bias"]
    return Outcome(outcome.outputs, gradients)


class Keras3Simple(Simple, KerasAdapter):
    """Keras 3, on its three backends."""

    options = dict(KerasAdapter.options, implementation=None, unroll=False)
    settings = (*PLAIN_SETTINGS, "reset_after")

    def check(self, job: Job) -> None:
        super(Keras3Simple, self).check(job)
        forced = self.option(job, "implementation") == 1 and job.train
        if forced and rate_of(job, "input") > 0.0 and rate_of(job, "state.h") == 0.0:
            raise Unsupported("Keras 3 raises here: its fast path takes the list of three masks for one")

    def slots(self, job: Job) -> List[Slot]:
        batch, _, features, units = self.sizes(job)
        below, state = rate_of(job, "input"), rate_of(job, "state.h")
        each = state > 0.0 or self.option(job, "implementation") == 1
        found: List[Slot] = []
        if 0.0 < below < 1.0:
            found += self.masks("input", self.gates if each else 1, (batch, features), 1, 0)
        if 0.0 < state < 1.0:
            found += self.masks("state.h", self.gates, (batch, units), 1, 0)
        return found + self.output_slots(job)

    def network(self, keras: Any, job: Job) -> Network:
        seed = {"seed": job.seed}
        return self.layers(keras, job, dict(self.arguments(job), **seed), seed)

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        keras = load_keras(job.backend)
        with precision(job):
            layer = self.prepared(keras, joined(job)).layers[0]
            inputs = {name: keras.ops.convert_to_tensor(array) for name, array in job.inputs.items()}
            initial = [inputs["h0"]] if "h0" in inputs else None
            state = layer(inputs["x"], initial_state=initial, training=False)[1]
            held = [(variable.path.split("/")[-1], variable) for variable in layer.trainable_weights]
            return {name: np.array(keras.ops.convert_to_numpy(value)) for name, value in [*held, ("state0", state)]}

    def call(self, job: Job) -> Outcome:
        return parted(job, super(Keras3Simple, self).call(joined(job)))


@keras_implementation("keras.layers.GRU", "gru")
class Gru(Keras3Simple):
    """`keras.layers.GRU`; options as its arguments."""

    name, gates = "GRU", 3


@keras_implementation("keras.layers.SimpleRNN", "simple_rnn")
class SimpleRnn(Keras3Simple):
    """`keras.layers.SimpleRNN`."""

    name = "SimpleRNN"


class TfKerasSimple(Simple, TensorFlowAdapter):
    """tf_keras."""

    options = dict(TensorFlowAdapter.options, implementation=None, unroll=False)
    settings = (*PLAIN_SETTINGS, "reset_after")
    modules: Sequence[str] = ("tf_keras",)

    def check(self, job: Job) -> None:
        super(TfKerasSimple, self).check(job)
        refuse_rate_one(job, load(*self.modules))

    def fused(self, job: Job) -> bool:
        """Whether the GRU takes its default path, which draws (B, T, D)."""
        plain = rate_of(job, "state.h") == 0.0 and not self.option(job, "unroll")
        return self.gates > 1 and plain and bool(job.config.get("reset_after"))

    def redraws(self, job: Job) -> bool:
        """Whether the general loop draws anew at every step."""
        return bool(self.option(job, "tf_function")) and not self.option(job, "unroll")

    def trips(self, job: Job) -> Sequence[int]:
        return (job.inputs["x"].shape[1],)

    def slots(self, job: Job) -> List[Slot]:
        if not job.train:
            return []
        batch, time, features, units = self.sizes(job)
        below, state = rate_of(job, "input"), rate_of(job, "state.h")
        if self.fused(job):
            shape = (batch, time, features)
            thrown = [Slot(UNUSED, BERNOULLI, shape, shape)] * (self.gates - 1)
            first = [Slot("input", BERNOULLI, shape, (1, *shape), (0,)), *thrown]
            return (first if below > 0.0 else []) + self.output_slots(job)
        used = self.gates if self.forced(state) or self.option(job, "implementation") == 1 else 1
        kinds = [("input", (batch, features))] if below > 0.0 else []
        kinds += [("state.h", (batch, units))] if state > 0.0 else []
        found: List[Slot] = []
        if self.redraws(job):
            found += [Slot(UNUSED, BERNOULLI, mask, mask) for _, mask in kinds for _ in range(self.gates)]
        steps = time if self.redraws(job) else 1
        for step in range(steps):
            for at, mask in kinds:
                found += self.masks(at, used, mask, steps, step)
                found += [Slot(UNUSED, BERNOULLI, mask, mask)] * (self.gates - used)
        return found + self.output_slots(job)

    def keras(self) -> Any:
        """The Keras 2 that is meant."""
        return sys.modules["tf_keras"]

    def forced(self, state: float) -> bool:
        """Whether a rate of recurrent dropout forces implementation 1."""
        return state > 0.0

    def network(self, tf: Any, job: Job) -> Network:
        network = self.layers(self.keras(), job, self.arguments(job), {})
        for name, variable in network.variables.items():
            variable.assign(tf.constant(job.weights[name], dtype=job.dtype))
        return network

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        layer = self.network(load(*self.modules), joined(job)).layers[0]
        inputs = tensors(job.inputs)
        initial = [inputs["h0"]] if "h0" in inputs else None
        state = layer(inputs["x"], initial_state=initial, training=False)[1]
        held = [(variable.name.split("/")[-1].split(":")[0], variable) for variable in layer.trainable_weights]
        return {name: np.array(value.numpy()) for name, value in [*held, ("state0", state)]}

    def call(self, job: Job) -> Outcome:
        return parted(job, super(TfKerasSimple, self).call(joined(job)))


@implementation("tf_keras.layers.GRU", ["tensorflow"], "gru", needs=["tensorflow", "tf_keras"])
class TfKerasGru(TfKerasSimple):
    """`tf_keras.layers.GRU`; options as its arguments."""

    name, gates = "GRU", 3


@implementation("tf_keras.layers.SimpleRNN", ["tensorflow"], "simple_rnn", needs=["tensorflow", "tf_keras"])
class TfKerasSimpleRnn(TfKerasSimple):
    """`tf_keras.layers.SimpleRNN`."""

    name = "SimpleRNN"
