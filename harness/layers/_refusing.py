"""What a kind is asked about dropout, and how it refuses."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class DropoutSpec(BaseModel):
    """One entry of a case's `dropout` list, before the kind has resolved its axes and shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    at: str
    rate: float
    shared: tuple[str, ...] = ()
    noise: str = "bernoulli"
    scale: str = "inverted"


class Refused(ValueError):
    """A kind refuses settings that cannot mean anything. `path` is where in the case, e.g. ("dropout", 0, "at")."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message
