"""`torch.nn.LSTM` itself: stacked, bidirectional, projected, packed; with nn.Dropout around it, which it lacks.

https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
"""

import copy
from typing import Any, Dict, List, Tuple

from harness.adapters.base import PLAIN_SETTINGS, SiteSpec, Unsupported
from harness.adapters.torch_arrays import from_numpy, torch_module
from harness.adapters.torch_base import Leaf, drawing, rate_of, require_shared
from harness.adapters.torch_compile import allow_rnn, backend_of, maybe_compiled
from harness.adapters.torch_sequence import Stack, State, layer_leaves, load, suffixes
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
    defaults = {"batch_first": False, "compile": False, "allow_rnn": False}
    settings = (*PLAIN_SETTINGS, "forget_bias", "projection", "bidirectional", "padding")

    @property
    def batch_first(self) -> bool:
        """Whether torch reads (B, T, D)."""
        return bool(self.options.get("batch_first", False))

    @property
    def packed(self) -> bool:
        """Whether the sequences have lengths of their own."""
        return bool(self.job.config.get("padding"))

    def check(self) -> None:
        super(NativeStack, self).check()
        if self.options.get("allow_rnn") and not self.options.get("compile"):
            raise Unsupported("allow_rnn is a setting of torch._dynamo: without `compile` it does nothing")
        padding = self.job.config.get("padding")
        if padding not in (None, "zeros"):
            raise Unsupported("packed sequences are padded with zeros, not: %s" % padding)
        for site in self.own_sites():
            self.check_shared(site)

    def check_shared(self, site: SiteSpec) -> None:
        """Raise Unsupported for a mask that torch draws otherwise."""
        axes = tuple(axis for axis in site.axes if axis in ("directions", "gates"))
        require_shared(site, [axes if site.at == self.at("input") else ()], "torch.nn.Dropout")

    def slots(self) -> List[Slot]:
        found: List[Slot] = []
        site = drawing(self.job, self.at("input"))
        if site is not None:
            found.append(self._slot(site, (0,) * (len(site.shape) - 3), self.batch_first))
        site = drawing(self.job, self.at("between_layers"))
        if site is not None:
            for layer in range(self.layers - 1):
                slot = self._packed_slot(site, layer) if self.packed else self._slot(site, (layer,), False)
                found.append(slot)
        site = drawing(self.job, self.at("output"))
        if site is not None:
            found.append(self._slot(site, (), self.batch_first))
        return found

    def _slot(self, site: SiteSpec, place: Tuple[Any, ...], batch_first: bool) -> Slot:
        """The draw of a (B, T, F) part of a site, in the layout that torch has there."""
        batch, time, features = site.shape[-3:]
        if batch_first:
            return Slot(site.at, BERNOULLI, (batch, time, features), tuple(site.shape), place)
        return Slot(site.at, BERNOULLI, (time, batch, features), tuple(site.shape), place, (1, 0, 2))

    def _packed_slot(self, site: SiteSpec, layer: int) -> Slot:
        """The draw over a packed sequence's data: (valid steps, F)."""
        torch = torch_module()
        numbers = torch.arange(self.batch * self.time).reshape(self.batch, self.time, 1)
        order = self._pack(numbers, batch_first=True).data[:, 0].numpy()
        place = (layer, order // self.time, order % self.time)
        return Slot(site.at, BERNOULLI, (len(order), site.shape[-1]), tuple(site.shape), place)

    def _pack(self, x: Any, batch_first: bool) -> Any:
        lengths = from_numpy(self.job.inputs["lengths"]).long()
        pack = torch_module().nn.utils.rnn.pack_padded_sequence
        return pack(x, lengths, batch_first=batch_first, enforce_sorted=False)

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        lstm = torch.nn.LSTM(
            self.features,
            self.units,
            num_layers=self.layers,
            dropout=rate_of(self.job, self.at("between_layers")),
            bidirectional=self.directions == 2,
            proj_size=int(self.job.config.get("projection") or 0),
            batch_first=self.batch_first,
            dtype=next(iter(weights.values())).dtype,
        )
        for layer in range(self.layers):
            for prefix, suffix in zip(self.prefixes(layer), suffixes(layer, self.directions)):
                load(lstm, self, prefix, suffix, weights)
        return self._with_dropout(lstm)

    def share(self, built: Any, other: Stack) -> Any:
        assert isinstance(other, NativeStack)
        # A shallow copy holds the same parameters; only the rate between its layers is its own.
        lstm = copy.copy(built[1])
        lstm.dropout = rate_of(self.job, other.at("between_layers"))
        return other._with_dropout(lstm)

    def _with_dropout(self, lstm: Any) -> Any:
        """The LSTM between a Dropout for its input and one for its output."""
        torch = torch_module()
        before = torch.nn.Dropout(rate_of(self.job, self.at("input")))
        after = torch.nn.Dropout(rate_of(self.job, self.at("output")))
        return torch.nn.ModuleList([before, lstm, after]).train(self.job.train)

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer in range(self.layers):
            for prefix, suffix in zip(self.prefixes(layer), suffixes(layer, self.directions)):
                found.update(layer_leaves(built[1], self, prefix, suffix))
        return found

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        before, lstm, after = built
        native = before(x if self.batch_first else x.transpose(0, 1).contiguous())
        start = (state[0].contiguous(), state[1].contiguous())
        if self.packed:
            packed, (h, c) = self._call(lstm, self._pack(native, self.batch_first), start)
            unpack = torch_module().nn.utils.rnn.pad_packed_sequence
            y, _ = unpack(packed, batch_first=self.batch_first, total_length=self.time)
        else:
            y, (h, c) = self._call(lstm, native, start)
        y = after(y)
        return (y if self.batch_first else y.transpose(0, 1)), h, c

    def native_states(self, built: Any, x: Any, state: State) -> Tuple[Any, ...]:
        lstm = next(module for module in built if isinstance(module, torch_module().nn.LSTM))
        sequence = x if self.batch_first else x.transpose(0, 1).contiguous()
        start = (state[0].contiguous(), state[1].contiguous())
        given = self._pack(sequence, self.batch_first) if self.packed else sequence
        _, found = self._call(lstm, given, start)
        return tuple(found)

    def _call(self, lstm: Any, x: Any, state: State) -> Any:
        """Call nn.LSTM, compiled if the options say so."""
        if not backend_of(self.options):
            return lstm(x, state)
        whole = bool(self.options["allow_rnn"])
        with allow_rnn(whole):
            return maybe_compiled(lstm, self.options, whole)(x, state)
