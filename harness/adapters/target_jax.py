"""Users' own code in JAX, Flax and Equinox: traced as by jax.jit, gradients by jax.vjp.

The port draws from `case.key`, whose draws the tap sees (also split, folded in, and handed to a library's layers). It is traced
once, so it cannot branch on values; option `jit: false` runs its operations one by one.
"""

from typing import Any, Dict, Optional, Sequence

from harness.adapters.base import Job, Outcome, Result, Tap
from harness.adapters.jax_adapter import Function, JaxAdapter
from harness.adapters.target import Case, Target, TargetError, framework
from harness.tape import Draw


class _Program(JaxAdapter):
    """The traced function of one target; a class of its own for each, because compiled programs are kept by class."""

    options = {"jit": True}
    owner: Any = None

    def check(self, job: Job) -> None:
        """Anything is allowed."""

    def option(self, job: Job, name: str) -> Any:
        return job.options.get(name, self.options.get(name))

    def function(self, job: Job) -> Function:
        def run(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            inputs = {name: value for name, value in arrays.items() if name in job.inputs}
            weights = {name: value for name, value in arrays.items() if name in job.weights}
            case = Case(job, inputs, weights, None, key=key)
            case._seed = None
            outputs: Dict[str, Any]
            outputs, given = self.owner.invoke(case)
            if given:
                raise TargetError("gradients of a port in JAX are taken by jax.vjp; do not return them")
            missing = sorted(set(job.cotangents) - set(outputs))
            if missing:
                raise TargetError(
                    "returned no %s; the case compares: %s" % (", ".join(missing), ", ".join(job.cotangents))
                )
            return outputs

        return run


@framework("jax")
class JaxTarget(Target):
    """A port in JAX."""

    def __init__(self, target: str) -> None:
        super(JaxTarget, self).__init__(target)
        made = type("Target:" + target, (_Program,), {"owner": self})
        self.program: JaxAdapter = made()

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        return self.program.tap(replay)

    def call(self, job: Job) -> Outcome:
        return self.program.call(job)

    def run(self, job: Job) -> Result:
        """As every target; a traced port cannot name its draws, so their shapes decide."""
        return super(JaxTarget, self).run(job)
