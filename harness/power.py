"""What a case is sure to notice: the effect of one fault on it, beside its limits."""

from __future__ import annotations

from dataclasses import dataclass

#: A fault's effect over the limit from which it is surely noticed: a right program may itself lie one limit off.
NOTICED = 2.0


@dataclass(frozen=True, slots=True)
class Power:
    """One fault on one case, for `harness power` and the report (stored by harness.reporting.powers).

    fault, cause  the fault's name, and what it is in words.
    ratio         its largest effect over a limit of the case; infinite where the limit is 0 or the fault breaks the output.
    by            the row that shows it, of outputs where there is one; "" where no row does.
    """

    fault: str
    cause: str
    ratio: float
    by: str

    @property
    def noticed(self) -> bool:
        """Whether the case's checks are sure to see the fault."""
        return self.ratio > NOTICED

    @property
    def by_gradient_alone(self) -> bool:
        """Whether no output shows it: a port whose gradients are not compared hides it."""
        return self.noticed and self.by.startswith("gradient.")
