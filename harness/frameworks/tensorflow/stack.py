"""Recurrent layers of a Keras, stacked, with Dropout layers between and after them: what every Keras has in common.

The gates' order, i, f, c, o of an LSTM and z, r, h of a GRU, is canonical, so the weights are as they are; a GRU with
`reset_after` has one bias (2, 3H), the canonical bias over the canonical recurrent bias. Masks between layers and on the output
are `Dropout` layers, because a recurrent layer itself only drops its input and the h that enters a step.

Import policy: no framework is imported here; a Keras comes in as an argument.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Adapter, Job, Outcome, Unsupported
from harness.frameworks.contract.capabilities import Capabilities
from harness.frameworks.contract.geometry import HALVES, Geometry, outputs_of
from harness.frameworks.contract.places import SEQUENCE, drawn_as, slots_of, thrown_away
from harness.frameworks.tensorflow.base import Network, Tensors
from harness.noises import Site
from harness.tape import Slot

WEIGHTS = ("kernel", "recurrent_kernel", "bias")
#: The layer of each kind by its name in Keras.
LAYERS = {"lstm": "LSTM", "encoder_decoder": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
LSTM_SITES = ("input", "state.h", "between_layers", "output")
#: Keras 2's names of the gates' activations.
ACTIVATIONS_2 = {None: "sigmoid", "hard_sigmoid_keras2": "hard_sigmoid"}
#: What a layer returns: states (B, H) by state, layer and direction.
States = Sequence[Sequence[Sequence[Any]]]


class Drawn(NamedTuple):
    """What a recurrent layer draws in one direction: masks (B, D) of its input, (B, H) of the h that enters a step.

    masks  (site, how many masks of it are used: one for each gate, or one for all), in the order in which they are made.
    made   how many masks of a site are made; those behind the used ones are thrown away. 0: no others.
    anew   whether all that is drawn anew at every step, after one set more, which is thrown away when the loop is prepared.
    whole  whether a mask of its own for every step is drawn at once, (B, T, D).
    """

    masks: Sequence[Tuple[str, int]]
    made: int = 0
    anew: bool = False
    whole: bool = False


class LstmFacts(Capabilities):
    """What the LSTM of every Keras declares, alone and as encoder and decoder."""

    sites: Tuple[str, ...] = tuple(half + at for half in ("", *(half for half, _ in HALVES)) for at in LSTM_SITES)
    settings: Tuple[str, ...] = (
        *PLAIN_SETTINGS,
        "recurrent_activation",
        "bidirectional",
        "go_backwards",
        "padding",
        "stateful",
    )
    values: Dict[str, Tuple[Any, ...]] = {"padding": ("zeros", "repeat")}
    because = {
        "padding": "Keras repeats the last output over padding; only sequences of Bidirectional have zeros there"
    }


class KerasRecurrent(Adapter):
    """Recurrent layers of some Keras: what LSTM, GRU and SimpleRNN share. Subclasses write `drawn` and `pile`.

    Options of subclasses include `implementation` and `unroll`.
    """

    sites: Tuple[str, ...] = ("input", "state.h", "output")
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "reset_after")
    #: the layer's name of each recurrent activation.
    activations: Dict[Any, str] = {None: "sigmoid"}
    #: which layers are given the seed.
    seeded: Tuple[str, ...] = ()
    #: whether this is the general loop around a cell instead of the layer.
    cell = False

    def check(self, job: Job) -> None:
        super().check(job)
        first, last = job.stacks[0], job.stacks[-1]
        sequences = self.sequences(job, last)
        padding = job.config.get("padding")
        emitted = "zeros" if last.directions > 1 else "repeat"
        if padding not in (None, emitted) or (padding == "zeros" and not sequences):
            raise Unsupported(self.because["padding"])
        if job.config.get("tied") and rates(job, first) != rates(job, last):
            raise Unsupported("tied halves are one layer, which has one dropout and one recurrent_dropout")

    def sequences(self, job: Job, stack: Geometry) -> bool:
        """Whether the last layer of a stack returns its sequence. Tied halves are one layer, which does for both."""
        return bool(job.config.get("return_sequences") or job.config.get("tied") or stack != job.stacks[-1])

    # What is drawn.

    def drawn(self, job: Job, stack: Geometry) -> Drawn:
        """What each recurrent layer of a stack draws, where the case has such sites; only the first drops its input."""
        raise NotImplementedError

    def dropped(self, job: Job, at: str) -> Optional[Site]:
        """The site, if a recurrent layer makes masks for it in this job."""
        return job.drawing(at)

    def slots(self, job: Job) -> List[Slot]:
        found: List[Slot] = []
        for stack in job.stacks:
            for layer, direction in stack.places():
                found += self.layer_slots(job, stack, layer, direction)
                if direction == stack.directions - 1 and job.drawing(stack.above(layer)) is not None:
                    found.append(self.above_slot(job, stack, layer))
        return found

    def layer_slots(self, job: Job, stack: Geometry, layer: int, direction: int) -> List[Slot]:
        """The draws of one recurrent layer in one direction."""
        drawn, found, ahead = self.drawn(job, stack), [], []
        for step in stack.order(direction) if drawn.anew else [0]:
            for name, used in drawn.masks:
                site = None if layer and name == "input" else self.dropped(job, stack.at(name))
                if site is None:
                    continue
                order, steps = (SEQUENCE, {}) if drawn.whole else (SEQUENCE[::2], {"time": step})
                kept = drawn_as(site, gates=used, **({} if drawn.anew or drawn.whole else {"time": 1}))
                where = dict(steps, layers=layer, directions=direction)
                own = [slot for gate in range(used) for slot in slots_of(kept, order, gates=gate, **where)]
                own += [thrown_away(own[0])] * (drawn.made - used)
                found += own
                if drawn.anew and step == stack.order(direction)[0]:
                    ahead += [thrown_away(slot) for slot in own]
        return ahead + found

    def above_slot(self, job: Job, stack: Geometry, layer: int) -> Slot:
        """The draw of the Dropout layer on top of a recurrent layer."""
        site = job.site(stack.above(layer))
        assert site is not None
        sizes = dict(zip(site.axes, site.shape), layers=stack.layers - 1)
        whole = layer < stack.layers - 1 or self.sequences(job, stack)
        if not whole:
            # Behind a last output (B, H) there is no mask for the other steps.
            sizes["time"] = 1
        (slot,) = slots_of(drawn_as(site, **sizes), SEQUENCE if whole else SEQUENCE[::2], layers=layer)
        return slot

    # What is built and called.

    def pile(self, keras: Any, arrays: List[Any]) -> Any:
        """Stack arrays along a new first axis."""
        raise NotImplementedError

    def mask_tensor(self, keras: Any, mask: np.ndarray) -> Any:
        """A mask (B, T) as this Keras takes it."""
        return keras.ops.convert_to_tensor(mask, "bool")

    def arguments(self, job: Job, stack: Geometry, layer: int) -> Dict[str, Any]:
        """The arguments of one recurrent layer, or of its cell."""
        below, state = rates(job, stack)
        found = {
            "units": stack.units,
            "dropout": 0.0 if layer else below,
            "recurrent_dropout": state,
            # No initialiser may draw: weights are assigned, and a draw would stand on the tape.
            "kernel_initializer": "zeros",
            "recurrent_initializer": "zeros",
            "dtype": job.dtype,
        }
        if stack.gates > 1:
            found["recurrent_activation"] = self.activations[job.config.get("recurrent_activation")]
        if "reset_after" in job.config:
            found["reset_after"] = bool(job.config["reset_after"])
        if self.option(job, "implementation") is not None:
            found["implementation"] = self.option(job, "implementation")
        return dict(found, **self._seed(job, "recurrent"))

    def recurrent(self, keras: Any, job: Job, stack: Geometry, layer: int) -> Any:
        """One recurrent layer, built."""
        stateful = bool(job.config.get("stateful"))
        outer = {
            "return_sequences": layer < stack.layers - 1 or self.sequences(job, stack),
            "return_state": True,
            "go_backwards": stack.backwards,
            "stateful": stateful,
            "unroll": bool(self.option(job, "unroll")),
        }
        arguments = self.arguments(job, stack, layer)
        if self.cell:
            built = keras.layers.RNN(keras.layers.LSTMCell(**arguments), dtype=job.dtype, **outer)
        else:
            built = getattr(keras.layers, LAYERS[job.layer])(**dict(arguments, **outer))
        if stack.directions > 1:
            built = keras.layers.Bidirectional(built, dtype=job.dtype)
        # A layer that keeps its states needs to know their size.
        built.build((stack.batch if stateful else None, None, stack.width(layer)))
        return built

    def above(self, keras: Any, job: Job, stack: Geometry, layer: int) -> Any:
        """The Dropout layer on top of a recurrent layer, or None."""
        site = job.site(stack.above(layer))
        if site is None:
            return None
        shape = self.above_slot(job, stack, layer).shape if site.shared else None
        return keras.layers.Dropout(site.rate, noise_shape=shape, dtype=job.dtype, **self._seed(job, "dropout"))

    def _seed(self, job: Job, what: str) -> Dict[str, int]:
        return {"seed": job.seed} if what in self.seeded else {}

    def keras_network(self, keras: Any, job: Job) -> Network:
        """The layers of this job, the recurrent ones of a stack before its Dropout layers; tied stacks share theirs."""
        built: List[Tuple[List[Any], List[Any]]] = []
        variables: Dict[str, Any] = {}
        for stack in job.stacks:
            several = range(stack.layers)
            tied = bool(built) and bool(job.config.get("tied"))
            layers = built[0][0] if tied else [self.recurrent(keras, job, stack, layer) for layer in several]
            built.append((layers, [self.above(keras, job, stack, layer) for layer in several]))
            for layer, direction in stack.places():
                prefix, holder = stack.prefix(layer, direction), cell_of(layers[layer], stack, direction)
                variables.update((prefix + name, getattr(holder, name)) for name in WEIGHTS)
        lengths, mask = job.config.get("lengths"), None
        if lengths is not None:
            mask = self.mask_tensor(keras, np.arange(job.stacks[0].time) < np.asarray(lengths)[:, None])
        # A layer that returns no sequence has taken the last step itself.
        taken = not self.sequences(job, job.stacks[-1])
        config = dict(job.config, return_sequences=taken or job.config.get("return_sequences"))

        def forward(inputs: Tensors) -> Tensors:
            handed = started(job.stacks[0], inputs)
            last: List[List[Any]] = []
            for stack, layers in zip(job.stacks, built):
                y, behind = called(job, stack, layers, inputs[stack.sequence], handed, mask)
                handed = by_state(stack, behind)
                last.append([stack.joined(rows, lambda arrays: self.pile(keras, arrays)) for rows in handed])
            return outputs_of(job.stacks, config, y, last, lambda parts: parts)

        every: List[Any] = []
        for own, above in built:
            every += [layer for layer in (*own, *above) if layer is not None and layer not in every]
        return Network(variables, every, forward)

    def call(self, job: Job, tap: Any) -> Outcome:
        """As Adapter.call."""
        return parted(job, super().call(prepared(job), tap))


def rates(job: Job, stack: Geometry) -> Tuple[float, float]:
    """The rates of a stack's first layer at its input and at the h that enters a step; 0 where the case has no such site."""
    below, state = (job.site(stack.at(name)) for name in ("input", "state.h"))
    return (0.0 if below is None else float(below.rate), 0.0 if state is None else float(state.rate))


