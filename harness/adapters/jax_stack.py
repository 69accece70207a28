"""A stack of LSTM layers in any JAX library: what `lstm` and `encoder_decoder` have in common there.

A library gives two functions, `sequence` (one layer over one sequence) and `drop` (its dropout layer); the pipeline around
them is the one people write: dropout on the input, between the layers and on the output. Everything here is
batch-major and in canonical weights; the functions map to the library's layout.

Imported on Python 3.6 with NumPy alone.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from harness.adapters.base import Job, SiteSpec, Unsupported
from harness.adapters.jax_adapter import Function, JaxAdapter, active, kind_of
from harness.tape import Slot

State = Tuple[Any, Any]


class Weights(NamedTuple):
    """One layer's canonical weights: kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H,), gates i, f, g, o."""

    kernel: Any
    recurrent_kernel: Any
    bias: Any


class Part(NamedTuple):
    """What one dropout layer of a model masks: a site, or one layer's share of it.

    place     index of its part in the site's canonical mask.
    shape     of that part, batch-major; (B, T, H) for the states too, though they are masked step by step.
    """

    site: SiteSpec
    place: Tuple[Any, ...]
    shape: Tuple[int, ...]

    def shares(self, axis: str) -> bool:
        """Whether one mask serves the whole of a named axis."""
        return axis in self.site.shared


class Half(NamedTuple):
    """One stack in a layer kind: prefix of its sites, prefix of its weights, name of its sequence, outputs' prefix."""

    sites: str
    weights: str
    sequence: str


class Layer(NamedTuple):
    """One LSTM of a stack: where it stands, its weights, and what masks h and c on their way into each step."""

    half: Half
    number: int
    weights: Weights
    h: Optional[Part]
    c: Optional[Part]


#: sequence(layer, x (B, T, D), (h0, c0) each (B, H)) -> every step's h (B, T, H), (h, c)
SequenceOf = Callable[[Layer, Any, State], Tuple[Any, State]]
#: drop(part, array) -> array
DropOf = Callable[[Part, Any], Any]


def halves(job: Job) -> Tuple[Half, ...]:
    """The stacks of the job's layer kind, in the order in which they run."""
    if job.layer == "encoder_decoder":
        tied = job.config.get("tied", False)
        return tuple(
            Half(name, "" if tied else name, sequence) for name, sequence in (("encoder.", "x"), ("decoder.", "z"))
        )
    return (Half("", "", "x"),)


def layer_weights(job: Job, half: Half, layer: int, arrays: Dict[str, Any]) -> Weights:
    """The canonical weights of one layer of a half."""
    prefix = half.weights + ("layer%d." % layer if job.config.get("layers", 1) > 1 else "")
    return Weights(*(arrays[prefix + name] for name in Weights._fields))


def part_of(job: Job, half: Half, at: str, layer: int = 0) -> Optional[Part]:
    """The active dropout of a half's site for one layer, or None. A gate axis must be shared where there is one."""
    site = job.site(half.sites + at)
    if site is None or not active(job, site):
        return None
    place: Tuple[Any, ...] = ()
    if at == "between_layers" or (at.startswith("state.") and job.config.get("layers", 1) > 1):
        place += (layer,)
    if at in ("input", "state.h"):
        place += (0,)
    return Part(site, place, site.shape[len(place) :])


def initial_states(job: Job, arrays: Dict[str, Any], x: Any) -> List[State]:
    """Every layer's (h0, c0), each (B, H); zeros where the job has none."""
    import jax.numpy as jnp

    layers = job.config.get("layers", 1)
    shape = (layers, x.shape[0], job.config["units"])
    h0, c0 = (
        jnp.reshape(arrays[name], shape) if name in arrays else jnp.zeros(shape, x.dtype) for name in ("h0", "c0")
    )
    return [(h0[layer], c0[layer]) for layer in range(layers)]


def outputs_of(job: Job, ran: Sequence[Tuple[Half, Any, List[State]]]) -> Dict[str, Any]:
    """The canonical outputs: y (B, T, H) or its last step, and each half's states where they are returned.

    `ran` has each half with its y and states. What the encoder emits is dropped: `_encoder.y` keeps its mask alive.
    """
    import jax.numpy as jnp

    y = ran[-1][1]
    outputs = {"_" + half.sites + "y": emitted for half, emitted, _ in ran[:-1]}
    outputs["y"] = y if job.config.get("return_sequences", False) else y[:, -1]
    if job.config.get("return_state", False):
        for half, _, states in ran:
            prefix = half.sites.replace("decoder.", "")
            for name, values in (("h", [h for h, _ in states]), ("c", [c for _, c in states])):
                outputs[prefix + name] = values[0] if len(values) == 1 else jnp.stack(values)
    return outputs


