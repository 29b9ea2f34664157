"""Numbers among the arguments of commands."""

from __future__ import annotations

import math


def read_float(text: str) -> float:
    """The number that a text is; none (`nan`), which lies between no others, where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
