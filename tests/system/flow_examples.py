"""The flows of docs/flows, each with people who answer, and what is to come of it."""

from __future__ import annotations

from typing import Any, Final

from tests.system.flow_callee import DAMAGED, Line, Script
from tests.system.flow_sound import make_speech, make_tone
from tests.system.flow_world import DID, Case, Contact, read_example

HIGH_HZ: Final = 1_400
"""What a customer says to an agent."""
LOW_HZ: Final = 700
"""What the agent says."""
COMPLAINT: Final = "The queue was much too long."
HELLO: Final = "Hello?"
GREETING: Final = (
    "Hello. You have reached Bob. I am not at home now. Please leave a message after the tone."
)
AGENT: Final = "+14155560001"
BUSY_AGENT: Final = "+14155560002"

APPOINTMENT: Final = "Tuesday, December 31, 2030, 9:30 AM"
TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "+14155550101": (
        "Hello Ada. This is the clinic with a reminder of your appointment.",
        f"You are expected on {APPOINTMENT}. To confirm, press 1. If you cannot come, press 2."
        " To hear this again, press 3.",
        "Thank you. We look forward to seeing you.",
    ),
    "+14155550102": (
        "Hello. You visited the corner shop lately. May we ask three short questions?",
        "Press 1 to begin, or 9 if you do not want to be asked again.",
        "How satisfied were you, from 1, not at all, to 5, very?",
        "We are sorry to hear that. After the tone, please tell us what went wrong, and press the"
        " hash key.",
        "Will you come again? Press 1 for yes and 2 for no.",
        "Thank you for your answers. Goodbye.",
    ),
    "+14155550103": (
        "Hello. This is a message for Ada. If that is you, press 1.",
        "A payment of twelve dollars and fifty cents for the account that ends in 4 7 1 1 is due on"
        " December 31, 2030.",
        "If you have paid already, press 1. To speak with somebody, press 2. Not to be called about"
        " this again, press 9.",
        "One moment, please.",
    ),
    "+14155550106": (
        "This is a warning of the city to everybody in Riverside. Go to the upper floors, and stay"
        " away from the river.",
        "To confirm that you have understood, press 1. To hear the warning again, press 2.",
        "If you cannot leave without help, press 5. Otherwise hang up now.",
        "We have noted that you need help. Stay by your telephone.",
    ),
    "+14155550107": (
        "Your code for your account is 4 7 1 1. Again, 4 7 1 1. To hear it once more, press 1.",
        "We never ask you for this code. Goodbye.",
    ),
    "+14155550108": (
        "Hello Ada. Your order is ready. To have it brought to you, press 1.",
        "It comes on Tuesday, December 31, 2030. Goodbye.",
    ),
    "+14155550109": (
        "Hello Bob. Your order is ready. Please call us back at 1 4 1, 5 5 5, 5 0 1, 0 0."
        " Again, 1 4 1, 5 5 5, 5 0 1, 0 0.",
    ),
}
"""What each of them hears, in order and to the end."""
WHISPER: Final = "A customer about a payment of twelve dollars and fifty cents."


async def remind(line: Line) -> None:
    await line.hear_silence()
    await line.press("1", DAMAGED)


async def survey(line: Line) -> None:
    await line.hear_silence()
    await line.press("1")
    await line.hear_silence()
    await line.press("2")
    await line.hear_tone(1_000)
    await line.hear_silence(0.1)
    await line.speak(make_speech(COMPLAINT))
    await line.press("#")
    await line.hear_silence()
    await line.press("1", DAMAGED)


async def ask_for_somebody(line: Line) -> None:
    await line.hear_silence()
    await line.press("1")
    await line.hear_silence()
    await line.press("2")


async def pay(line: Line) -> None:
    await ask_for_somebody(line)
    await line.hear_tone(LOW_HZ)
    await line.speak(make_tone(HIGH_HZ, 1.0))


async def take_customer(line: Line) -> None:
    await line.hear_silence()
    await line.speak(make_tone(LOW_HZ, 1.0))
    await line.hear_tone(HIGH_HZ)
    await line.hear_silence(0.2)
    line.hang_up()


async def refuse_to_pay(line: Line) -> None:
    await line.hear_silence()
    await line.press("1")
    await line.hear_silence()
    await line.press("9")


async def be_warned(line: Line) -> None:
    await line.hear_silence()
    await line.press("1")
    await line.hear_silence()
    await line.press("5")


async def listen(_line: Line) -> None:
    """Do nothing else."""


async def order(line: Line) -> None:
    await line.speak(make_speech(HELLO))
    await line.hear_silence()
    await line.press("1")


async def answer_as_machine(line: Line) -> None:
    await line.speak(make_speech(GREETING))
    await line.stay(0.4)
    await line.speak(make_tone(1_000, 0.5))


SCRIPTS: Final[dict[str, Script | int]] = {
    "+14155550101": remind,
    "+14155550102": survey,
    "+14155550103": pay,
    "+14155550104": refuse_to_pay,
    "+14155550105": ask_for_somebody,
    "+14155550106": be_warned,
    "+14155550107": listen,
    "+14155550108": order,
    "+14155550109": answer_as_machine,
    AGENT: take_customer,
    BUSY_AGENT: 486,
}
PAYMENT: Final = {
    "name": "Ada",
    "amount": "12.50",
    "due": "2030-12-31",
    "account_end": "4711",
}


