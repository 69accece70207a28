"""A stack of LSTM layers in any JAX library: what `lstm` and `encoder_decoder` have in common there.

A library gives two functions, `sequence` (one layer over one sequence, in one direction or two) and `drop` (its dropout
layer); the pipeline around them is the one people write: dropout on the recurrent weights once a call, on the input, on the
states in every step, between the layers and on the output. Everything here is batch-major and in canonical weights;
the functions map to the library's layout.

Imported on Python 3.6 with NumPy alone.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, SiteSpec, Unsupported
from harness.adapters.jax_adapter import Function, JaxAdapter, active, kind_of
from harness.tape import Slot

State = Tuple[Any, Any]

SITES = ("weight.recurrent", "input", "state.h", "state.c", "between_layers", "output")
HALVES = ("", "encoder.", "decoder.")


class Weights(NamedTuple):
    """One layer's canonical weights: kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H,), gates i, f, g, o.

    Of a GRU with gates z, r, n, 3H wide, and a recurrent_bias (3H,); of a simple layer H wide.
    """

    kernel: Any
    recurrent_kernel: Any
    bias: Any
    recurrent_bias: Any = None

    @property
    def units(self) -> int:
        """H."""
        return int(self.recurrent_kernel.shape[0])


class Part(NamedTuple):
    """What one dropout layer of a model masks: a site, or the share of it that one layer in one direction has.

    place     index of its part in the site's canonical mask.
    shape     of that part: (B, T, H), for the states too, though they are masked step by step; weights (P, 4, H).
    """

    site: SiteSpec
    place: Tuple[Any, ...]
    shape: Tuple[int, ...]

    def shares(self, axis: str) -> bool:
        """Whether one mask serves the whole of a named axis."""
        return axis in self.site.shared

    @property
    def shared(self) -> Tuple[int, ...]:
        """The numbers of the part's axes that one mask serves."""
        axes = self.site.axes[len(self.place) :]
        return tuple(number for number, axis in enumerate(axes) if self.shares(axis))


class Half(NamedTuple):
    """One stack in a layer kind: prefix of its sites, prefix of its weights, name of its sequence."""

    sites: str
    weights: str
    sequence: str


class Layer(NamedTuple):
    """One LSTM of a stack: where it stands, its weights, and what masks h and c on their way into each step.

    direction  0 forward, 1 backward. reverse: whether it reads the sequence from its end.
    """

    half: Half
    number: int
    direction: int
    reverse: bool
    weights: Weights
    h: Optional[Part]
    c: Optional[Part]


#: sequence(the layer in each direction, x (B, T, D), each one's (h0, c0), lengths (B,) or None) -> y (B, T, N H), (h, c)s.
#: A single layer in reverse gives y in the order of reading; two give it in the order of the sequence.
SequenceOf = Callable[[Sequence[Layer], Any, Sequence[State], Any], Tuple[Any, List[State]]]
#: drop(part, array) -> array
DropOf = Callable[[Part, Any], Any]


def halves(job: Job) -> Tuple[Half, ...]:
    """The stacks of the job's layer kind, in the order in which they run."""
    if job.layer == "encoder_decoder":
        tied = job.config.get("tied", False)
        pairs = (("encoder.", "x"), ("decoder.", "z"))
        return tuple(Half(name, "" if tied else name, sequence) for name, sequence in pairs)
    return (Half("", "", "x"),)


def layers_of(job: Job) -> int:
    """L."""
    return int(job.config.get("layers", 1))


def state_names(job: Job) -> Tuple[str, ...]:
    """The states of the job's layer kind: a GRU and a simple layer have no c."""
    return ("h",) if job.layer in ("gru", "simple_rnn") else ("h", "c")


def directions_of(job: Job) -> int:
    """2 where each layer reads both ways."""
    return 2 if job.config.get("bidirectional") else 1


def weight_prefix(job: Job, half: Half, number: int, direction: int = 0) -> str:
    """The prefix of one layer's weights."""
    numbered = layers_of(job) > 1 or job.layer == "awd_lstm"
    prefix = half.weights + ("layer%d." % number if numbered else "")
    return prefix + (("forward.", "backward.")[direction] if directions_of(job) > 1 else "")


def layer_weights(job: Job, half: Half, number: int, direction: int, arrays: Dict[str, Any]) -> Weights:
    """The canonical weights of one layer of a half."""
    prefix = weight_prefix(job, half, number, direction)
    return Weights(*(arrays.get(prefix + name) for name in Weights._fields))


def part_of(job: Job, half: Half, at: str, number: int = 0, direction: int = 0) -> Optional[Part]:
    """The active dropout of a half's site for one layer, or None. A gate axis must be shared where it comes first."""
    site = job.site(half.sites + at)
    if site is None or not active(job, site):
        return None
    indices = {"layers": number, "directions": direction, "gates": 0}
    place: Tuple[Any, ...] = ()
    for axis, size in zip(site.axes, site.shape):
        if axis in ("batch", "inputs"):
            break
        place += (min(indices[axis], size - 1),)
    return Part(site, place, site.shape[len(place) :])


