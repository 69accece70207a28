"""Setting types that several layer kinds share; a NaN, a text or a truth value is no number here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StrictStr

#: Probability that an element is dropped, both ends included.
Rate = Annotated[float, Field(strict=True, ge=0.0, le=1.0, allow_inf_nan=False)]

#: Rate of a noise whose formula divides by the keep probability, so that rate 1 means nothing.
OpenRate = Annotated[float, Field(strict=True, ge=0.0, lt=1.0, allow_inf_nan=False)]

#: Standard deviation in units of the input.
Stddev = Annotated[float, Field(strict=True, ge=0.0, allow_inf_nan=False)]

#: A count of at least one, such as units.
Count = Annotated[StrictInt, Field(ge=1)]

#: Layers of a stack. Each has names, weights and a place in every loop, so a slip of the keyboard must not ask for a million.
Layers = Annotated[StrictInt, Field(ge=1, le=1000)]

Flag = StrictBool

#: Axes that one mask is shared over: names such as `time`, or integers (negative from the end).
SharedAxes = tuple[StrictStr | StrictInt, ...]
