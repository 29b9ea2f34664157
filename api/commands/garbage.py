"""When Python's garbage collector looks for rings, in a process that carries calls."""

from __future__ import annotations

import gc
from typing import Final

GARBAGE_THRESHOLDS: Final = (10_000, 5, 20)
"""How many objects more there are when Python looks for rings among the young ones, and how often the next
older ones are looked at as well. A call's own objects are gone before ten thousand others have come, so that
nobody walks over them; with Python's own 700 this took 18 % of the processor time of a call."""


def spare_what_stays() -> None:
    """Let the garbage collector pass over what is there from the start: modules, classes and settings are
    100,000 objects, and a look at all of them held up every call for a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
