"""LSTM layers of a Keras, stacked, with Dropout layers between and after them: what Keras 3 and tf_keras have in common.

The gates' order is i, f, c, o, so the weights are canonical as they are. Masks between layers and on the output are
`Dropout` layers, because the LSTM itself only drops its input and the h that enters a step.

Import policy: no framework is imported here; a Keras comes in as an argument.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.adapters.base import PLAIN_SETTINGS, Adapter, Job, Outcome, SiteSpec, Unsupported
from harness.adapters.tensorflow_base import Network, Tensors
from harness.tape import BERNOULLI, Slot

GATES = 4
#: Arguments of the loop around a cell.
OUTER = ("return_sequences", "return_state", "go_backwards", "stateful")
WEIGHTS = ("kernel", "recurrent_kernel", "bias")
SITES = ("input", "state.h", "between_layers", "output")
HALVES = ("encoder.", "decoder.")


def layer_count(job: Job) -> int:
    """How many LSTM layers a stack of this job has."""
    return int(job.config.get("layers", 1))


def rate_of(job: Job, at: str) -> float:
    """A site's rate; 0 where the case has no such site."""
    site = job.site(at)
    return 0.0 if site is None else float(site.rate)


class Half(object):
    """One stack of a job: the only one (prefix ""), or the encoder or the decoder.

    rates  of layer `index`: (input, state.h).
    """

    def __init__(self, job: Job, sequence: str, prefix: str, sequences: bool) -> None:
        self.job, self.prefix, self.sequences = job, prefix, sequences
        self.batch, self.time, self.features = job.inputs[sequence].shape
        self.units = int(job.config["units"])
        self.layers = layer_count(job)
        self.directions = 2 if job.config.get("bidirectional") else 1

    def site(self, at: str) -> Optional[SiteSpec]:
        """A site of this stack, by its name without the prefix."""
        return self.job.site(self.prefix + at)

    def rates(self, index: int) -> Tuple[float, float]:
        """The rates of layer `index` at its input and at the h that enters a step."""
        below = rate_of(self.job, self.prefix + "input") if index == 0 else 0.0
        return below, rate_of(self.job, self.prefix + "state.h")

    def width(self, index: int) -> int:
        """How many features layer `index` reads."""
        return self.features if index == 0 else self.directions * self.units

    def place(self, index: int, direction: int) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
        """(leading shape, leading index) of a layer's part: an axis of layers in a stack, then one of directions."""
        shape, at = self.way(direction)
        return ((self.layers, *shape), (index, *at)) if self.layers > 1 else (shape, at)

    def way(self, direction: int) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
        """The same in an array that has no axis of layers, such as that of `input`."""
        return ((2,), (direction,)) if self.directions > 1 else ((), ())

    def position(self, step: int, direction: int) -> int:
        """The place in the sequence that is read at a step."""
        backward = direction == 1 or bool(self.job.config.get("go_backwards"))
        return self.time - 1 - step if backward else step

    def dropped(self, at: str) -> Optional[SiteSpec]:
        """The site, if a Dropout layer draws for it in this job."""
        site = self.site(at)
        return site if site is not None and self.job.train and 0.0 < site.rate < 1.0 else None

    def slots(self, of_layer: Callable[[int], List[Slot]]) -> List[Slot]:
        """The draws of the whole stack in order; `of_layer` gives those of one LSTM layer."""
        found: List[Slot] = []
        between, output = self.dropped("between_layers"), self.dropped("output")
        for index in range(self.layers):
            found += of_layer(index)
            if between is not None and index < self.layers - 1:
                mask = tuple(between.shape[1:])
                found.append(Slot(between.at, BERNOULLI, mask, (self.layers - 1, *mask), (index,)))
        if output is not None:
            batch, _, units = output.shape
            mask = tuple(output.shape) if self.sequences else (batch, units)
            found.append(Slot(output.at, BERNOULLI, mask, tuple(output.shape)))
        return found

    def check(self) -> None:
        """Raise Unsupported for a mask that no Dropout layer can draw."""
        site = self.site("output")
        if site is not None and not self.sequences and site.shape[1] != 1:
            raise Unsupported("Dropout on a last output (B, H) draws no mask for the other steps")
        padding = self.job.config.get("padding")
        emitted = "zeros" if self.directions > 1 else "repeat"
        if padding not in (None, emitted) or (padding == "zeros" and not self.sequences):
            raise Unsupported(
                "Keras repeats the last output over padding; only sequences of Bidirectional have zeros there"
            )


