"""Stacks of recurrent layers in any JAX library: alone, as encoder and decoder, and as a language model.

A library gives two functions, `sequence` (one layer over one sequence, in one direction or two) and `drop` (its dropout
layer); the pipeline around them is the one people write: dropout on the recurrent weights once a call, on the rows of an
embedding, on the input, on the states in every step, between the layers and on the output. A language model (Merity, Keskar &
Socher, *Regularizing and Optimizing LSTM Language Models*, 2018, arXiv 1708.02182) is that between an embedding and a decoder.
Everything here is batch-major and in canonical weights; the functions map to the library's layout.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job
from harness.frameworks.contract.capabilities import Shared
from harness.frameworks.contract.geometry import HALVES, Geometry, outputs_of, own_part
from harness.frameworks.contract.places import Part, drawn_as, place_of
from harness.frameworks.jax.base import Function
from harness.frameworks.jax.lazy import jnp, precision
from harness.frameworks.jax.pointwise import ROWS, ROWS_BECAUSE, ROWS_SHARED, Dropping
from harness.tape import Slot

#: A layer's states, (B, ·) each, in the order of its stack's `states`.
State = Tuple[Any, ...]

#: The kinds that are made of LSTM cells.
KINDS = ("lstm", "encoder_decoder", "awd_lstm")

#: The sites of a stack in the order in which a recipe draws.
SITES = ("weight.recurrent", "input", "state.h", "state.c", "between_layers", "output")

#: Over which axes the dropout layers beside a library's cell share their masks.
SHARED: Dict[str, Tuple[Shared, ...]] = {
    "input": (Shared(("gates", "directions"), ("batch", "time", "features")),),
    "state.h": (Shared(("gates",), ("batch", "time")),),
    "state.c": (Shared((), ("batch", "time")),),
    "between_layers": (Shared((), ("batch", "time", "features")),),
    "output": (Shared((), ("batch", "time", "features")),),
    "weight.recurrent": (Shared((), ("inputs", "gates", "units")),),
    **ROWS_SHARED,
}
BECAUSE = {
    "scales": "the dropout layer always scales",
    "shared": "every layer has a dropout of its own",
    "input": "the cell has one input for all gates, so one mask for all gates, and the dropout stands before both directions",
    "state.h": "the cell has one h for all gates, every layer its own dropout; one decision for all features is not written",
    "state.c": "every layer has a dropout of its own; one decision for all features of a state is not written here",
    **ROWS_BECAUSE,
}


class Layer(NamedTuple):
    """One layer of a stack in one direction.

    weights   by canonical name, without the layer's prefix: kernel (I, GH), recurrent_kernel (P, GH), bias (GH,) …
    masks     what masks each state on its way into a step.
    """

    stack: Geometry
    number: int
    way: int
    weights: Dict[str, Any]
    masks: Tuple[Optional[Part], ...]

    @property
    def name(self) -> str:
        """`encoder.0.backward`, without the name of the half where both have the same weights."""
        return "%s%d%s" % (self.stack.weights, self.number, ("", ".backward")[self.way])

    @property
    def units(self) -> int:
        """H."""
        return int(self.weights["kernel"].shape[1]) // self.stack.gates

    @property
    def reverse(self) -> bool:
        """Whether it reads the sequence from its end."""
        return self.stack.reversed(self.way)

    def blocks(self, name: str) -> List[Any]:
        """A weight's blocks by gate, in canonical order."""
        return list(jnp.split(self.weights[name], self.stack.gates, axis=-1))

    def start(self, arrays: Dict[str, Any]) -> State:
        """The state that it starts from; zeros where the job has none."""
        widths = {"h": int(self.weights["recurrent_kernel"].shape[0]), "c": self.units}
        dtype = self.weights["kernel"].dtype
        given = [(name, self.stack.initial(name, arrays, self.number, self.way)) for name in self.stack.states]
        zeros = {name: jnp.zeros((self.stack.batch, widths[name]), dtype) for name, state in given if state is None}
        return tuple(zeros.get(name, state) for name, state in given)


#: The layers of a stack by number and direction.
Rows = List[List[Layer]]
#: sequence(the layer in each direction, x (B, T, D), each one's state, lengths (B,) or None) -> y (B, T, N P), last states.
#: A single layer in reverse gives y in the order of reading; two give it in the order of the sequence.
SequenceOf = Callable[[Sequence[Layer], Any, Sequence[State], Any], Tuple[Any, List[State]]]
#: drop(part, array) -> array
DropOf = Callable[[Part, Any], Any]


