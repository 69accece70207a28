"""`keras.layers.LSTM` and `keras.layers.RNN(LSTMCell)`, one layer or several, on every Keras backend.

https://keras.io/api/layers/recurrent_layers/lstm/ . What a layer draws, in evaluation mode too: with `dropout` alone one
input mask (B, D) for all gates and steps; with `recurrent_dropout` (which forces implementation 1) four input masks and
then four masks (B, H) on the h that enters a step, all of them the same at every step. The gates' order is i, f, c, o, so
the weights are canonical as they are. Masks between layers and on the output are `keras.layers.Dropout`.

Import policy: Keras is imported inside functions only.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.adapters.base import Job, SiteSpec, Unsupported
from harness.adapters.keras3_run import KerasAdapter, Network, Tensors, keras_implementation
from harness.tape import BERNOULLI, Slot

GATES = 4


def layer_count(job: Job) -> int:
    """How many LSTM layers the job's stack has."""
    return int(job.config.get("layers", 1))


def rate(job: Job, at: str) -> float:
    """A site's rate; 0 where the case has no such site."""
    site = job.site(at)
    return 0.0 if site is None else float(site.rate)


def drawing(job: Job, at: str, train_only: bool = False) -> Optional[SiteSpec]:
    """The site, if Keras draws for it: not at rate 0 or 1."""
    site = job.site(at)
    if site is None or not 0.0 < site.rate < 1.0 or (train_only and not job.train):
        return None
    return site


def mask_slots(at: str, count: int, mask: Tuple[int, int], layer: Optional[Tuple[int, int]]) -> List[Slot]:
    """Slots of `count` masks (B, F), one a gate (or one for all), the same at every step.

    `layer`: (index, of how many) where the site's canonical array has an axis of layers.
    """
    batch, features = mask
    canonical = (count, batch, 1, features)  # type: Tuple[int, ...]
    head = ()  # type: Tuple[Any, ...]
    if layer is not None:
        canonical, head = (layer[1],) + canonical, (layer[0],)
    return [Slot(at, BERNOULLI, (batch, features), canonical, head + (gate,)) for gate in range(count)]


def noise_shape(site: SiteSpec, batch: int) -> Optional[Tuple[int, ...]]:
    """`noise_shape` of a Dropout layer on (B, T, F) for a site whose last three axes these are."""
    return tuple(site.shape[-3:]) if site.shared else None


@keras_implementation("keras.layers.LSTM", "lstm")
class Lstm(KerasAdapter):
    """`keras.layers.LSTM`; options as its arguments (None: Keras's default)."""

    options = dict(KerasAdapter.options, implementation=None, unroll=False, use_cudnn=None)
    sites = ("input", "state.h", "between_layers", "output")

    def check(self, job: Job) -> None:
        super(Lstm, self).check(job)
        site = job.site("between_layers")
        if site is not None and "layers" in site.shared and site.shape[0] != layer_count(job) - 1:
            raise Unsupported("a Dropout layer between two LSTM layers draws a mask of its own")
        implementation = self.option(job, "implementation")
        if implementation not in (None, 1, 2):
            raise Unsupported("Keras 3's LSTM has implementation 1 and 2, not %r" % (implementation,))
        if job.config.get("return_sequences") is False and job.site("output") is not None:
            shape = job.site("output").shape  # type: ignore[union-attr]
            if shape[1] != 1:
                raise Unsupported("Dropout on a last output (B, H) draws no mask for the other steps")

    def input_masks(self, job: Job) -> int:
        """How many input masks a layer draws: one for each gate in implementation 1, else one for all."""
        forced = rate(job, "state.h") > 0.0
        return GATES if forced or self.option(job, "implementation") == 1 else 1

    def slots(self, job: Job) -> List[Slot]:
        return self.stack_slots(job, job.inputs["x"].shape, "", bool(job.config.get("return_sequences")))

    def stack_slots(self, job: Job, shape: Tuple[int, ...], prefix: str, sequences: bool) -> List[Slot]:
        """The draws of one stack of layers whose sites' names begin with `prefix`."""
        batch, _, features = shape
        units, layers = int(job.config["units"]), layer_count(job)
        found = []  # type: List[Slot]
        for layer in range(layers):
            if layer == 0 and drawing(job, prefix + "input"):
                found += mask_slots(prefix + "input", self.input_masks(job), (batch, features), None)
            if drawing(job, prefix + "state.h"):
                place = (layer, layers) if layers > 1 else None
                found += mask_slots(prefix + "state.h", GATES, (batch, units), place)
            between = drawing(job, prefix + "between_layers", train_only=True)
            if between is not None and layer < layers - 1:
                mask = tuple(between.shape[1:])
                found.append(Slot(prefix + "between_layers", BERNOULLI, mask, (layers - 1,) + mask, (layer,)))
        output = drawing(job, prefix + "output", train_only=True)
        if output is not None:
            mask = tuple(output.shape) if sequences else (output.shape[0], output.shape[2])
            found.append(Slot(prefix + "output", BERNOULLI, mask, tuple(output.shape)))
        return found

    def layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        """One LSTM layer with these arguments."""
        for name in ("implementation", "use_cudnn"):
            if self.option(job, name) is not None:
                arguments[name] = self.option(job, name)
        return keras.layers.LSTM(unroll=bool(self.option(job, "unroll")), **arguments)

    def cell_of(self, layer: Any) -> Any:
        """Where the weights lie."""
        return layer.cell

    def stack(self, keras: Any, job: Job, features: int, prefix: str, sequences: bool, names: str = "") -> "Stack":
        """Build a stack of layers for inputs (B, T, features); `names`: prefix of the canonical weights."""
        layers = layer_count(job)
        built = Stack(self, job, prefix, sequences)
        for index in range(layers):
            arguments = {
                "units": int(job.config["units"]),
                "dropout": rate(job, prefix + "input") if index == 0 else 0.0,
                "recurrent_dropout": rate(job, prefix + "state.h"),
                "return_sequences": sequences or index < layers - 1,
                "return_state": True,
                # No initialiser may draw: weights are assigned, and a draw would stand on the tape.
                "kernel_initializer": "zeros",
                "recurrent_initializer": "zeros",
                "seed": job.seed,
                "dtype": job.dtype,
            }
            layer = self.layer(keras, job, arguments)
            layer.build((None, None, features if index == 0 else int(job.config["units"])))
            built.add(layer, names + ("layer%d." % index if layers > 1 else ""))
            between = job.site(prefix + "between_layers")
            if between is not None and index < layers - 1:
                built.drop(keras, between)
        output = job.site(prefix + "output")
        if output is not None:
            built.drop(keras, output)
        return built

    def network(self, keras: Any, job: Job) -> Network:
        sequences = bool(job.config.get("return_sequences"))
        stack = self.stack(keras, job, job.inputs["x"].shape[2], "", sequences)

        def forward(inputs: Tensors) -> Tensors:
            state = (inputs["h0"], inputs["c0"]) if "h0" in inputs else None
            y, h, c = stack(inputs["x"], state)
            if not job.config.get("return_state"):
                return {"y": y}
            return {"y": y, "h": join(keras, h), "c": join(keras, c)}

        return Network(stack.variables, stack.layers, forward)


