"""What a prediction is: the mask, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import UserError

Bools = npt.NDArray[np.bool_]


class Unpredictable(UserError):
    """The stream makes no promise: nobody can say from the seed what it gives. The message says why."""


def same_release(version: str, measured: str) -> bool:
    """Whether a version such as 2.13 names the release 2.13.0."""
    short, long = version.split("."), measured.split(".")
    return long[: len(short)] == short


@dataclass(frozen=True, slots=True)
class Mask:
    """A predicted dropout mask.

    keep       bool, true where the element is kept; the shape is that of the dropped tensor.
    like       the API that draws it, by its import name.
    version    the framework version whose rule was used.
    stream     the bit generator and how words become a decision.
    rule       the name of the rule, as `file.function`.
    confirmed  true where the rule was compared with the running framework, bit for bit.
    measured   the versions that it was compared with.
    note       what a reader has to know about the rule's limits; "" if nothing.
    """

    keep: Bools
    like: str
    version: str
    stream: str
    rule: str
    confirmed: bool
    measured: tuple[str, ...]
    note: str = ""

    @property
    def provenance(self) -> str:
        """One line: which rule made the mask, and how well that rule is known."""
        if not self.confirmed:
            known = "UNCONFIRMED: the rule was read, never compared with a run"
        else:
            known = f"confirmed bit for bit on {', '.join(self.measured)}"
            if not any(same_release(self.version, measured) for measured in self.measured):
                known += f", not measured on {self.version}"
        note = f"; {self.note}" if self.note else ""
        return f"{self.like} {self.version}: {self.stream}; rule {self.rule}, {known}{note}"