def cell_of(layer: Any, stack: Geometry, direction: int) -> Any:
    """What holds the weights of one direction of a layer. Before TensorFlow 1.4 a layer is its own cell."""
    if stack.directions > 1:
        layer = layer.backward_layer if direction else layer.forward_layer
    return getattr(layer, "cell", layer)


def started(stack: Geometry, inputs: Tensors) -> Optional[States]:
    """The initial states of every layer, or None where the job has none; a missing one of two is zero."""
    given = [inputs.get(name + "0") for name in stack.states]
    known = [state for state in given if state is not None]
    return [stack.parted(known[0] * 0 if state is None else state) for state in given] if known else None


def called(
    job: Job, stack: Geometry, layers: Tuple[List[Any], List[Any]], x: Any, states: Optional[States], mask: Any = None
) -> Tuple[Any, List[List[Any]]]:
    """Run one stack; returns what it emits, and what each recurrent layer returns behind its output.

    mask  (B, T): true at the steps of each sequence.
    """
    given = {} if mask is None else {"mask": mask}
    last: List[List[Any]] = []
    for layer, (recurrent, above) in enumerate(zip(*layers)):
        initial = None
        if states is not None:
            initial = [state[layer][way] for way in range(stack.directions) for state in states]
        x, *behind = recurrent(x, initial_state=initial, training=job.train, **given)
        last.append(behind)
        x = x if above is None else above(x, training=job.train)
    return x, last


