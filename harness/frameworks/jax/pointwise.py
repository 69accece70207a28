"""A dropout layer alone, and an embedding with dropped rows: what is around any JAX library's own layers.

A library gives `drop` and `embed`.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job
from harness.frameworks.contract.capabilities import ANY, Shared
from harness.frameworks.contract.places import Part
from harness.frameworks.jax.base import Function, JaxAdapter
from harness.tape import Slot

ROWS = "embedding.rows"
#: Rows are dropped for the whole batch.
ROWS_SHARED: Dict[str, Tuple[Shared, ...]] = {ROWS: (Shared(("batch",), ANY),)}
ROWS_BECAUSE = {ROWS: "the dropout stands on the table, so the batch shares its mask"}


class Dropping(JaxAdapter):
    """What drops, and what looks up rows, in a library."""

    def drop(self, part: Part, array: Any, key: Any, train: bool = True) -> Any:
        """The library's dropout layer on an array; `key` is a key or what the library draws from."""
        raise NotImplementedError

    def embed(self, table: Any, tokens: Any) -> Any:
        """Rows of a table (V, E) at tokens (B, T), by the library's embedding."""
        raise NotImplementedError

    def rows(self, job: Job) -> Optional[Part]:
        """The active dropout of an embedding's rows as a mask on the table, (V, E or 1), which the whole batch shares."""
        return self.part(job, ROWS, batch=0)


class Pointwise(Dropping):
    """Y = the library's dropout layer on x; it is called in evaluation and at rate 0 too."""

    sites = ("input",)

    def slots(self, job: Job) -> List[Slot]:
        """One draw of each kind that the noise takes."""
        return self.slots_of(self.part(job, "input"))

    def function(self, job: Job) -> Function:
        (site,) = job.sites

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            return {"y": self.drop(Part(site), arrays["x"], key, job.train)}

        return call


class Embedding(Dropping):
    """Drop rows of the table, then look up."""

    sites = (ROWS,)
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "vocabulary", "features")
    shared = ROWS_SHARED
    because = ROWS_BECAUSE

    def slots(self, job: Job) -> List[Slot]:
        return self.slots_of(self.rows(job))

    def function(self, job: Job) -> Function:
        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            part, table = self.rows(job), arrays["embedding"]
            return {"y": self.embed(table if part is None else self.drop(part, table, key), arrays["x"])}

        return call
