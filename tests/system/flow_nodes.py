"""Each type of node, in flows as short as they can be, with people who answer and what is to come of it.

Prompts are tones: `tone-400` stands for the id of a recording of 400 Hz.
"""

from __future__ import annotations

from typing import Any, Final

from tests.system.flow_callee import DAMAGED, Line, Script
from tests.system.flow_examples import leg, listen
from tests.system.flow_sound import make_tone
from tests.system.flow_world import Case, Contact, make_flow

TONES_HZ: Final = (400, 600, 800)
TONE_S: Final = 0.8
LONG_HZ: Final = 1_200
LONG_S: Final = 20.0
"""A prompt that is stopped by a key, or it would be heard too long for the test."""
VOICE_HZ: Final = 500
"""What callees say into recordings."""
SERVER: Final = "https://example.com"
"""Stands for the address of the company's own system."""
ELSEWHERE: Final = "https://private.example.com"
"""Stands for an address of it that nobody allowed."""

END: Final = {"type": "hangup"}
ENDED: Final = ("z", "hangup", "done")
FRIEND: Final = "+14155560011"
BUSY: Final = "+14155560012"
NOT_ALLOWED: Final = "+442079460018"


async def press_wrongly_then_well(line: Line) -> None:
    """Nothing, then a key that fits no branch, then the one that does, over the prompt."""
    await line.hear_silence(0.3)
    await line.hear_silence(0.3)
    await line.press("7")
    await line.hear_sound()
    await line.press("1")


async def press_before_the_end(line: Line) -> None:
    await line.hear_tone(LONG_HZ)
    await line.press("47*1#", DAMAGED)


async def press_too_early(line: Line) -> None:
    await line.hear_tone(400)
    await line.press("1")
    await line.hear_silence(0.2)
    await line.press("2")


async def say_something(line: Line) -> None:
    await line.hear_tone(1_000)
    await line.hear_silence(0.1)
    await line.speak(make_tone(VOICE_HZ, 1.5))


async def say_something_and_leave(line: Line) -> None:
    await say_something(line)
    line.hang_up()


async def leave_while_listening(line: Line) -> None:
    await line.hear_tone(LONG_HZ)
    line.hang_up()


async def press_and_leave(line: Line) -> None:
    await line.hear_tone(LONG_HZ)
    await line.press("9")
    line.hang_up()


async def talk_and_leave(line: Line) -> None:
    await line.hear_tone(VOICE_HZ)
    line.hang_up()


async def greet(line: Line) -> None:
    await line.hear_silence(0.2)
    await line.speak(make_tone(VOICE_HZ, 1.0))


SCRIPTS: Final[dict[str, Script | int]] = {
    "+14155550201": listen,
    "+14155550202": listen,
    "+14155550203": press_wrongly_then_well,
    "+14155550204": press_before_the_end,
    "+14155550205": press_too_early,
    "+14155550206": listen,
    "+14155550207": say_something,
    "+14155550208": listen,
    "+14155550209": say_something_and_leave,
    "+14155550210": listen,
    "+14155550211": leave_while_listening,
    "+14155550212": listen,
    "+14155550213": listen,
    "+14155550214": talk_and_leave,
    "+14155550215": listen,
    "+14155550216": press_and_leave,
    "+14155550217": listen,
    FRIEND: greet,
    BUSY: 486,
}


def _request(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "request", "url": SERVER + url, "method": "POST", **more}


REQUESTS: Final = {
    "a": _request(
        "/orders/bring",
        body={"to": "{{call.number}}", "n": 3},
        save={"day": "/day"},
        next="b",
        on_error="z",
    ),
    "b": _request("/orders/bring", save="all", next="c", on_error="z"),
    "c": _request("/slow", timeout_s=0.3, on_error="d"),
    "d": _request("/down", on_error="e"),
    "e": _request("/broken", save="x", on_error="f"),
    "f": _request("/large", save="x", on_error="g"),
    "g": _request("/away", save="x", on_error="h"),
    "h": _request("/orders/bring", save={"x": "/nothing"}, on_error="i"),
    "i": {"type": "request", "url": ELSEWHERE + "/", "on_error": "z"},
    "z": END,
}
DAY: Final = '{"day":"2030-12-31"}'

