"""`lstm` in torch: `torch.nn.LSTM`, a loop over `torch.nn.LSTMCell`, a loop of functional calls."""

from typing import Any, Dict, List, Type

import numpy as np

from harness.adapters.base import Job, implementation
from harness.adapters.torch_arrays import from_numpy, torch_module
from harness.adapters.torch_base import Leaf, TorchAdapter, owned, parameters
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


class Modules(Sequence):
    """A stack of torch's own modules, whose parameters and states can be shown as they are."""

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        torch = torch_module()
        stack = self.stack(job)
        with torch.no_grad():
            built = self.build(job, {name: from_numpy(array) for name, array in job.weights.items()})
            found = parameters(built)
            inputs = {name: from_numpy(array) for name, array in job.inputs.items()}
            states = stack.native_states(built, inputs["x"], stack.start(inputs, inputs["x"]))
        found.update(("state%d" % index, owned(state)) for index, state in enumerate(states))
        return found


@implementation("torch.nn.LSTM", ["torch"], "lstm", needs=["torch"])
class LSTM(Modules):
    """https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html ; `dropout` acts between its layers."""

    options = NativeStack.defaults
    sites = NativeStack.sites
    settings = NativeStack.settings
    stack_class = NativeStack


@implementation("torch.nn.LSTMCell", ["torch"], "lstm", needs=["torch"], recipe=True)
class LSTMCell(Modules):
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
class Locked(Modules):
    """One nn.LSTM a layer with LockedDropout before, between and after them, as in AWD-LSTM."""

    sites = LockedStack.sites
    settings = LockedStack.settings
    stack_class = LockedStack


@implementation("recipe.WeightDrop", ["torch"], "lstm", needs=["torch"], recipe=True)
class WeightDrop(Modules):
    """nn.LSTM with dropped recurrent weights, and its own dropout between layers."""

    options = WeightDropStack.defaults
    sites = WeightDropStack.sites
    settings = WeightDropStack.settings
    stack_class = WeightDropStack


@implementation("recipe.AWD_LSTM", ["torch"], "lstm", needs=["torch"], recipe=True)
class Awd(Modules):
    """WeightDrop and LockedDropout together: the recurrent part of AWD-LSTM."""

    options = AwdStack.defaults
    sites = AwdStack.sites
    settings = AwdStack.settings
    stack_class = AwdStack
