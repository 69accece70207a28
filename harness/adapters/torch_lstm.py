"""`lstm` in torch: `torch.nn.LSTM`, a loop over `torch.nn.LSTMCell`, a loop of functional calls."""

from typing import Any, Dict, List, Type

from harness.adapters.base import Job, implementation
from harness.adapters.torch_base import Leaf, TorchAdapter
from harness.adapters.torch_locked import LockedStack
from harness.adapters.torch_loops import CellStack, FormulaStack
from harness.adapters.torch_native_lstm import NativeStack
from harness.adapters.torch_sequence import Stack
from harness.adapters.torch_weight_drop import AwdStack, WeightDropStack
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
        y, h, c = stack.run(built, x, stack.start(inputs, x))
        outputs = {"y": y if job.config.get("return_sequences") else stack.last_step(y)}
        if job.config.get("return_state"):
            outputs["h"], outputs["c"] = stack.canonical_state(h), stack.canonical_state(c)
        return outputs


@implementation("torch.nn.LSTM", ["torch"], "lstm", needs=["torch"])
class LSTM(Sequence):
    """https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html ; `dropout` acts between its layers."""

    options = NativeStack.defaults
    sites = NativeStack.sites
    settings = NativeStack.settings
    stack_class = NativeStack


@implementation("torch.nn.LSTMCell", ["torch"], "lstm", needs=["torch"], recipe=True)
class LSTMCell(Sequence):
    """A native cell in a loop of ours, with masks on what enters and leaves each step."""

    options = CellStack.defaults
    sites = CellStack.sites
    settings = CellStack.settings
    noises = ("bernoulli", "gaussian")
    stack_class = CellStack


@implementation("recipe.lstm_loop", ["torch"], "lstm", needs=["torch"], recipe=True)
class Formula(Sequence):
    """The equations written out, with a mask for each gate where the case asks for it."""

    options = FormulaStack.defaults
    sites = FormulaStack.sites
    settings = FormulaStack.settings
    noises = ("bernoulli", "gaussian")
    stack_class = FormulaStack


@implementation("recipe.LockedDropout", ["torch"], "lstm", needs=["torch"], recipe=True)
class Locked(Sequence):
    """One nn.LSTM a layer with LockedDropout before, between and after them, as in AWD-LSTM."""

    sites = LockedStack.sites
    settings = LockedStack.settings
    stack_class = LockedStack


@implementation("recipe.WeightDrop", ["torch"], "lstm", needs=["torch"], recipe=True)
class WeightDrop(Sequence):
    """nn.LSTM with dropped recurrent weights, and its own dropout between layers."""

    options = WeightDropStack.defaults
    sites = WeightDropStack.sites
    settings = WeightDropStack.settings
    stack_class = WeightDropStack


@implementation("recipe.AWD_LSTM", ["torch"], "lstm", needs=["torch"], recipe=True)
class Awd(Sequence):
    """WeightDrop and LockedDropout together: the recurrent part of AWD-LSTM."""

    options = AwdStack.defaults
    sites = AwdStack.sites
    settings = AwdStack.settings
    stack_class = AwdStack
