"""What the far end of one simulated call does, and what was seen and heard there."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from engine.ports.amd import AmdVerdict
from engine.ports.telephony import CallRequest


class Moment(Struct, frozen=True):
    """When a callee does something: so long after the answer, or after a prompt that they hear."""

    after_s: float = 0.0
    since: Literal["answer", "prompt_begins", "prompt_ends"] = "answer"
    """A prompt also ends when it is stopped."""
    prompt: int = 1
    """Which of all prompts that are played on the call, counted from 1."""


class Press(Struct, frozen=True):
    """A key that the callee presses."""

    key: str
    at: Moment = Moment()


class CallScript(Struct, frozen=True):
    """How the far end treats one call."""

    ring_after_s: float | None = 0.1
    """Seconds from the INVITE to ringing; None rings never."""
    final_after_s: float | None = 2.0
    """Seconds from the INVITE to the answer or refusal; None never decides."""
    code: int = 200
    """The final SIP status; 0 is a trunk that does not answer at all."""
    talk_s: float | None = None
    """Seconds from the answer until the callee hangs up; None leaves that to the caller."""
    q850: int | None = None
    retry_after_s: float | None = None
    reason: str = ""
    """The reason phrase of a refusal."""
    redirected_to: str | None = None
    """The number that a 3xx names, E.164."""
    keys: tuple[Press, ...] = ()
    hangs_up: Moment | None = None
    """When the callee hangs up, if `talk_s` does not come first."""
    breaks_after_s: float | None = None
    """Seconds from the INVITE until the network loses the call, if it was answered by then."""
    verdict: AmdVerdict = AmdVerdict("human", "after_greeting_silence", 1_200)
    """What whoever listens takes the callee for, and after how long."""
    beeps_s: tuple[float, ...] = ()
    """When a machine's beeps are over, seconds from the answer, rising."""
    speaks_s: tuple[tuple[float, float], ...] = ()
    """From when to when the callee speaks, seconds from the answer, rising."""


class DialedCall(Struct, frozen=True):
    """What the far end saw of one call."""

    at: float
    """When the INVITE came, `trio.current_time()`."""
    request: CallRequest
    played: list[str] = field(default_factory=list)
    """Prompts that were begun, in order."""
    digits: list[str] = field(default_factory=list)
    """Keys that it was sent, in order: by the engine, or through a bridge."""


def press(keys: str, *moments: Moment, apart_s: float = 0.3) -> tuple[Press, ...]:
    """These keys one after another, from each of the moments on; from the answer on where none is given."""
    return tuple(
        Press(key, Moment(moment.after_s + place * apart_s, moment.since, moment.prompt))
        for moment in moments or (Moment(apart_s),)
        for place, key in enumerate(keys)
    )