class Stack(object):
    """The layers of one half, built, and called in order.

    make     (index, arguments) to one LSTM layer.
    dropout  (site, noise shape) to one Dropout layer.
    cell_of  the layer's cell, which holds the weights.
    """

    def __init__(
        self,
        half: Half,
        make: Callable[[int, Dict[str, Any]], Any],
        dropout: Callable[[SiteSpec, Any], Any],
        cell_of: Callable[[Any], Any],
    ) -> None:
        self.half = half
        self.variables: Dict[str, Any] = {}
        self.recurrent: List[Any] = []
        self._between: Dict[int, Any] = {}
        self.cell_of = cell_of
        between, output = half.site("between_layers"), half.site("output")
        stateful = bool(half.job.config.get("stateful"))
        for index in range(half.layers):
            last = index == half.layers - 1
            below, state = half.rates(index)
            layer = make(
                index,
                {
                    "go_backwards": bool(half.job.config.get("go_backwards")),
                    "stateful": stateful,
                    "units": half.units,
                    "dropout": below,
                    "recurrent_dropout": state,
                    "return_sequences": half.sequences or not last,
                    "return_state": True,
                    # No initialiser may draw: weights are assigned, and a draw would stand on the tape.
                    "kernel_initializer": "zeros",
                    "recurrent_initializer": "zeros",
                    "dtype": half.job.dtype,
                },
            )
            # A layer that keeps its states needs to know their size.
            layer.build((half.batch if stateful else None, None, half.width(index)))
            self.recurrent.append(layer)
            if between is not None and not last:
                self._between[index] = dropout(between, tuple(between.shape[1:]) if between.shared else None)
        if output is not None:
            batch, _, units = output.shape
            shape = tuple(output.shape) if half.sequences else (batch, units)
            self._between[half.layers - 1] = dropout(output, shape if output.shared else None)

    def share(self, other: "Stack") -> None:
        """Use another stack's LSTM layers: tied weights."""
        self.recurrent = other.recurrent

    def name(self, prefix: str) -> None:
        """Give the weights their canonical names, which begin with `prefix`."""
        for index, layer in enumerate(self.recurrent):
            of_layer = prefix + ("layer%d." % index if self.half.layers > 1 else "")
            for way, one in self._ways(layer):
                for weight in WEIGHTS:
                    self.variables[of_layer + way + weight] = getattr(self.cell_of(one), weight)

    def _ways(self, layer: Any) -> List[Tuple[str, Any]]:
        """The layers of one direction, by the prefix of their weights' names."""
        if self.half.directions == 1:
            return [("", layer)]
        return [("forward.", layer.forward_layer), ("backward.", layer.backward_layer)]

    @property
    def layers(self) -> List[Any]:
        """Every layer."""
        return self.recurrent + list(self._between.values())

    def __call__(self, x: Any, state: Optional[Sequence[Any]], mask: Any = None) -> Tuple[Any, List[Any], List[Any]]:
        """Return the emitted output and every layer's h and c; `state`: lists (h of every layer, c of every layer).

        With two directions a layer's h and c are lists of two. `mask` (B, T): true at the steps of each sequence.
        """
        hs: List[Any] = []
        cs: List[Any] = []
        given = {} if mask is None else {"mask": mask}
        for index, layer in enumerate(self.recurrent):
            initial = None
            if state is not None and self.half.directions == 1:
                initial = [state[0][index], state[1][index]]
            elif state is not None:
                initial = [state[kind][index][way] for way in (0, 1) for kind in (0, 1)]
            found = layer(x, initial_state=initial, training=self.half.job.train, **given)
            x, states = found[0], list(found[1:])
            hs.append(states[0] if self.half.directions == 1 else states[0::2])
            cs.append(states[1] if self.half.directions == 1 else states[1::2])
            if index in self._between:
                x = self._between[index](x, training=self.half.job.train)
        return x, hs, cs


