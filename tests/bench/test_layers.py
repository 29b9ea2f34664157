"""How stacks of the profiler become layers of a call."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.layers import OTHER, layer_of, share_out

RUN = "run (/env/site-packages/trio/_core/_run.py:2407)"
DRAIN = "_drain (/src/adapters/sip/pump.py:151)"


@pytest.mark.parametrize(
    ("stack", "layer"),
    [
        (
            f"{RUN};{DRAIN};parse (/src/adapters/sip/wire/message.py:203)",
            "SIP: messages read and written",
        ),
        (f"{RUN};{DRAIN}", "SIP: the core, the pump and the port"),
        (
            f"{RUN};{DRAIN};match (/usr/lib/python3.11/re.py:3)",
            "SIP: the core, the pump and the port",
        ),
        (f"{RUN};{DRAIN};current_time (/env/site-packages/trio/_core/_run.py:9)", "trio itself"),
        (f"{RUN};take (/src/engine/dial/dids/did.py:40)", "engine: attempts and DIDs"),
        ("_write (adapters/sqlite/writer.py:80)", "the store"),
        ("main (/usr/lib/python3.11/runpy.py:1);?", OTHER),
    ],
)
def test_a_stack_is_in_the_innermost_layer_that_it_names(stack: str, layer: str) -> None:
    assert layer_of(stack) == layer


def test_counts_of_a_layer_are_added_up() -> None:
    lines = [f"{RUN};{DRAIN} 3", f"{RUN} 2", f"{RUN};{DRAIN} 4", ""]

    assert share_out(lines) == Counter(
        {"SIP: the core, the pump and the port": 7, "trio itself": 2}
    )
