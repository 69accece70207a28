"""`lstm` in torch: `torch.nn.LSTM`, a loop over `torch.nn.LSTMCell`, a loop of functional calls."""

from typing import Any, Dict, List, Type

from harness.adapters.base import Job, implementation
from harness.adapters.torch_base import Leaf, TorchAdapter
from harness.adapters.torch_locked import LockedStack
from harness.adapters.torch_loops import CellStack, FormulaStack
from harness.adapters.torch_sequence import NativeStack, Stack
from harness.tape import Slot


class Sequence(TorchAdapter):
    """Adapter of one kind of stack to the layer kind `lstm`."""

    stack_class: Type[Stack] = Stack

    def stack(self, job: Job) -> Stack:
        """The stack of a job."""
        return self.stack_class(job, "x", options=job.options)

    def check(self, job: Job) -> None:
        super(Sequence, self).check(job)
        self.stack(job).check()

    def slots(self, job: Job) -> List[Slot]:
        return self.stack(job).slots()

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        return self.stack(job).build(weights)

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        return self.stack(job).leaves(built)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        stack = self.stack(job)
        x = inputs["x"]
        h0, c0 = stack.zero_state(x)
        h0 = inputs["h0"].reshape(h0.shape) if "h0" in inputs else h0
        c0 = inputs["c0"].reshape(c0.shape) if "c0" in inputs else c0
        y, h, c = stack.run(built, x, (h0, c0))
        outputs = {"y": y if job.config.get("return_sequences") else y[:, -1]}
        if job.config.get("return_state"):
            # (L, B, H); one layer's states are (B, H)
            outputs["h"], outputs["c"] = (h, c) if stack.layers > 1 else (h[0], c[0])
        return outputs


@implementation("torch.nn.LSTM", ["torch"], "lstm", needs=["torch"])
class LSTM(Sequence):
    """https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html ; `dropout` acts between its layers."""

    options = NativeStack.defaults
    sites = NativeStack.sites
    stack_class = NativeStack


@implementation("torch.nn.LSTMCell", ["torch"], "lstm", needs=["torch"], recipe=True)
class LSTMCell(Sequence):
    """A native cell in a loop of ours, with masks on what enters and leaves each step."""

    options = CellStack.defaults
    sites = CellStack.sites
    noises = ("bernoulli", "gaussian")
    stack_class = CellStack


@implementation("recipe.lstm_loop", ["torch"], "lstm", needs=["torch"], recipe=True)
class Formula(Sequence):
    """The equations written out, with a mask for each gate where the case asks for it."""

    options = FormulaStack.defaults
    sites = FormulaStack.sites
    noises = ("bernoulli", "gaussian")
    stack_class = FormulaStack


@implementation("recipe.LockedDropout", ["torch"], "lstm", needs=["torch"], recipe=True)
class Locked(Sequence):
    """One nn.LSTM a layer with LockedDropout before, between and after them, as in AWD-LSTM."""

    sites = LockedStack.sites
    stack_class = LockedStack