class StackedLstm(Adapter):
    """`lstm` with some Keras. Subclasses write `layer_slots`, `lstm_layer`, `dropout_layer` and `stack_states`."""

    sites: Tuple[str, ...] = SITES
    settings: Tuple[str, ...] = (
        *PLAIN_SETTINGS,
        "recurrent_activation",
        "bidirectional",
        "go_backwards",
        "padding",
        "stateful",
    )
    #: the layer's name of each recurrent activation.
    activations: Dict[Any, str] = {None: "sigmoid"}

    def halves(self, job: Job) -> List[Half]:
        """The stacks of this job."""
        return [Half(job, "x", "", bool(job.config.get("return_sequences")))]

    def check(self, job: Job) -> None:
        super(StackedLstm, self).check(job)
        if job.config.get("recurrent_activation") not in self.activations:
            raise Unsupported("has no recurrent activation %s" % job.config["recurrent_activation"])
        for half in self.halves(job):
            half.check()

    def layer_slots(self, half: Half, index: int, direction: int) -> List[Slot]:
        """The draws of one LSTM layer in one direction."""
        raise NotImplementedError

    def lstm_layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        """One LSTM layer."""
        raise NotImplementedError

    def dropout_layer(self, keras: Any, job: Job, site: SiteSpec, shape: Any) -> Any:
        """One Dropout layer."""
        raise NotImplementedError

    def stack_states(self, keras: Any, states: List[Any]) -> Any:
        """Join (B, H) arrays to (L, B, H)."""
        raise NotImplementedError

    def slots(self, job: Job) -> List[Slot]:
        found: List[Slot] = []
        for half in self.halves(job):
            found += half.slots(lambda index, half=half: self.both_slots(half, index))  # type: ignore[misc]
        return found

    def both_slots(self, half: Half, index: int) -> List[Slot]:
        """The draws of one layer, the forward direction first."""
        return [slot for way in range(half.directions) for slot in self.layer_slots(half, index, way)]

    def gates_activation(self, job: Job) -> Dict[str, str]:
        """The layer's argument for the gates' activation, where it is not the default."""
        chosen = job.config.get("recurrent_activation")
        return {} if chosen is None else {"recurrent_activation": self.activations[chosen]}

    def both_ways(self, keras: Any, job: Job, layer: Any) -> Any:
        """The layer, or Bidirectional around it."""
        return keras.layers.Bidirectional(layer, dtype=job.dtype) if job.config.get("bidirectional") else layer

    def stack(self, keras: Any, half: Half) -> Stack:
        """Build one half's layers."""
        return Stack(
            half,
            lambda index, arguments: self.lstm_layer(keras, half.job, arguments),
            lambda site, shape: self.dropout_layer(keras, half.job, site, shape),
            lambda layer: layer.cell,
        )

    def mask_tensor(self, keras: Any, mask: np.ndarray) -> Any:
        """A mask (B, T) as this Keras takes it."""
        return keras.ops.convert_to_tensor(mask, "bool")

    def call(self, job: Job) -> Outcome:
        """As Adapter.call."""
        return super(StackedLstm, self).call(with_lengths(job))

    def joined(self, keras: Any, states: List[Any]) -> Any:
        """(B, H) of one layer, (L, B, H) of several, with an axis of directions before the batch where there are two."""
        each = [self.stack_states(keras, state) if isinstance(state, list) else state for state in states]
        return each[0] if len(each) == 1 else self.stack_states(keras, each)

    def keras_network(self, keras: Any, job: Job) -> Network:
        """The network of this job."""
        stack = self.stack(keras, self.halves(job)[0])
        stack.name("")
        lengths = job.config.get("lengths")
        mask = None
        if lengths is not None:
            mask = self.mask_tensor(keras, np.arange(job.inputs["x"].shape[1]) < np.asarray(lengths)[:, None])

        def forward(inputs: Tensors) -> Tensors:
            y, h, c = stack(inputs["x"], initial_state(inputs, layer_count(job)), mask)
            if not job.config.get("return_state"):
                return {"y": y}
            return {"y": y, "h": self.joined(keras, h), "c": self.joined(keras, c)}

        return Network(stack.variables, stack.layers, forward)


def with_lengths(job: Job) -> Job:
    """The job with `lengths` among its settings, for they have no gradient and decide the mask."""
    if "lengths" not in job.inputs:
        return job
    inputs = {name: array for name, array in job.inputs.items() if name != "lengths"}
    lengths = [int(length) for length in job.inputs["lengths"]]
    return job._replace(inputs=inputs, config=dict(job.config, lengths=lengths))