class StackAdapter(Dropping):
    """Any recurrent kind, of a library's cell and its dropout layers. Subclasses write what raises NotImplementedError."""

    options = {"jit": True, "unroll": 1}
    sites: Tuple[str, ...] = (ROWS, *(half + at for half in ("", *dict(HALVES)) for at in SITES))
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "bidirectional", "go_backwards", "vocabulary", "features")
    scales: Tuple[str, ...] = ("inverted",)
    shared: Dict[str, Tuple[Shared, ...]] = SHARED
    because = BECAUSE

    def slots(self, job: Job) -> List[Slot]:
        """Weights and rows first; then in the order of the model: input, each layer's states step by step, its outputs."""
        found = []
        for stack in job.stacks:
            found += self.slots_of(*(self.weight_part(job, stack, *place) for place in stack.places()))
        found += self.slots_of(self.rows(job))
        for stack in job.stacks:
            found += self.slots_of(self.input_part(job, stack))
            for number in range(stack.layers):
                for way in range(stack.directions):
                    states = [part for part in self.state_parts(job, stack, number, way) if part is not None]
                    for step in stack.order(way):
                        found += self.slots_of(*(step_part(part, number, way, step) for part in states))
                found += self.slots_of(self.above(job, stack, number))
        return found

    def input_part(self, job: Job, stack: Geometry) -> Optional[Part]:
        """What masks the input of a stack, before all gates and directions."""
        return self.part(job, stack.at("input"), gates=0, directions=0)

    def weight_part(self, job: Job, stack: Geometry, number: int, way: int) -> Optional[Part]:
        """What masks one recurrent kernel, as (P, G, H)."""
        return self.part(job, stack.at("weight.recurrent", number), layers=number, directions=way)

    def state_parts(self, job: Job, stack: Geometry, number: int, way: int) -> Tuple[Optional[Part], ...]:
        """What masks each state of a layer in one direction, as (B, T, ·), though it is masked step by step."""
        places = {"layers": number, "directions": way, "gates": 0}
        return tuple(self.part(job, stack.at("state." + name), **places) for name in stack.states)

    def above(self, job: Job, stack: Geometry, number: int) -> Optional[Part]:
        """What masks a layer's outputs."""
        return self.part(job, stack.above(number), layers=number)

    def function(self, job: Job) -> Function:
        """The layer kind with the library's own cell and dropout."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            sequence, drop = self.model(job, key)
            return self.pipeline(job, arrays, self.layers(job, arrays, drop), sequence, drop)

        return call

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """The library's cell over a sequence and its dropout, keyed for this call."""
        raise NotImplementedError

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """Logits (B, T, V) of x (B, T, ·), by the library's linear layer; tied: kernel is the table (V, E)."""
        raise NotImplementedError

    def held(self, job: Job, layer: Layer) -> Dict[str, Any]:
        """What the library's cell of a layer holds, by its own names; {} where there is no such cell."""
        return {}

    def carried(self, job: Job, layer: Layer, x: Any, state: State) -> Any:
        """The last state of a layer over x (B, T, D), as the library returns it."""
        raise NotImplementedError

    def layers(self, job: Job, arrays: Dict[str, Any], drop: Optional[DropOf] = None) -> List[Rows]:
        """Each stack's layers, their recurrent kernels through `drop` as (P, G, H) where they have a dropout (WeightDrop).

        The dropped kernel is computed from the raw one in every call, so the raw one gets the gradient (Merity, Keskar & Socher,
        section 2).
        """

        def layer(stack: Geometry, number: int, way: int) -> Layer:
            weights = own_part(stack.prefix(number, way), arrays)
            part, raw = self.weight_part(job, stack, number, way), weights["recurrent_kernel"]
            if part is not None and drop is not None:
                dropped = drop(part, jnp.reshape(raw, (raw.shape[0], stack.gates, -1)))
                weights["recurrent_kernel"] = jnp.reshape(dropped, raw.shape)
            return Layer(stack, number, way, weights, self.state_parts(job, stack, number, way))

        return [
            [[layer(stack, number, way) for way in range(stack.directions)] for number in range(stack.layers)]
            for stack in job.stacks
        ]

    def pipeline(
        self, job: Job, arrays: Dict[str, Any], stacks: Sequence[Rows], sequence: SequenceOf, drop: DropOf
    ) -> Dict[str, Any]:
        """Every stack in order, each starting from the last one's states.

        What the encoder emits is no output: `_encoder.y` keeps its mask alive.
        """

        def masked(part: Optional[Part], array: Any) -> Any:
            return array if part is None else drop(part, array)

        outputs: Dict[str, Any] = {}
        ends: List[List[List[State]]] = []
        for stack, rows in zip(job.stacks, stacks):
            x = arrays[stack.sequence]
            if stack.numbered:
                x = self.embed(masked(self.rows(job), arrays["embedding"]), x)
            x = masked(self.input_part(job, stack), x)
            starts = ends[-1] if ends else [[layer.start(arrays) for layer in row] for row in rows]
            last = []
            for number, row in enumerate(rows):
                x, states = sequence(row, x, starts[number], arrays.get("lengths"))
                last.append(states)
                x = masked(self.above(job, stack, number), x)
            ends.append(last)
            outputs["_%sy" % stack.handed] = x
        y = outputs.pop("_y")
        if job.stacks[-1].numbered:
            # The decoder has the raw table where weights are tied.
            tied = bool(job.config.get("tied"))
            kernel = arrays["embedding" if tied else "decoder.kernel"]
            return dict(finished(job, None, ends), y=self.decode(y, kernel, arrays["decoder.bias"], tied))
        return dict(outputs, **finished(job, y, ends))

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The parameters of every cell of a stack; of a single layer that reads its whole sequence forward the last state too."""
        if job.stacks[0].numbered:
            return {}
        with precision(job.dtype):
            arrays = {name: jnp.asarray(array) for name, array in self.arrays(job).items()}
            layers = {layer.name: layer for rows in self.layers(job, arrays) for row in rows for layer in row}
            held = {name: self.held(job, layer) for name, layer in layers.items()}
            first = next(iter(layers.values()))
            if len(job.stacks) * len(first.stack.places()) > 1 or first.reverse or job.config.get("padding"):
                return by_path(held)
            if not held[first.name]:
                return {}
            state = self.carried(job, first, arrays["x"], first.start(arrays))
            parts = state if isinstance(state, (tuple, list)) else (state,)
            return dict(by_path(held[first.name]), **by_path({"state%d" % n: part for n, part in enumerate(parts)}))


def step_part(part: Part, number: int, way: int, step: int) -> Part:
    """A state's mask at one step: it is drawn in every step, also where it is the same in all, so all steps are recorded."""
    site = drawn_as(part.site, **{axis: 1 for axis in part.site.shared if axis != "time"})
    return Part(site, place_of(site, layers=number, directions=way, gates=0, time=step))