def weight_part(job: Job, half: Half, number: int, way: int) -> Optional[Part]:
    """The active dropout of one recurrent kernel; a language model has a site for each layer."""
    prefix = "layer%d." % number if job.layer == "awd_lstm" else ""
    return part_of(job, half, prefix + "weight.recurrent", number, way)


def above(job: Job, half: Half, number: int) -> Optional[Part]:
    """What masks a layer's outputs: `between_layers`, for the last layer `output`."""
    last = number == layers_of(job) - 1
    return part_of(job, half, "output") if last else part_of(job, half, "between_layers", number)


def initial_states(job: Job, arrays: Dict[str, Any], x: Any) -> List[List[State]]:
    """Every layer's (h0, c0) in every direction, each (B, H); zeros where the job has none, or its kind no c."""
    import jax.numpy as jnp

    layers, directions, units = layers_of(job), directions_of(job), job.config["units"]
    widths = {"h0": job.config.get("projection") or units, "c0": units}
    start = {}
    for name, width in widths.items():
        shape = (layers, directions, x.shape[0], width)
        start[name] = jnp.reshape(arrays[name], shape) if name in arrays else jnp.zeros(shape, x.dtype)
    return [
        [(start["h0"][number, way], start["c0"][number, way]) for way in range(directions)] for number in range(layers)
    ]


def outputs_of(job: Job, ran: Sequence[Tuple[Half, Any, List[List[State]]]]) -> Dict[str, Any]:
    """The canonical outputs: y (B, T, N H) or its last step, and each half's states where they are returned.

    `ran` has each half with its y and states. What the encoder emits is dropped: `_encoder.y` keeps its mask alive.
    """
    import jax.numpy as jnp

    y = ran[-1][1]
    outputs = {"_" + half.sites + "y": emitted for half, emitted, _ in ran[:-1]}
    if not job.config.get("return_sequences", False):
        width = y.shape[-1] // 2
        both = directions_of(job) > 1
        y = jnp.concatenate([y[:, -1, :width], y[:, 0, width:]], axis=-1) if both else y[:, -1]
    outputs["y"] = y
    if job.config.get("return_state", False):
        for half, _, states in ran:
            flat = [state for row in states for state in row]
            leading = tuple(size for size in (layers_of(job), directions_of(job)) if size > 1)
            for index, name in enumerate(state_names(job)):
                stacked = jnp.stack([state[index] for state in flat])
                shape = leading + tuple(stacked.shape[1:])
                outputs[half.sites.replace("decoder.", "") + name] = jnp.reshape(stacked, shape)
    return outputs


class StackAdapter(JaxAdapter):
    """An LSTM stack, alone or as encoder and decoder, of a library's cell and dropout layers. Subclasses write `model`."""

    options = {"jit": True, "unroll": 1}
    sites = tuple(prefix + name for prefix in HALVES for name in SITES)
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "bidirectional", "go_backwards")
    #: whether the library's dropout layer draws at rate 1.
    draws_at_one = False

    def check(self, job: Job) -> None:
        """Refuse masks that differ by gate, one mask for several layers or for all features of a state, and no scale."""
        super(StackAdapter, self).check(job)
        for site in job.sites:
            at = site.at.rsplit("coder.", 1)[-1]
            if at in ("input", "state.h") and "gates" in set(site.axes) - set(site.shared):
                raise Unsupported("%s: the cell has one input for all gates, so one mask for all gates" % site.at)
            if at == "input" and "directions" in site.axes and "directions" not in site.shared:
                raise Unsupported("%s: the dropout stands before both directions, so they share its mask" % site.at)
            if at != "input" and set(site.shared) & {"layers", "directions"}:
                raise Unsupported("%s: every layer has a dropout of its own" % site.at)
            if at.startswith("state.") and "features" in site.shared:
                raise Unsupported("%s: one decision for all features of a state is not written here" % site.at)
            if site.scale != "inverted":
                raise Unsupported("%s: the dropout layer always scales" % site.at)

    def slots(self, job: Job) -> List[Slot]:
        """Weights first; then in the order of the model: input, for each layer its states step by step, its outputs."""
        found = [
            self.slot(part) for half, number, way in places(job) for part in self.weight_parts(job, half, number, way)
        ]
        for half in halves(job):
            steps = job.inputs[half.sequence].shape[1]
            found += [self.slot(part) for part in self.drawn(part_of(job, half, "input"))]
            for number in range(layers_of(job)):
                for way in range(directions_of(job)):
                    states = self.drawn(*(part_of(job, half, at, number, way) for at in ("state.h", "state.c")))
                    order = range(steps)[::-1] if way or job.config.get("go_backwards") else range(steps)
                    found += [self.step_slot(part, step, steps) for step in order for part in states]
                found += [self.slot(part) for part in self.drawn(above(job, half, number))]
        return found

    def drawn(self, *parts: Optional[Part]) -> List[Part]:
        """The parts for which the library draws."""
        return [part for part in parts if part is not None and (part.site.rate < 1.0 or self.draws_at_one)]

    def weight_parts(self, job: Job, half: Half, number: int, way: int) -> List[Part]:
        """The drawn dropout of one recurrent kernel, as a list of one or none."""
        return self.drawn(weight_part(job, half, number, way))

    def slot(self, part: Part) -> Slot:
        """A mask that is drawn at once."""
        return Slot(part.site.at, kind_of(part.site), part.shape, part.site.shape, part.place)

    def step_slot(self, part: Part, step: int, steps: int) -> Slot:
        """One step's mask of a state: drawn in every step, also where it is the same in all, so all steps are recorded."""
        full = (*part.site.shape[:-2], steps, part.site.shape[-1])
        place = (*part.place, slice(None), step)
        return Slot(part.site.at, kind_of(part.site), (part.shape[0], part.shape[2]), full, place)

    def function(self, job: Job) -> Function:
        """The layer kind with the library's own cell and dropout."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            sequence, drop = self.model(job, key)
            return self.pipeline(job, arrays, drop_weights(job, arrays, drop), sequence, drop)

        return call

    def pipeline(
        self,
        job: Job,
        arrays: Dict[str, Any],
        weights: Dict[Tuple[str, int, int], Weights],
        sequence: SequenceOf,
        drop: DropOf,
    ) -> Dict[str, Any]:
        """The layer kind around the library's functions."""
        return run_stacks(job, arrays, weights, sequence, drop)

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """The library's cell over a sequence and its dropout, keyed for this call."""
        raise NotImplementedError