def join(keras: Any, states: List[Any]) -> Any:
    """(B, H) of one layer, (L, B, H) of several."""
    return states[0] if len(states) == 1 else keras.ops.stack(states)


class Stack(object):
    """LSTM layers and the Dropout layers between and after them, called in order."""

    def __init__(self, adapter: Lstm, job: Job, prefix: str, sequences: bool) -> None:
        self._adapter, self._job, self._sequences = adapter, job, sequences
        self.variables = {}  # type: Dict[str, Any]
        self.layers = []  # type: List[Any]
        self._recurrent = []  # type: List[Any]

    def add(self, layer: Any, prefix: str) -> None:
        """Append an LSTM layer whose canonical weights' names begin with `prefix`."""
        cell = self._adapter.cell_of(layer)
        for name in ("kernel", "recurrent_kernel", "bias"):
            self.variables[prefix + name] = getattr(cell, name)
        self.layers.append(layer)
        self._recurrent.append(layer)

    def drop(self, keras: Any, site: SiteSpec) -> None:
        """Append a Dropout layer."""
        shape = None  # type: Optional[Tuple[int, ...]]
        if site.shared and self._sequences:
            shape = tuple(site.shape[-3:])
        elif site.shared and site.at.endswith("output"):
            shape = (site.shape[-3], site.shape[-1])
        elif site.shared:
            shape = tuple(site.shape[-3:])
        self.layers.append(
            keras.layers.Dropout(site.rate, noise_shape=shape, seed=self._job.seed, dtype=self._job.dtype)
        )

    def __call__(self, x: Any, state: Any) -> Tuple[Any, List[Any], List[Any]]:
        """Return the emitted output and every layer's h and c; `state`: (h0, c0), (B, H) or (L, B, H)."""
        hs, cs = [], []
        for layer in self.layers:
            if layer not in self._recurrent:
                x = layer(x, training=self._job.train)
                continue
            index = len(hs)
            initial = None
            if state is not None:
                initial = [part if len(self._recurrent) == 1 else part[index] for part in state]
            x, h, c = layer(x, initial_state=initial, training=self._job.train)
            hs.append(h)
            cs.append(c)
        return x, hs, cs


@keras_implementation("keras.layers.LSTMCell", "lstm")
class LstmCell(Lstm):
    """`keras.layers.RNN(keras.layers.LSTMCell(...))`: the cell in the general loop, without the fused paths of LSTM."""

    options = dict(KerasAdapter.options, implementation=None, unroll=False)

    def layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        outer = {name: arguments.pop(name) for name in ("return_sequences", "return_state")}
        if self.option(job, "implementation") is not None:
            arguments["implementation"] = self.option(job, "implementation")
        cell = keras.layers.LSTMCell(**arguments)
        return keras.layers.RNN(cell, unroll=bool(self.option(job, "unroll")), dtype=job.dtype, **outer)
