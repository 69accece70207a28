"""`torch.nn.LSTM` itself: stacked, bidirectional, projected, packed; with nn.Dropout around it, which it lacks.

https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
"""

import copy
from typing import Any, Dict, List, Tuple

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Unsupported
from harness.frameworks.contract.capabilities import EVERY, OWN, Shared
from harness.frameworks.contract.places import SEQUENCE, TIME_FIRST, slots_of
from harness.frameworks.torch.arrays import from_numpy, torch_module
from harness.frameworks.torch.base import Leaf
from harness.frameworks.torch.compile import allow_rnn, backend_of, maybe_compiled
from harness.frameworks.torch.sequence import Stack, State, layer_leaves, load, suffix
from harness.noises import Site
from harness.tape import BERNOULLI, Slot


class NativeStack(Stack):
    """`torch.nn.LSTM` between an nn.Dropout for its input and one for its output.

    Option `batch_first`: torch then reads (B, T, D), but its dropout between layers is drawn in (T, B, H) all the same.
    Option `compile`: torch.compile leaves nn.LSTM out of its graph and runs it eagerly, unless `allow_rnn` (a setting of
    torch._dynamo) is true; then the graph holds the layers as torch._decomp writes them.

    With lengths (`padding: zeros`) the sequences are packed: dropout between layers then draws for valid steps only, one
    after another as the packed sequence has them; elsewhere the recorded mask says "dropped".
    """

    sites: Tuple[str, ...] = ("input", "output", "between_layers")
    options = {"batch_first": False, "compile": False, "allow_rnn": False}
    settings = (*PLAIN_SETTINGS, "forget_bias", "projection", "bidirectional", "padding")
    values = {"padding": ("zeros",)}
    shared: Dict[str, Tuple[Shared, ...]] = {EVERY: (OWN,), "input": (Shared(("directions", "gates")),)}
    because = {"padding": "packed sequences are padded with zeros"}

    @property
    def batch_first(self) -> bool:
        """Whether torch reads (B, T, D)."""
        return bool(self.options.get("batch_first", False))

    @property
    def packed(self) -> bool:
        """Whether the sequences have lengths of their own."""
        return bool(self.job.config.get("padding"))

    def check(self) -> None:
        super().check()
        if self.options.get("allow_rnn") and not self.options.get("compile"):
            raise Unsupported("allow_rnn is a setting of torch._dynamo: without `compile` it does nothing")

    def slots(self) -> List[Slot]:
        found: List[Slot] = []
        outside = SEQUENCE if self.batch_first else TIME_FIRST
        for site in self.drawing("input"):
            found += slots_of(site, outside)
        for site in self.drawing("between_layers"):
            for layer in range(self.geometry.layers - 1):
                found += [self._packed_slot(site, layer)] if self.packed else slots_of(site, TIME_FIRST, layers=layer)
        for site in self.drawing("output"):
            found += slots_of(site, outside)
        return found

    def _packed_slot(self, site: Site, layer: int) -> Slot:
        """The draw over a packed sequence's data: (valid steps, F)."""
        torch, stack = torch_module(), self.geometry
        numbers = torch.arange(stack.batch * stack.time).reshape(stack.batch, stack.time, 1)
        order = self._pack(numbers, batch_first=True).data[:, 0].numpy()
        place = (layer, order // stack.time, order % stack.time)
        return Slot(site.at, BERNOULLI, (len(order), site.shape[-1]), tuple(site.shape), place)

    def _pack(self, x: Any, batch_first: bool) -> Any:
        lengths = from_numpy(self.job.inputs["lengths"]).long()
        pack = torch_module().nn.utils.rnn.pack_padded_sequence
        return pack(x, lengths, batch_first=batch_first, enforce_sorted=False)

    def build(self, weights: Dict[str, Any]) -> Any:
        torch, stack = torch_module(), self.geometry
        lstm = torch.nn.LSTM(
            stack.features,
            stack.units,
            num_layers=stack.layers,
            dropout=self.rate("between_layers"),
            bidirectional=stack.directions == 2,
            proj_size=int(self.job.config.get("projection") or 0),
            batch_first=self.batch_first,
            dtype=next(iter(weights.values())).dtype,
        )
        for place in stack.places():
            load(lstm, self, stack.prefix(*place), suffix(*place), weights)
        return self._with_dropout(lstm)

    def share(self, built: Any, other: Stack) -> Any:
        assert isinstance(other, NativeStack)
        # A shallow copy holds the same parameters; only the rate between its layers is its own.
        lstm = copy.copy(built[1])
        lstm.dropout = other.rate("between_layers")
        return other._with_dropout(lstm)

    def _with_dropout(self, lstm: Any) -> Any:
        """The LSTM between a Dropout for its input and one for its output."""
        torch = torch_module()
        before = torch.nn.Dropout(self.rate("input"))
        after = torch.nn.Dropout(self.rate("output"))
        return torch.nn.ModuleList([before, lstm, after]).train(self.job.train)

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for place in self.geometry.places():
            found.update(layer_leaves(built[1], self, self.geometry.prefix(*place), suffix(*place)))
        return found

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        before, lstm, after = built
        native = before(x if self.batch_first else x.transpose(0, 1).contiguous())
        start = (state[0].contiguous(), state[1].contiguous())
        if self.packed:
            packed, (h, c) = self._call(lstm, self._pack(native, self.batch_first), start)
            unpack = torch_module().nn.utils.rnn.pad_packed_sequence
            y, _ = unpack(packed, batch_first=self.batch_first, total_length=self.geometry.time)
        else:
            y, (h, c) = self._call(lstm, native, start)
        y = after(y)
        return (y if self.batch_first else y.transpose(0, 1)), h, c

    def _call(self, lstm: Any, x: Any, state: State) -> Any:
        """Call nn.LSTM, compiled if the options say so."""
        if not backend_of(self.options):
            return lstm(x, state)
        whole = bool(self.options["allow_rnn"])
        with allow_rnn(whole):
            return maybe_compiled(lstm, self.options, whole)(x, state)
