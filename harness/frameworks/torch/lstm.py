"""`lstm` and `encoder_decoder` in torch: `torch.nn.LSTM`, a loop over `torch.nn.LSTMCell`, a loop of functional calls."""

from typing import Any, Dict, List, Type

import numpy as np

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.capabilities import adopt
from harness.frameworks.contract.geometry import HALVES, outputs_of
from harness.frameworks.torch.arrays import from_numpy, torch_module
from harness.frameworks.torch.base import Leaf, TorchAdapter, beside, owned, parameters
from harness.frameworks.torch.locked import LockedStack
from harness.frameworks.torch.loops import CellStack, FormulaStack
from harness.frameworks.torch.native_lstm import NativeStack
from harness.frameworks.torch.sequence import Stack, State
from harness.frameworks.torch.weight_drop import AwdStack, WeightDropStack
from harness.tape import Slot


class Stacked(TorchAdapter):
    """Stacks of one kind, each started from the last one's (h, c): one, or encoder and decoder. Tied ones share their modules."""

    stack_class: Type[Stack] = Stack

    def __init_subclass__(cls) -> None:
        adopt(cls, cls.stack_class, ("", *(half for half, _ in HALVES)))

    def stacks(self, job: Job) -> List[Stack]:
        """The stacks of a job."""
        return [self.stack_class(job, geometry) for geometry in job.stacks]

    def check(self, job: Job) -> None:
        super().check(job)
        for stack in self.stacks(job):
            stack.check()

    def slots(self, job: Job) -> List[Slot]:
        return [slot for stack in self.stacks(job) for slot in stack.slots()]

    def build(self, job: Job, weights: Dict[str, Any]) -> List[Any]:
        first, *others = self.stacks(job)
        built = first.build(weights)
        tied = job.config.get("tied")
        return [built, *(first.share(built, stack) if tied else stack.build(weights) for stack in others)]

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for stack, modules in zip(self.stacks(job), built):
            found.update(stack.leaves(modules))
        return found

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        states: List[State] = []
        for stack, modules in zip(self.stacks(job), built):
            x = inputs[stack.geometry.sequence]
            y, h, c = stack.run(modules, x, states[-1] if states else stack.start(inputs, x))
            states.append((h, c))
        canonical = [stack.canonical(state) for stack, state in zip(self.stacks(job), states)]
        return outputs_of(job.stacks, job.config, y, canonical, beside)


class Modules(Stacked):
    """Stacks of torch's own modules. The parameters and states of a single one can be shown as they are."""

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        torch = torch_module()
        if len(job.stacks) > 1:
            return {}
        (stack,) = self.stacks(job)
        with torch.no_grad():
            (built,) = self.build(job, {name: from_numpy(array) for name, array in job.weights.items()})
            found = parameters(built)
            inputs = {name: from_numpy(array) for name, array in job.inputs.items()}
            _, *states = stack.run(built, inputs["x"], stack.start(inputs, inputs["x"]))
        found.update((f"state{index}", owned(state)) for index, state in enumerate(states))
        return found


@implementation("torch.nn.LSTM", ["torch"], ("lstm", "encoder_decoder"), needs=["torch"])
class LSTM(Modules):
    """https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html ; `dropout` acts between its layers."""

    stack_class = NativeStack


@implementation("torch.nn.LSTMCell", ["torch"], ("lstm", "encoder_decoder"), needs=["torch"], recipe=True)
class LSTMCell(Modules):
    """A native cell in a loop of ours, with masks on what enters and leaves each step."""

    stack_class = CellStack


@implementation("recipe.lstm_loop", ["torch"], ("lstm", "encoder_decoder"), needs=["torch"], recipe=True)
class Formula(Stacked):
    """The equations written out, with a mask for each gate where the case asks for it."""

    stack_class = FormulaStack


@implementation("recipe.LockedDropout", ["torch"], ("lstm", "encoder_decoder"), needs=["torch"], recipe=True)
class Locked(Modules):
    """One nn.LSTM a layer with LockedDropout before, between and after them, as in AWD-LSTM."""

    stack_class = LockedStack


@implementation("recipe.WeightDrop", ["torch"], "lstm", needs=["torch"], recipe=True)
class WeightDrop(Modules):
    """nn.LSTM with dropped recurrent weights, and its own dropout between layers."""

    stack_class = WeightDropStack


@implementation("recipe.AWD_LSTM", ["torch"], "lstm", needs=["torch"], recipe=True)
class Awd(Modules):
    """WeightDrop and LockedDropout together: the recurrent part of AWD-LSTM."""

    stack_class = AwdStack