def places(job: Job) -> List[Tuple[Half, int, int]]:
    """Every (half, layer, direction), in order."""
    return [
        (half, number, way)
        for half in halves(job)
        for number in range(layers_of(job))
        for way in range(directions_of(job))
    ]


def drop_weights(job: Job, arrays: Dict[str, Any], drop: DropOf) -> Dict[Tuple[str, int, int], Weights]:
    """Every layer's weights, the recurrent kernel as (P, 4, H) through `drop` where it has a dropout (WeightDrop).

    The dropped kernel is computed from the raw one in every call, so the raw one gets the gradient (Merity, Keskar & Socher,
    *Regularizing and Optimizing LSTM Language Models*, 2018, arXiv 1708.02182, section 2).
    """
    import jax.numpy as jnp

    found = {}
    for half, number, way in places(job):
        weights = layer_weights(job, half, number, way, arrays)
        part = weight_part(job, half, number, way)
        if part is not None:
            raw = weights.recurrent_kernel
            split = jnp.reshape(raw, (raw.shape[0], 4, raw.shape[1] // 4))
            weights = weights._replace(recurrent_kernel=jnp.reshape(drop(part, split), raw.shape))
        found[half.sites, number, way] = weights
    return found


def run_stacks(
    job: Job,
    arrays: Dict[str, Any],
    weights: Dict[Tuple[str, int, int], Weights],
    sequence: SequenceOf,
    drop: DropOf,
) -> Dict[str, Any]:
    """Every half in order, each starting from the last one's states."""
    states: List[List[State]] = []
    ran: List[Tuple[Half, Any, List[List[State]]]] = []
    for half in halves(job):
        x = arrays[half.sequence]
        states = states or initial_states(job, arrays, x)
        x, states = run_layers(job, half, x, states, arrays.get("lengths"), weights, sequence, drop)
        ran.append((half, x, states))
    return outputs_of(job, ran)


def run_layers(
    job: Job,
    half: Half,
    x: Any,
    states: List[List[State]],
    lengths: Any,
    weights: Dict[Tuple[str, int, int], Weights],
    sequence: SequenceOf,
    drop: DropOf,
) -> Tuple[Any, List[List[State]]]:
    """One half: dropout on x, then layer after layer with dropout on what each emits. Returns y and the last states."""
    part = part_of(job, half, "input")
    x = x if part is None else drop(part, x)
    last: List[List[State]] = []
    for number in range(layers_of(job)):
        ways = [
            Layer(
                half,
                number,
                way,
                way == 1 or bool(job.config.get("go_backwards")),
                weights[half.sites, number, way],
                part_of(job, half, "state.h", number, way),
                part_of(job, half, "state.c", number, way),
            )
            for way in range(directions_of(job))
        ]
        x, row = sequence(ways, x, states[number], lengths)
        last.append(row)
        part = above(job, half, number)
        x = x if part is None else drop(part, x)
    return x, last


def broadcast_dims(shape: Sequence[int], full: Sequence[int]) -> Tuple[int, ...]:
    """The axes over which a mask of `shape` is shared when it meets an array of shape `full`."""
    return tuple(axis for axis, (size, whole) in enumerate(zip(shape, full)) if size == 1 and whole != 1)
