"""Flows whose callees are others than our own: those of the simulated carrier, and sipp."""

from __future__ import annotations

from typing import Any, Final

from tests.system.flow_examples import leg
from tests.system.flow_nodes import END, ENDED, SERVER
from tests.system.flow_world import Case, Contact, make_flow

SIM_DID: Final = "+14155550190"
SIPP_DID: Final = "+14155550191"
PROFILE: Final = """\
ring_s = {min = 0.0, mean = 0.0, max = 0.0}
talk_s = {min = 60.0, mean = 60.0, max = 60.0}
machine_talk_s = {min = 60.0, mean = 60.0, max = 60.0}
human_greeting_s = {min = 1.5, mean = 1.5, max = 1.5}
machine_greeting_s = {min = 4.0, mean = 4.0, max = 4.0}
"""
"""Everybody answers at once. Numbers that end with 9201 press 1, 2 and the hash key after their greeting,
9202 is a machine, 9486 is busy."""
PRESSING: Final = "+14155559201"
MACHINE: Final = "+14155559202"
BUSY: Final = "+14155559486"
SIPP: Final = "+14155550301"


def _sim_leg(number: str, outcome: str, sip_code: int) -> dict[str, Any]:
    return {**leg(number, outcome, sip_code), "did": SIM_DID, "trunk": "sim"}


CASES: Final = (
    Case(
        "every node, with the simulated carrier",
        make_flow(
            {
                "a": {"type": "set", "variables": {"town": "{{town}}!"}, "next": "b"},
                "b": {"type": "branch", "on": "town", "cases": {"Pune!": "c"}, "otherwise": "z"},
                "c": {"type": "gather", "digits": 4, "variable": "code", "next": "d"},
                "d": {"type": "play", "play": "tone-400", "next": "e"},
                "e": {"type": "say", "text": "Thank you.", "next": "f"},
                "f": {"type": "wait", "duration_s": 0.2, "next": "g"},
                "g": {
                    "type": "request",
                    "url": f"{SERVER}/orders/bring",
                    "method": "GET",
                    "save": {"day": "/day"},
                    "next": "h",
                },
                "h": {"type": "record", "silence_s": 0.5, "variable": "said", "next": "i"},
                "i": {"type": "transfer", "to": BUSY, "on_busy": "j", "next": "z"},
                "j": {"type": "opt_out", "scope": "flow", "next": "z"},
                "z": END,
            },
            variables={"town": {}},
        ),
        (
            Contact(
                PRESSING,
                (
                    ("a", "set", "done"),
                    ("b", "branch", "matched"),
                    ("c", "12"),
                    ("c", "gather", "answered"),
                    ("d", "play", "played"),
                    ("e", "say", "played"),
                    ("f", "wait", "done"),
                    ("g", "request", "done"),
                    ("h", "record", "silence", {"recording": "ID", "duration_s": "TIME"}),
                    ("i", "transfer", "busy", {"to": BUSY}),
                    ("attempt.opt_out", {"number": PRESSING, "scope": "flow"}),
                    ("j", "opt_out", "done", {"scope": "flow"}),
                    ENDED,
                ),
                {"town": "Pune"},
                result={"town": "Pune!", "code": "12", "day": "2030-12-31", "said": "ID"},
                legs=(_sim_leg(BUSY, "busy", 486),),
                rings=True,
            ),
        ),
        "sim",
        SIM_DID,
    ),
    Case(
        "a machine of the simulated carrier",
        make_flow(
            {
                "a": {"type": "branch", "on": "amd", "cases": {"machine": "b"}, "otherwise": "z"},
                "b": {"type": "play", "play": "tone-400", "next": "z"},
                "z": END,
            },
            amd="wait_for_beep",
        ),
        (
            Contact(
                MACHINE,
                (
                    (
                        "attempt.amd",
                        {"answerer": "machine", "cause": "CAUSE", "elapsed_ms": "TIME"},
                    ),
                    ("a", "branch", "matched"),
                    ("b", "play", "played"),
                    ENDED,
                ),
                disposition="machine",
                amd="machine",
                rings=True,
            ),
        ),
        "sim",
        SIM_DID,
    ),
    Case(
        "keys of sipp",
        make_flow(
            {
                "a": {
                    "type": "gather",
                    "prompt": {"play": "tone-1200"},
                    "digits": 8,
                    "timeout_s": 10,
                    "variable": "code",
                    "next": "z",
                },
                "z": END,
            }
        ),
        (
            Contact(
                SIPP,
                (("a", "47"), ("a", "gather", "answered"), ENDED),
                result={"code": "47"},
            ),
        ),
        "sipp",
        SIPP_DID,
    ),
)