CASES: Final = (
    Case(
        "play",
        make_flow(
            {
                "a": {"type": "play", "play": "tone-400", "next": "b"},
                "b": {"type": "play", "play": "tone-600"},
            }
        ),
        (Contact("+14155550201", (("a", "play", "played"), ("b", "play", "played"))),),
    ),
    Case(
        "say, in the place of a recording",
        make_flow({"a": {"type": "play", "say": "Hello {{name}}."}}, variables={"name": {}}),
        (Contact("+14155550202", (("a", "play", "played"),), {"name": "Zoë"}),),
    ),
    Case(
        "gather, until a key fits",
        make_flow(
            {
                "a": {
                    "type": "gather",
                    "prompt": {"play": "tone-400"},
                    "timeout_s": 2,
                    "tries": 3,
                    "variable": "choice",
                    "branches": {"1": "b"},
                    "otherwise": "z",
                },
                "b": {"type": "play", "play": "tone-600", "next": "z"},
                "z": END,
            }
        ),
        (
            Contact(
                "+14155550203",
                (
                    ("a", "7"),
                    ("a", "1"),
                    ("a", "gather", "answered"),
                    ("b", "play", "played"),
                    ENDED,
                ),
                result={"choice": "1"},
            ),
        ),
    ),
    Case(
        "gather, several keys over the prompt",
        make_flow(
            {
                "a": {
                    "type": "gather",
                    "prompt": {"play": f"tone-{LONG_HZ}"},
                    "digits": 8,
                    "variable": "code",
                    "next": "z",
                },
                "z": END,
            }
        ),
        (
            Contact(
                "+14155550204",
                (("a", "47*1"), ("a", "gather", "answered"), ENDED),
                result={"code": "47*1"},
            ),
        ),
    ),
    Case(
        "gather, that no key stops",
        make_flow(
            {
                "a": {
                    "type": "gather",
                    "prompt": {"play": "tone-400"},
                    "barge_in": False,
                    "timeout_s": 3,
                    "branches": {"2": "z"},
                },
                "z": END,
            }
        ),
        (Contact("+14155550205", (("a", "2"), ("a", "gather", "answered"), ENDED)),),
    ),
    Case(
        "set and branch",
        make_flow(
            {
                "a": {"type": "set", "variables": {"town": "{{town}}, {{state}}"}, "next": "b"},
                "b": {
                    "type": "branch",
                    "on": "state",
                    "cases": {"CA": "c"},
                    "otherwise": "z",
                },
                "c": {"type": "branch", "on": "amd", "cases": {"human": "z"}, "otherwise": "d"},
                "d": {"type": "play", "play": "tone-800", "next": "z"},
                "z": END,
            },
            variables={"town": {}, "state": {"default": "CA"}},
        ),
        (
            Contact(
                "+14155550206",
                (
                    ("a", "set", "done"),
                    ("b", "branch", "matched"),
                    ("c", "branch", "otherwise"),
                    ("d", "play", "played"),
                    ENDED,
                ),
                {"town": "San José"},
                result={"town": "San José, CA"},
            ),
        ),
    ),
    Case(
        "record, until it is silent",
        make_flow(
            {
                "a": {"type": "record", "silence_s": 1, "variable": "said", "next": "z"},
                "z": END,
            }
        ),
        (
            Contact(
                "+14155550207",
                (
                    ("a", "record", "silence", {"recording": "ID", "duration_s": "TIME"}),
                    ENDED,
                ),
                result={"said": "ID"},
            ),
        ),
    ),
    Case(
        "record, for so long",
        make_flow(
            {
                "a": {"type": "record", "max_s": 1, "silence_s": None, "next": "z"},
                "z": END,
            }
        ),
        (
            Contact(
                "+14155550208",
                (("a", "record", "max", {"recording": "ID", "duration_s": "TIME"}), ENDED),
            ),
        ),
    ),
    Case(
        "record, until the callee leaves",
        make_flow({"a": {"type": "record", "variable": "said", "next": "z"}, "z": END}),
        (
            Contact(
                "+14155550209",
                (("a", "record", "call_ended"),),
                result={"said": "ID"},
            ),
        ),
    ),
    Case(
        "request",
        make_flow(REQUESTS),
        (
            Contact(
                "+14155550210",
                (
                    ("a", "request", "done"),
                    ("b", "request", "done"),
                    ("c", "request", "failed", {"code": "timeout"}),
                    ("d", "request", "failed", {"code": "bad_status"}),
                    ("e", "request", "failed", {"code": "not_json"}),
                    ("f", "request", "failed", {"code": "answer_too_large"}),
                    ("g", "request", "failed", {"code": "bad_status"}),
                    ("h", "request", "failed", {"code": "value_missing"}),
                    ("i", "request", "failed", {"code": "address_not_allowed"}),
                    ENDED,
                ),
                result={"day": "2030-12-31", "all": DAY},
            ),
        ),
    ),
    Case(
        "a callee who hangs up while listening",
        make_flow({"a": {"type": "play", "play": f"tone-{LONG_HZ}", "next": "z"}, "z": END}),
        (Contact("+14155550211", (("a", "play", "call_ended"),)),),
    ),
    Case(
        "wait",
        make_flow({"a": {"type": "wait", "duration_s": 1.5, "next": "z"}, "z": END}),
        (Contact("+14155550212", (("a", "wait", "done"), ENDED)),),
    ),
    Case(
        "transfer, the other hangs up",
        make_flow(
            {
                "a": {
                    "type": "transfer",
                    "to": FRIEND,
                    "whisper": {"play": "tone-600"},
                    "hold": {"play": "tone-400"},
                    "on_answered": "b",
                    "next": "z",
                },
                "b": {"type": "play", "play": "tone-800", "next": "z"},
                "z": END,
            }
        ),
        (
            Contact(
                "+14155550214",
                (
                    ("attempt.connected", {"number": FRIEND}),
                    ("a", "transfer", "call_ended"),
                ),
                legs=(leg(FRIEND, "answered", 200),),
            ),
        ),
    ),
    Case(
        "transfer, that reaches nobody",
        make_flow(
            {
                "a": {
                    "type": "transfer",
                    "to": BUSY,
                    "on_busy": "b",
                    "on_no_answer": "z",
                    "next": "z",
                },
                "b": {"type": "transfer", "to": "{{far}}", "on_no_answer": "c", "next": "z"},
                "c": {"type": "play", "play": "tone-800", "next": "z"},
                "z": END,
            },
            variables={"far": {"default": NOT_ALLOWED}},
        ),
        (
            Contact(
                "+14155550215",
                (
                    ("a", "transfer", "busy", {"to": BUSY}),
                    ("b", "transfer", "no_answer", {"to": NOT_ALLOWED}),
                    ("c", "play", "played"),
                    ENDED,
                ),
                legs=(leg(BUSY, "busy", 486),),
            ),
        ),
    ),
    Case(
        "opt_out, though the callee hangs up at once",
        make_flow(
            {
                "a": {
                    "type": "gather",
                    "prompt": {"play": f"tone-{LONG_HZ}"},
                    "branches": {"9": "b"},
                    "otherwise": "z",
                },
                "b": {"type": "opt_out", "next": "z"},
                "z": END,
            },
            channels=1,
        ),
        (
            Contact(
                "+14155550216",
                (
                    ("a", "9"),
                    ("a", "gather", "answered"),
                    ("attempt.opt_out", {"number": "+14155550216", "scope": "account"}),
                    ("b", "opt_out", "done", {"scope": "account"}),
                    ENDED,
                ),
            ),
            Contact("+14155550216", disposition="skipped", is_called=False),
        ),
    ),
)