def leg(number: str, outcome: str, sip_code: int) -> dict[str, Any]:
    """A second call as the record of an attempt shows it."""
    is_answered = outcome == "answered"
    return {
        "id": "ID",
        "number": number,
        "agent": None,
        "did": DID,
        "trunk": "main",
        "outcome": outcome,
        "initiated_at": "TIME",
        "answered_at": "TIME" if is_answered else None,
        "ended_at": "TIME",
        "sip_code": sip_code,
    }


CASES: Final = (
    Case(
        "reminder",
        read_example("reminder"),
        (
            Contact(
                "+14155550101",
                (
                    ("hello", "say", "played"),
                    ("ask", "1"),
                    ("ask", "gather", "answered"),
                    ("confirmed", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {"name": "Ada", "when": "2030-12-31T09:30"},
                result={"answer": "1"},
            ),
        ),
    ),
    Case(
        "survey",
        read_example("survey"),
        (
            Contact(
                "+14155550102",
                (
                    ("hello", "say", "played"),
                    ("may_we", "1"),
                    ("may_we", "gather", "answered"),
                    ("satisfied", "2"),
                    ("satisfied", "gather", "answered"),
                    ("why", "say", "played"),
                    (
                        "complaint",
                        "record",
                        "key",
                        {"recording": "ID", "duration_s": "TIME"},
                    ),
                    ("again", "1"),
                    ("again", "gather", "answered"),
                    ("thanks", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {"shop": "the corner shop"},
                result={"satisfied": "2", "complaint": "ID", "again": "1"},
            ),
        ),
    ),
    Case(
        "payment notice",
        read_example("payment-notice"),
        (
            Contact(
                "+14155550103",
                (
                    ("who", "1"),
                    ("who", "gather", "answered"),
                    ("notice", "say", "played"),
                    ("what", "2"),
                    ("what", "gather", "answered"),
                    ("attempt.connected", {"number": AGENT}),
                    ("agent", "transfer", "answered", {"to": AGENT}),
                    ("bye", "hangup", "done"),
                ),
                {**PAYMENT, "agent": AGENT},
                result={"choice": "2"},
                legs=(leg(AGENT, "answered", 200),),
            ),
            Contact(
                "+14155550104",
                (
                    ("who", "1"),
                    ("who", "gather", "answered"),
                    ("notice", "say", "played"),
                    ("what", "9"),
                    ("what", "gather", "answered"),
                    ("attempt.opt_out", {"number": "+14155550104", "scope": "flow"}),
                    ("stop", "opt_out", "done", {"scope": "flow"}),
                    ("stopped", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {**PAYMENT, "agent": AGENT},
                result={"choice": "9"},
            ),
            Contact(
                "+14155550105",
                (
                    ("who", "1"),
                    ("who", "gather", "answered"),
                    ("notice", "say", "played"),
                    ("what", "2"),
                    ("what", "gather", "answered"),
                    ("agent", "transfer", "busy", {"to": BUSY_AGENT}),
                    ("nobody", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {**PAYMENT, "agent": BUSY_AGENT},
                result={"choice": "2"},
                legs=(leg(BUSY_AGENT, "busy", 486),),
            ),
        ),
    ),
    Case(
        "emergency broadcast",
        read_example("emergency-broadcast"),
        (
            Contact(
                "+14155550106",
                (
                    ("alert", "say", "played"),
                    ("heard", "1"),
                    ("heard", "gather", "answered"),
                    ("help", "5"),
                    ("help", "gather", "answered"),
                    ("noted", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {"district": "Riverside"},
                result={"understood": "1", "needs_help": "5"},
            ),
        ),
    ),
    Case(
        "one-time code",
        read_example("one-time-code"),
        (
            Contact(
                "+14155550107",
                (
                    ("pause", "wait", "done"),
                    ("say_code", "gather", "no_input"),
                    ("warn", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {"code": "4711"},
            ),
        ),
    ),
    Case(
        "voicemail drop",
        read_example("voicemail-drop"),
        (
            Contact(
                "+14155550108",
                (
                    (
                        "attempt.amd",
                        {
                            "answerer": "human",
                            "cause": "CAUSE",
                            "elapsed_ms": "TIME",
                        },
                    ),
                    ("who", "branch", "otherwise"),
                    ("person", "1"),
                    ("person", "gather", "answered"),
                    ("ordered", "request", "done"),
                    ("when", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {"name": "Ada"},
                amd="human",
                result={"bring": "1", "day": "2030-12-31"},
            ),
            Contact(
                "+14155550109",
                (
                    (
                        "attempt.amd",
                        {
                            "answerer": "machine",
                            "cause": "CAUSE",
                            "elapsed_ms": "TIME",
                        },
                    ),
                    ("who", "branch", "matched"),
                    ("message", "say", "played"),
                    ("bye", "hangup", "done"),
                ),
                {"name": "Bob"},
                amd="machine",
                disposition="machine",
            ),
        ),
    ),
)
