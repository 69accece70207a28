"""Users' own code in JAX, Flax and Equinox: traced as by jax.jit, gradients by jax.vjp.

The port draws from `case.key`, or from keys that it makes of `case.seed` (`seeds`); the tap sees those draws, also where the
key is split, folded in, and handed to a library's layers. It is traced once, or once a seed where it reads the seed, so it cannot
branch on values; option `jit: false` runs its operations one by one.
"""

import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, Outcome, Result, Tap, Unsupported
from harness.frameworks.contract.framework import around_ports
from harness.frameworks.contract.layouts import Label
from harness.frameworks.contract.own_files import TargetError, load
from harness.frameworks.contract.target import Arrays, Case, Target, framework, require_compared
from harness.frameworks.jax.base import Function, JaxAdapter
from harness.frameworks.jax.lazy import jax
from harness.frameworks.jax.program import Program
from harness.frameworks.jax.seeds import Seed, keys_of_seeds
from harness.frameworks.jax.tap import site_of, site_scope
from harness.tape import Draw, TapeMismatch


class TracedCase(Case):
    """A case whose draws are made later, when the program runs: `site` names them inside the program."""

    on_seed: Callable[[], None]

    @property
    def seed(self) -> int:
        """The case's seed. A program that was traced with it is that seed's alone."""
        self.on_seed()
        return Seed(self._seed)

    def _named(self, at: str, axes: Optional[Tuple[str, ...]]) -> Any:
        return jax.named_scope(site_scope(at, axes))


class _Program(JaxAdapter):
    """The traced function of one target; a class of its own for each, because compiled programs are kept by class."""

    options = {"jit": True}
    owner: Any = None

    def check(self, job: Job) -> None:
        """Anything is allowed."""

    def baked(self, job: Job) -> Any:
        """The seed, once the port has read it."""
        return job.seed if self.owner.reads_seed else None

    def _program(self, job: Job, seed_key: Any, arrays: Dict[str, np.ndarray]) -> Program:
        program = super()._program(job, seed_key, arrays)
        self.owner.elsewhere = program.elsewhere()
        return program

    def function(self, job: Job) -> Function:
        def run(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            inputs = {name: value for name, value in arrays.items() if name in job.inputs}
            weights = {name: value for name, value in arrays.items() if name in job.weights}
            case = TracedCase(job, inputs, weights, self.owner.border, key=key, on_seed=self.owner.seed_is_read)
            outputs: Dict[str, Any]
            outputs, given = self.owner.invoke(case)
            if given:
                raise TargetError("gradients of a port in JAX are taken by jax.vjp; do not return them")
            require_compared(job, outputs)
            return outputs

        return run


@framework("jax")
class JaxTarget(Target):
    """A port in JAX. What no result depends on is not in its program."""

    surplus = False

    def __init__(self, target: str) -> None:
        super().__init__(target)
        made = type("Target:" + target, (_Program,), {"owner": self})
        self.program: JaxAdapter = made()
        #: what the port draws from keys that are none of the case's.
        self.elsewhere: List[str] = []
        self.reads_seed = False

    def seed_is_read(self) -> None:
        """From now on there is one program for each seed."""
        self.reads_seed = True

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        return self.program.tap(replay)

    def invoke(self, case: Case) -> Tuple[Arrays, Arrays]:
        """As every target, with Keras's draws in the tap; traced once more where the port imports Keras while it runs."""
        while True:
            known = "keras" in sys.modules
            with around_ports("jax", self.quiet), keys_of_seeds(load(self.target).__globals__):
                found = super().invoke(case)
            if known or "keras" not in sys.modules:
                return found

    def call(self, job: Job, tap: Any) -> Outcome:
        return self.program.call(job, tap)

    def labels(self) -> List[Label]:
        """Each draw has the site that the port named where it was traced, if it did."""
        found = [site_of(scope) for scope in getattr(self.border, "scopes", ())]
        return [Label(one[0], number, number + 1, one[1]) for number, one in enumerate(found) if one is not None]

    def attempt(self, job: Job, tap: Tap) -> Outcome:
        """One call; its program may have been traced before."""
        outcome = super().attempt(job, tap)
        self.starts = [0]
        return outcome

    def run(self, job: Job) -> Result:
        """As every target, but once: the caller hands in the key, so a further call is the caller's too."""
        if job.calls > 1:
            raise Unsupported("a port in JAX is called once: what it draws is its key's")
        result = super().run(job)
        idle = [site.at for site in job.sites if job.drawing(site.at) is not None and site.at not in result.draws]
        if idle and self.elsewhere:
            raise TapeMismatch(
                "draws nothing at %s from case.key or a key of case.seed, but %s from other keys: draw from case.key "
                "(a layer of Keras: `layer.stateless_call(weights, [jax.random.key_data(case.key)], x)`)"
                % (", ".join(idle), ", ".join(sorted(set(self.elsewhere))))
            )
        return result
