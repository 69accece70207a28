"""Users' own code in JAX, Flax and Equinox: traced as by jax.jit, gradients by jax.vjp.

The port draws from `case.key`, whose draws the tap sees (also split, folded in, and handed to a library's layers). It is traced
once, so it cannot branch on values; option `jit: false` runs its operations one by one.
"""

import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.adapters._keras_jax_keys import tapped_keys
from harness.adapters._layouts import Label
from harness.adapters._own_files import TargetError
from harness.adapters.base import Job, Outcome, Result, Tap, Unsupported
from harness.adapters.jax_adapter import Function, JaxAdapter, active
from harness.adapters.jax_program import Program
from harness.adapters.jax_tap import site_of, site_scope
from harness.adapters.target import Arrays, Case, Target, framework
from harness.tape import Draw, TapeMismatch


class TracedCase(Case):
    """A case whose draws are made later, when the program runs: `site` names them inside the program."""

    def _named(self, at: str, axes: Optional[Tuple[str, ...]]) -> Any:
        import jax

        return jax.named_scope(site_scope(at, axes))


class _Program(JaxAdapter):
    """The traced function of one target; a class of its own for each, because compiled programs are kept by class."""

    options = {"jit": True}
    owner: Any = None

    def check(self, job: Job) -> None:
        """Anything is allowed."""

    def option(self, job: Job, name: str) -> Any:
        return job.options.get(name, self.options.get(name))

    def _program(self, job: Job, seed_key: Any, arrays: Dict[str, np.ndarray]) -> Program:
        program = super(_Program, self)._program(job, seed_key, arrays)
        self.owner.elsewhere = program.elsewhere()
        return program

    def function(self, job: Job) -> Function:
        def run(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            inputs = {name: value for name, value in arrays.items() if name in job.inputs}
            weights = {name: value for name, value in arrays.items() if name in job.weights}
            case = TracedCase(job, inputs, weights, self.owner.border, key=key)
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
        #: what the port draws from keys that are none of the case's.
        self.elsewhere: List[str] = []

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        return self.program.tap(replay)

    def invoke(self, case: Case) -> Tuple[Arrays, Arrays]:
        """As every target, with Keras's draws in the tap; traced once more where the port imports Keras while it runs."""
        while True:
            known = "keras" in sys.modules
            with tapped_keys():
                found = super(JaxTarget, self).invoke(case)
            if known or "keras" not in sys.modules:
                return found

    def call(self, job: Job) -> Outcome:
        return self.program.call(job)

    def labels(self) -> List[Label]:
        """Each draw has the site that the port named where it was traced, if it did."""
        found = [site_of(scope) for scope in getattr(self.border, "scopes", ())]
        return [Label(one[0], number, number + 1, one[1]) for number, one in enumerate(found) if one is not None]

    def attempt(self, job: Job, tap: Tap) -> Outcome:
        """One call; its program may have been traced before."""
        outcome = super(JaxTarget, self).attempt(job, tap)
        self.starts = [0]
        return outcome

    def run(self, job: Job) -> Result:
        """As every target, but once: the caller hands in the key, so a further call is the caller's too."""
        if job.calls > 1:
            raise Unsupported("a port in JAX is called once: what it draws is its key's")
        result = super(JaxTarget, self).run(job)
        idle = [site.at for site in job.sites if active(job, site) and site.rate < 1.0 and site.at not in result.draws]
        if idle and self.elsewhere:
            raise TapeMismatch(
                "draws nothing at %s from case.key, but %s from other keys: draw from case.key (a layer of Keras: "
                "`layer.stateless_call(weights, [jax.random.key_data(case.key)], x)`)"
                % (", ".join(idle), ", ".join(sorted(set(self.elsewhere))))
            )
        return result
