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
    """One draw of a site in the pipeline: the part of its canonical mask at `place`, of `shape`."""

    site: SiteSpec
    place: Tuple[Any, ...]
    shape: Tuple[int, ...]


class Half(NamedTuple):
    """One stack in a layer kind: prefix of its sites, prefix of its weights, name of its sequence, outputs' prefix."""

    sites: str
    weights: str
    sequence: str


#: sequence(weights, x (B, T, D), (h0, c0) each (B, H)) -> every step's h (B, T, H), (h, c)
SequenceOf = Callable[[int, Weights, Any, State], Tuple[Any, State]]
#: drop(part, array) -> array
DropOf = Callable[[Part, Any], Any]


def halves(job):
    # type: (Job) -> Tuple[Half, ...]
    """The stacks of the job's layer kind, in the order in which they run."""
    if job.layer == "encoder_decoder":
        tied = job.config.get("tied", False)
        return tuple(
            Half(name, "" if tied else name, sequence) for name, sequence in (("encoder.", "x"), ("decoder.", "z"))
        )
    return (Half("", "", "x"),)


def layer_weights(job, half, layer, arrays):
    # type: (Job, Half, int, Dict[str, Any]) -> Weights
    """The canonical weights of one layer of a half."""
    prefix = half.weights + ("layer%d." % layer if job.config.get("layers", 1) > 1 else "")
    return Weights(*(arrays[prefix + name] for name in Weights._fields))


def part_of(job, half, at, layer=None):
    # type: (Job, Half, str, Optional[int]) -> Optional[Part]
    """The active draw of a half's site for the pipeline, or None. The gate axis must be shared where there is one."""
    site = job.site(half.sites + at)
    if site is None or not active(job, site):
        return None
    if at == "input":
        return Part(site, (0,), site.shape[1:])
    if at == "between_layers":
        return Part(site, (layer,), site.shape[1:])
    return Part(site, (), site.shape)


def initial_states(job, arrays, x):
    # type: (Job, Dict[str, Any], Any) -> List[State]
    """Every layer's (h0, c0), each (B, H); zeros where the job has none."""
    import jax.numpy as jnp

    layers = job.config.get("layers", 1)
    shape = (layers, x.shape[0], job.config["units"])
    h0, c0 = (
        jnp.reshape(arrays[name], shape) if name in arrays else jnp.zeros(shape, x.dtype) for name in ("h0", "c0")
    )
    return [(h0[layer], c0[layer]) for layer in range(layers)]


def outputs_of(job, y, ran):
    # type: (Job, Any, Sequence[Tuple[Half, List[State]]]) -> Dict[str, Any]
    """The canonical outputs: y (B, T, H) or its last step, and each half's states where they are returned."""
    import jax.numpy as jnp

    outputs = {"y": y if job.config.get("return_sequences", False) else y[:, -1]}
    if job.config.get("return_state", False):
        for half, states in ran:
            prefix = half.sites.replace("decoder.", "")
            for name, values in (("h", [h for h, _ in states]), ("c", [c for _, c in states])):
                outputs[prefix + name] = values[0] if len(values) == 1 else jnp.stack(values)
    return outputs


class StackAdapter(JaxAdapter):
    """An LSTM stack, alone or as encoder and decoder. Subclasses write `parts_of_library`."""

    site_names = ("input", "output", "between_layers")
    #: whether the library's dropout layer draws at rate 1.
    draws_at_one = False

    def __init__(self):
        # type: () -> None
        self.sites = tuple(prefix + name for prefix in ("", "encoder.", "decoder.") for name in self.site_names)

    def check(self, job):
        # type: (Job) -> None
        """Refuse masks that differ by gate, one mask for several layers, and masks without scale."""
        super(StackAdapter, self).check(job)
        for site in job.sites:
            name = site.at.rsplit("coder.", 1)[-1]
            if name in ("input", "state.h") and "gates" not in site.shared:
                raise Unsupported("%s: the cell has one input for all gates, so one mask for all gates" % site.at)
            if "layers" in site.shared:
                raise Unsupported("%s: every layer has a dropout of its own" % site.at)
            if site.scale != "inverted":
                raise Unsupported("%s: the dropout layer always scales" % site.at)

    def slots(self, job):
        # type: (Job) -> List[Slot]
        """Input, between the layers, output; the encoder's before the decoder's."""
        found = []  # type: List[Slot]
        for half in halves(job):
            for part in self.parts(job, half):
                if part.site.rate < 1.0 or self.draws_at_one:
                    found.append(Slot(part.site.at, kind_of(part.site), part.shape, part.site.shape, part.place))
        return found

    def parts(self, job, half):
        # type: (Job, Half) -> List[Part]
        """The draws of one half, in the order of the pipeline."""
        layers = job.config.get("layers", 1)
        wanted = [part_of(job, half, "input")]
        wanted += [part_of(job, half, "between_layers", layer) for layer in range(layers - 1)]
        wanted.append(part_of(job, half, "output"))
        return [part for part in wanted if part is not None]

    def _half(self, job, half, arrays, states, drop):
        # type: (Job, Half, Dict[str, Any], Optional[List[State]], DropOf) -> Tuple[Any, List[State]]
        layers = job.config.get("layers", 1)
        sequence = self.sequence(job, half)
        x = arrays[half.sequence]
        states = initial_states(job, arrays, x) if states is None else states
        last = []  # type: List[State]
        part = part_of(job, half, "input")
        x = x if part is None else drop(part, x)
        for layer in range(layers):
            x, state = sequence(layer, layer_weights(job, half, layer, arrays), x, states[layer])
            last.append(state)
            part = part_of(job, half, "between_layers", layer) if layer < layers - 1 else part_of(job, half, "output")
            x = x if part is None else drop(part, x)
        return x, last

    def run_stacks(self, job, arrays, drop):
        # type: (Job, Dict[str, Any], DropOf) -> Dict[str, Any]
        """The whole layer kind: every half in order, each starting from the last one's states."""
        states = None  # type: Optional[List[State]]
        ran = []  # type: List[Tuple[Half, List[State]]]
        for half in halves(job):
            y, states = self._half(job, half, arrays, states, drop)
            ran.append((half, states))
        return outputs_of(job, y, ran)

    def function(self, job):
        # type: (Job) -> Function
        """The layer kind with the library's own cell and dropout."""

        def call(key, arrays):
            # type: (Any, Dict[str, Any]) -> Dict[str, Any]
            return self.run_stacks(job, arrays, self.dropout(job, key))

        return call

    def dropout(self, job, key):
        # type: (Job, Any) -> DropOf
        """The library's dropout, keyed for this call."""
        raise NotImplementedError

    def sequence(self, job, half):
        # type: (Job, Half) -> SequenceOf
        """The library's cell over a sequence."""
        raise NotImplementedError


def broadcast_dims(shape, full):
    # type: (Sequence[int], Sequence[int]) -> Tuple[int, ...]
    """The axes over which a mask of `shape` is shared when it meets an array of shape `full`."""
    return tuple(axis for axis, (size, whole) in enumerate(zip(shape, full)) if size == 1 and whole != 1)