def initial_state(inputs: Tensors, layers: int) -> Optional[Tuple[List[Any], List[Any]]]:
    """The initial states of every layer, as lists, or None where the job has none; a missing one of two is zero."""
    if "h0" not in inputs and "c0" not in inputs:
        return None
    known = inputs["h0"] if "h0" in inputs else inputs["c0"]
    states = [inputs[name] if name in inputs else known * 0 for name in ("h0", "c0")]
    if layers == 1:
        return [states[0]], [states[1]]
    return [states[0][index] for index in range(layers)], [states[1][index] for index in range(layers)]


def keras_native(stack: Stack, inputs: Tensors, to_numpy: Callable[[Any], np.ndarray]) -> Dict[str, np.ndarray]:
    """What `Adapter.native` returns of a stack whose weights are assigned: variables by the last part of their path.

    States as the layers return them behind their output; in a stack names begin with the layer's number.
    """
    several = stack.half.layers > 1
    state = initial_state(inputs, stack.half.layers)
    x, found = inputs["x"], {}
    last: List[List[np.ndarray]] = []
    for index, layer in enumerate(stack.recurrent):
        for variable in layer.trainable_weights:
            path = getattr(variable, "path", variable.name)
            name = path.split("/")[-1].split(":")[0]
            found["%d.%s" % (index, name) if several else name] = to_numpy(variable)
        initial = None if state is None else [state[0][index], state[1][index]]
        results = layer(x, initial_state=initial, training=False)
        x = results[0]
        last.append([to_numpy(result) for result in results[1:]])
    for number, states in enumerate(zip(*last)):
        found["state%d" % number] = np.stack(states) if several else states[0]
    return found


def held_by(layers: Sequence[Any], to_numpy: Callable[[Any], np.ndarray]) -> Dict[str, np.ndarray]:
    """The variables of several layers, by the layer's number and the last part of their path."""
    found = {}
    for index, layer in enumerate(layers):
        for variable in layer.trainable_weights:
            path = getattr(variable, "path", variable.name)
            found["%d.%s" % (index, path.split("/")[-1].split(":")[0])] = to_numpy(variable)
    return found


class EncoderDecoder(StackedLstm):
    """`encoder_decoder` with some Keras: `initial_state` of the decoder is the [h, c] that the encoder returned."""

    sites = tuple(half + site for half in HALVES for site in SITES)

    def halves(self, job: Job) -> List[Half]:
        # Tied halves are one layer, which returns sequences or doesn't, for both.
        sequences = bool(job.config.get("return_sequences")) or bool(job.config.get("tied"))
        return [Half(job, "x", "encoder.", True), Half(job, "z", "decoder.", sequences)]

    def check(self, job: Job) -> None:
        super(EncoderDecoder, self).check(job)
        encoder, decoder = self.halves(job)
        if job.config.get("tied") and encoder.rates(0) != decoder.rates(0):
            raise Unsupported("tied halves are one layer, which has one dropout and one recurrent_dropout")

    def keras_network(self, keras: Any, job: Job) -> Network:
        encoder, decoder = (self.stack(keras, half) for half in self.halves(job))
        tied = bool(job.config.get("tied"))
        if tied:
            decoder.share(encoder)
        encoder.name("" if tied else "encoder.")
        decoder.name("" if tied else "decoder.")
        variables = dict(encoder.variables)
        variables.update(decoder.variables)

        def forward(inputs: Tensors) -> Tensors:
            _, h, c = encoder(inputs["x"], initial_state(inputs, layer_count(job)))
            y, last_h, last_c = decoder(inputs["z"], (h, c))
            if decoder.half.sequences and not job.config.get("return_sequences"):
                y = y[:, -1]
            outputs = {"y": y}
            if job.config.get("return_state"):
                states = {"h": last_h, "c": last_c, "encoder.h": h, "encoder.c": c}
                outputs.update((name, self.joined(keras, value)) for name, value in states.items())
            return outputs

        layers = encoder.layers + [layer for layer in decoder.layers if layer not in encoder.layers]
        return Network(variables, layers, forward)