class StackAdapter(JaxAdapter):
    """An LSTM stack, alone or as encoder and decoder, of a library's cell and dropout layers. Subclasses write `model`."""

    options = {"jit": True, "unroll": 1}
    sites = tuple(
        prefix + name
        for prefix in ("", "encoder.", "decoder.")
        for name in ("input", "state.h", "state.c", "between_layers", "output")
    )
    #: whether the library's dropout layer draws at rate 1.
    draws_at_one = False

    def check(self, job: Job) -> None:
        """Refuse masks that differ by gate, one mask for several layers or for all features of a state, and no scale."""
        super(StackAdapter, self).check(job)
        for site in job.sites:
            if "gates" in site.axes and "gates" not in site.shared:
                raise Unsupported("%s: the cell has one input for all gates, so one mask for all gates" % site.at)
            if "layers" in site.shared:
                raise Unsupported("%s: every layer has a dropout of its own" % site.at)
            if "features" in site.shared and "state." in site.at:
                raise Unsupported("%s: one decision for all features of a state is not written here" % site.at)
            if site.scale != "inverted":
                raise Unsupported("%s: the dropout layer always scales" % site.at)

    def slots(self, job: Job) -> List[Slot]:
        """In the order of the model: input, then for each layer its states step by step, then what masks its outputs."""
        found: List[Slot] = []
        for half in halves(job):
            steps = job.inputs[half.sequence].shape[1]
            found += [self.slot(part) for part in self.drawn(part_of(job, half, "input"))]
            for number in range(job.config.get("layers", 1)):
                states = self.drawn(*(part_of(job, half, at, number) for at in ("state.h", "state.c")))
                found += [self.step_slot(part, step, steps) for step in range(steps) for part in states]
                found += [self.slot(part) for part in self.drawn(above(job, half, number))]
        return found

    def drawn(self, *parts: Optional[Part]) -> List[Part]:
        """The parts for which the library draws."""
        return [part for part in parts if part is not None and (part.site.rate < 1.0 or self.draws_at_one)]

    def slot(self, part: Part) -> Slot:
        """A mask that is drawn at once."""
        return Slot(part.site.at, kind_of(part.site), part.shape, part.site.shape, part.place)

    def step_slot(self, part: Part, step: int, steps: int) -> Slot:
        """One step's mask of a state: drawn in every step, also where it is the same in all, so all steps are recorded."""
        full = (*part.site.shape[:-2], steps, part.site.shape[-1])
        place = (*part.place, slice(None), step)
        return Slot(part.site.at, kind_of(part.site), (part.shape[0], part.shape[2]), full, place)

    def run_stacks(self, job: Job, arrays: Dict[str, Any], sequence: SequenceOf, drop: DropOf) -> Dict[str, Any]:
        """The whole layer kind: every half in order, each starting from the last one's states."""
        states: Optional[List[State]] = None
        ran: List[Tuple[Half, Any, List[State]]] = []
        for half in halves(job):
            x = arrays[half.sequence]
            states = initial_states(job, arrays, x) if states is None else states
            part = part_of(job, half, "input")
            x = x if part is None else drop(part, x)
            last: List[State] = []
            for number in range(job.config.get("layers", 1)):
                masks = [part_of(job, half, at, number) for at in ("state.h", "state.c")]
                layer = Layer(half, number, layer_weights(job, half, number, arrays), *masks)
                x, state = sequence(layer, x, states[number])
                last.append(state)
                part = above(job, half, number)
                x = x if part is None else drop(part, x)
            states = last
            ran.append((half, x, last))
        return outputs_of(job, ran)

    def function(self, job: Job) -> Function:
        """The layer kind with the library's own cell and dropout."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            return self.run_stacks(job, arrays, *self.model(job, key))

        return call

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """The library's cell over a sequence and its dropout, keyed for this call."""
        raise NotImplementedError


def above(job: Job, half: Half, number: int) -> Optional[Part]:
    """What masks a layer's outputs: `between_layers`, for the last layer `output`."""
    last = number == job.config.get("layers", 1) - 1
    return part_of(job, half, "output") if last else part_of(job, half, "between_layers", number)


def broadcast_dims(shape: Sequence[int], full: Sequence[int]) -> Tuple[int, ...]:
    """The axes over which a mask of `shape` is shared when it meets an array of shape `full`."""
    return tuple(axis for axis, (size, whole) in enumerate(zip(shape, full)) if size == 1 and whole != 1)
