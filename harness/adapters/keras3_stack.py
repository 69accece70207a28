"""LSTM layers of a Keras, stacked, with Dropout layers between and after them: what Keras 3 and tf_keras have in common.

The gates' order is i, f, c, o, so the weights are canonical as they are. Masks between layers and on the output are
`Dropout` layers, because the LSTM itself only drops its input and the h that enters a step.

Import policy: no framework is imported here; a Keras comes in as an argument.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.adapters.base import Adapter, Job, SiteSpec, Unsupported
from harness.adapters.tensorflow_base import Network, Tensors
from harness.tape import BERNOULLI, Slot

GATES = 4
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

    def site(self, at: str) -> Optional[SiteSpec]:
        """A site of this stack, by its name without the prefix."""
        return self.job.site(self.prefix + at)

    def rates(self, index: int) -> Tuple[float, float]:
        """The rates of layer `index` at its input and at the h that enters a step."""
        below = rate_of(self.job, self.prefix + "input") if index == 0 else 0.0
        return below, rate_of(self.job, self.prefix + "state.h")

    def width(self, index: int) -> int:
        """How many features layer `index` reads."""
        return self.features if index == 0 else self.units

    def place(self, index: int) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
        """(leading shape, leading index) of layer `index` in an array that has an axis of layers only in a stack."""
        return ((self.layers,), (index,)) if self.layers > 1 else ((), ())

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
        for index in range(half.layers):
            last = index == half.layers - 1
            below, state = half.rates(index)
            layer = make(
                index,
                {
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
            layer.build((None, None, half.width(index)))
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
            for weight in WEIGHTS:
                self.variables[of_layer + weight] = getattr(self.cell_of(layer), weight)

    @property
    def layers(self) -> List[Any]:
        """Every layer."""
        return self.recurrent + list(self._between.values())

    def __call__(self, x: Any, state: Optional[Sequence[Any]]) -> Tuple[Any, List[Any], List[Any]]:
        """Return the emitted output and every layer's h and c; `state`: lists (h of every layer, c of every layer)."""
        hs: List[Any] = []
        cs: List[Any] = []
        for index, layer in enumerate(self.recurrent):
            initial = None if state is None else [state[0][index], state[1][index]]
            x, h, c = layer(x, initial_state=initial, training=self.half.job.train)
            hs.append(h)
            cs.append(c)
            if index in self._between:
                x = self._between[index](x, training=self.half.job.train)
        return x, hs, cs


class StackedLstm(Adapter):
    """`lstm` with some Keras. Subclasses write `layer_slots`, `lstm_layer`, `dropout_layer` and `stack_states`."""

    sites: Tuple[str, ...] = SITES

    def halves(self, job: Job) -> List[Half]:
        """The stacks of this job."""
        return [Half(job, "x", "", bool(job.config.get("return_sequences")))]

    def check(self, job: Job) -> None:
        super(StackedLstm, self).check(job)
        for half in self.halves(job):
            half.check()

    def layer_slots(self, half: Half, index: int) -> List[Slot]:
        """The draws of one LSTM layer."""
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
            found += half.slots(lambda index, half=half: self.layer_slots(half, index))  # type: ignore[misc]
        return found

    def stack(self, keras: Any, half: Half) -> Stack:
        """Build one half's layers."""
        return Stack(
            half,
            lambda index, arguments: self.lstm_layer(keras, half.job, arguments),
            lambda site, shape: self.dropout_layer(keras, half.job, site, shape),
            lambda layer: layer.cell,
        )

    def joined(self, keras: Any, states: List[Any]) -> Any:
        """(B, H) of one layer, (L, B, H) of several."""
        return states[0] if len(states) == 1 else self.stack_states(keras, states)

    def keras_network(self, keras: Any, job: Job) -> Network:
        """The network of this job."""
        stack = self.stack(keras, self.halves(job)[0])
        stack.name("")

        def forward(inputs: Tensors) -> Tensors:
            y, h, c = stack(inputs["x"], initial_state(inputs, layer_count(job)))
            if not job.config.get("return_state"):
                return {"y": y}
            return {"y": y, "h": self.joined(keras, h), "c": self.joined(keras, c)}

        return Network(stack.variables, stack.layers, forward)


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
