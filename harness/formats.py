"""The floating formats, as host and workers know them alike. Read by Python 3.6."""

#: Half the distance between 1 and the next number of each format: p significant bits give 2**-p.
UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


#: The floats that a complex number is made of.
PARTS = {"complex64": "float32", "complex128": "float64"}


def noise_size(dtype: str) -> float:
    """The size of the noise that stands for one rounding in a format, beside a clean run in float64.

    In float64 it is twice the unit roundoff: smaller noise would be rounded away, and the clean run's own errors are as large as
    those of what it judges. A complex format rounds as its parts do, and one that is not known here is taken for float32.
    """
    name = PARTS.get(dtype, dtype)
    return UNIT_ROUNDOFF.get(name, UNIT_ROUNDOFF["float32"]) * (2.0 if name == "float64" else 1.0)