def each_way(one_way: Callable[[Layer, Any, State, Any], Tuple[Any, State]]) -> SequenceOf:
    """Each direction by itself: `one_way` runs a layer over x from a state and gives y in the order of reading."""

    def sequence(layers: Sequence[Layer], x: Any, states: Sequence[State], lengths: Any) -> Tuple[Any, List[State]]:
        ran = [one_way(layer, x, state, lengths) for layer, state in zip(layers, states)]
        both = [y[:, ::-1] if layer.way else y for layer, (y, _) in zip(layers, ran)]
        return beside(both), [state for _, state in ran]

    return sequence


def finished(job: Job, y: Any, ends: Sequence[Sequence[Sequence[State]]]) -> Dict[str, Any]:
    """The canonical outputs: y (B, T, N P) or its last step, and each stack's states where they are returned."""
    outputs = {} if y is None else outputs_of(job.stacks, dict(job.config, return_state=False), y, (), beside)
    if job.config.get("return_state"):
        for stack, rows in zip(job.stacks, ends):
            outputs.update(stack.returned(rows, jnp.stack))
    return outputs


def beside(arrays: Sequence[Any]) -> Any:
    """Both directions' outputs in one, along the last axis."""
    return arrays[0] if len(arrays) == 1 else jnp.concatenate(list(arrays), axis=-1)


def by_path(tree: Dict[str, Any], above: str = "") -> Dict[str, np.ndarray]:
    """The arrays of a tree of parameters by their path, `hi/kernel`."""
    found: Dict[str, np.ndarray] = {}
    for name, value in tree.items():
        path = above + str(name)
        found.update(by_path(value, path + "/") if isinstance(value, dict) else {path: np.asarray(value)})
    return found
