"""Users' own code in TensorFlow, tf_keras and Keras 3 on TensorFlow: tensors in, gradients by tf.GradientTape.

tf.random.set_seed(case.seed) is called before the port.
"""

from typing import Any, Dict, Optional, Sequence

import numpy as np

from harness.adapters.base import Job, Outcome
from harness.adapters.target import Arrays, Case, Target, TargetError, framework
from harness.adapters.tensorflow_arrays import differentiate, load, tensors
from harness.adapters.tensorflow_tap import TensorFlowTap
from harness.tape import Draw


@framework("tensorflow")
class TensorFlowTarget(Target):
    """A port in TensorFlow, called eagerly; it may use tf.function itself."""

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        return TensorFlowTap(replay)

    def call(self, job: Job) -> Outcome:
        tf = load()
        tf.random.set_seed(job.seed)
        weights = tensors(job.weights)
        given: Arrays = {}

        def forward(inputs: Arrays) -> Arrays:
            own = {name: tensor for name, tensor in inputs.items() if name in job.inputs}
            params = {name: inputs[name] for name in weights}
            outputs, gradients = self.invoke(Case(job, own, params, self.border))
            given.update(gradients)
            missing = sorted(set(job.cotangents) - set(outputs))
            if missing:
                raise TargetError(
                    "returned no %s; the case compares: %s" % (", ".join(missing), ", ".join(job.cotangents))
                )
            return {name: tf.convert_to_tensor(value) for name, value in outputs.items()}

        everything = dict(tensors(job.inputs), **weights)
        outputs, gradients = differentiate(forward, everything, {}, tensors(job.cotangents))
        found: Dict[str, Any] = given or gradients
        return Outcome(
            {name: np.asarray(tensor) for name, tensor in outputs.items()},
            {name: np.asarray(tensor) for name, tensor in found.items()},
        )