def by_state(stack: Geometry, behind: Sequence[Sequence[Any]]) -> States:
    """What the layers of a stack return behind their outputs, [h, c] of one direction after the other, by state."""
    kinds = len(stack.states)
    return [[layer[kind::kinds] for layer in behind] for kind in range(kinds)]


def prepared(job: Job) -> Job:
    """The job as Keras takes it: `lengths` among its settings, for they have no gradient and decide the mask, and one bias."""
    inputs, weights, config = dict(job.inputs), dict(job.weights), dict(job.config)
    if "lengths" in inputs:
        config["lengths"] = [int(length) for length in inputs.pop("lengths")]
    if "recurrent_bias" in weights:
        weights["bias"] = np.stack([weights["bias"], weights.pop("recurrent_bias")])
    return job._replace(inputs=inputs, weights=weights, config=config)


def parted(job: Job, outcome: Outcome) -> Outcome:
    """The gradient of a joined bias as those of the canonical two."""
    if "recurrent_bias" not in job.weights or not outcome.gradients:
        return outcome
    gradients = dict(outcome.gradients)
    gradients["bias"], gradients["recurrent_bias"] = gradients["bias"]
    return Outcome(outcome.outputs, gradients)


def keras_native(job: Job, layers: Sequence[Any], inputs: Tensors, to_numpy: Callable[[Any], Any]) -> Dict[str, Any]:
    """What `Adapter.native` returns of layers whose weights are assigned: variables by the last part of their path.

    Where there is one stack also its states as the layers return them behind their output. Where there are several layers, names
    begin with the layer's number.
    """
    stack, several = job.stacks[0], len(job.stacks) > 1 or job.stacks[0].layers > 1
    alone = len(job.stacks) == 1
    recurrent = list(layers[: stack.layers] if alone else layers)
    found = {}
    for index, layer in enumerate(recurrent):
        for variable in layer.trainable_weights:
            path = getattr(variable, "path", variable.name)
            name = path.split("/")[-1].split(":")[0]
            found["%d.%s" % (index, name) if several else name] = to_numpy(variable)
    if alone:
        still = job._replace(mode="eval")
        _, last = called(still, stack, (recurrent, [None] * stack.layers), inputs["x"], started(stack, inputs))
        for number, states in enumerate(zip(*last)):
            values = [to_numpy(state) for state in states]
            found["state%d" % number] = np.stack(values) if several else values[0]
    return found
