"""Users' own code in TensorFlow, tf_keras and Keras 3 on TensorFlow: tensors in, gradients by tf.GradientTape.

tf.random.set_seed(case.seed) is called before the port.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, Outcome, Unsupported
from harness.frameworks.contract.layouts import Label
from harness.frameworks.contract.target import Arrays, Case, Target, framework, require_compared
from harness.frameworks.tensorflow.arrays import differentiate, load, tensors
from harness.frameworks.tensorflow.tap import TensorFlowTap, naming, untapped
from harness.tape import Draw


class NamingCase(Case):
    """A case whose draws may be made later, in a function's graph: `site` names the random ops."""

    def _named(self, at: str, axes: Optional[Tuple[str, ...]]) -> Any:
        return naming((at, axes))


@framework("tensorflow")
class TensorFlowTarget(Target):
    """A port in TensorFlow, called eagerly; it may use tf.function itself."""

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        return TensorFlowTap(replay)

    quiet = staticmethod(untapped)

    def drawn(self) -> int:
        assert isinstance(self.border, TensorFlowTap)
        return self.border.count

    def labels(self) -> List[Label]:
        assert isinstance(self.border, TensorFlowTap)
        named = enumerate(self.border.names)
        return [Label(name[0], number, number + 1, name[1]) for number, name in named if name is not None]

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        tf = load()
        if int(tf.__version__.partition(".")[0]) < 2:
            raise Unsupported(
                "code under test is called eagerly, which TensorFlow %s cannot: it needs an environment of TensorFlow 2"
                % tf.__version__
            )
        tap.calls = job.calls
        tf.random.set_seed(job.seed)
        weights = tensors(job.weights)
        given: Arrays = {}

        def forward(inputs: Arrays) -> Arrays:
            own = {name: tensor for name, tensor in inputs.items() if name in job.inputs}
            params = {name: inputs[name] for name in weights}
            for left in reversed(range(job.calls)):
                case = NamingCase(job, own, params, tap)
                case.reset = job.reset and not left
                outputs, gradients = self.invoke(case)
            given.update(gradients)
            require_compared(job, outputs)
            return {name: tf.convert_to_tensor(value) for name, value in outputs.items()}

        everything = dict(tensors(job.inputs), **weights)
        outputs, gradients = differentiate(forward, everything, {}, tensors(job.cotangents))
        found: Dict[str, Any] = given or gradients
        return Outcome(
            {name: np.asarray(tensor) for name, tensor in outputs.items()},
            {name: np.asarray(tensor) for name, tensor in found.items()},
        )
