"""Users' own code in torch (and Keras 3 on torch): tensors in, gradients by autograd.

torch.manual_seed(case.seed) is called before the port, so a port need not seed.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, Outcome
from harness.frameworks.contract.framework import around_ports
from harness.frameworks.contract.own_files import load
from harness.frameworks.contract.target import Arrays, Case, Target, framework, require_compared
from harness.frameworks.torch.arrays import from_numpy, torch_module
from harness.frameworks.torch.base import owned, same, vector_jacobian
from harness.frameworks.torch.tap import TorchTap, untapped
from harness.tape import Draw


@framework("torch")
class TorchTarget(Target):
    """A port in torch."""

    quiet = staticmethod(untapped)

    def tap(self, replay: Optional[Sequence[Draw]]) -> TorchTap:
        return TorchTap(replay)

    def invoke(self, case: Case) -> Tuple[Arrays, Arrays]:
        """As every target; a Keras layer's initial weights are no draws of its dropout."""
        load(self.target)
        with around_ports("torch", untapped):
            return super().invoke(case)

    def call(self, job: Job, tap: TorchTap) -> Outcome:
        torch = torch_module()
        wanted = bool(job.cotangents)

        def leaf(array: np.ndarray) -> Any:
            tensor = from_numpy(np.array(array))
            return tensor.requires_grad_(wanted) if tensor.is_floating_point() else tensor

        inputs = {name: leaf(array) for name, array in job.inputs.items()}
        weights = {name: leaf(array) for name, array in job.weights.items()}
        torch.manual_seed(job.seed)
        with torch.set_grad_enabled(wanted):
            for left in reversed(range(job.calls)):
                case = Case(job, inputs, weights, tap)
                case.reset = job.reset and not left
                outputs, given = self.invoke(case)
        tensors = {name: value if torch.is_tensor(value) else torch.as_tensor(value) for name, value in outputs.items()}
        gradients: Dict[str, np.ndarray] = {name: owned(torch.as_tensor(value)) for name, value in given.items()}
        if wanted and not given:
            require_compared(job, tensors)
            leaves = {**inputs, **weights}
            gradients = vector_jacobian(
                tensors,
                job.cotangents,
                {name: (tensor, same) for name, tensor in leaves.items() if tensor.is_floating_point()},
            )
        return Outcome({name: owned(tensor) for name, tensor in tensors.items()}, gradients)
