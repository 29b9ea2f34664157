"""Letters to people: receipts for lists that came by e-mail, and what account holders are told.

A letter is written down before anybody is told that it will come, and is sent until a mail server has taken
it or it is given up, which an event tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from engine.model.events import Event

LetterState = Literal["waiting", "sent", "given_up"]

FIRST_WAIT_S: Final = 60.0
"""Before a letter is sent once more."""
WAIT_S_MAX: Final = 4 * 3_600.0
LIFE_S: Final = 3 * 86_400.0
"""After which a letter is given up (RFC 5321 §4.5.4.1 wants 4 to 5 days of a relay; who waits for a receipt
has asked by then)."""


class Attachment(Struct, frozen=True):
    """A file that goes with a letter."""

    name: str
    data: bytes


class Letter(Struct, frozen=True):
    """A letter and how far it has come."""

    id: str
    key: str
    """What it is about: two letters with the same key are one."""
    account: str
    to: str
    """An address (RFC 5321 Mailbox)."""
    subject: str
    """One line."""
    text: str
    created_at: float
    due_at: float | None
    """When it is sent, or sent once more; None once it is done."""
    in_reply_to: str | None = None
    """Message-ID of the mail that it answers, with its angle brackets."""
    attachments: Sequence[Attachment] = ()
    """Left out where letters are listed."""
    state: LetterState = "waiting"
    tries: int = 0
    last: str = ""
    """What the mail server said last, where it did not take it."""
    done_at: float | None = None


def next_try_at(letter: Letter, now: float, chance: float) -> float | None:
    """When a letter is tried once more that a mail server did not take at `now`; None gives it up.

    Waits double up to `WAIT_S_MAX`; `chance` in [0, 1) spreads them over a fifth. `letter.tries` counts the
    tries before this one.
    """
    wait_s = min(WAIT_S_MAX, FIRST_WAIT_S * 2.0 ** min(letter.tries, 30))
    at = now + wait_s * (0.9 + 0.2 * chance)
    return None if at > letter.created_at + LIFE_S else at


def letter_given_up(letter: Letter, at: float) -> Event:
    """What is told of a letter that nobody will get."""
    data = {"letter": letter.id, "to": letter.to, "subject": letter.subject, "detail": letter.last}
    return Event("letter.given_up", at, letter.account, "", "", data=data)
