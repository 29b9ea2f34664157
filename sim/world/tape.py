"""What was seen from outside, in its order: the carrier's calls, the commits, what people asked for, and what
was broken on purpose. The judge goes by it, and two runs of a seed have the same one to the byte."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import msgspec
from msgspec import Struct


class Invite(Struct, frozen=True, tag_field="entry", tag="invite"):
    """An INVITE left the engine."""

    at: float
    """Seconds of the world, which no clock's setting moves."""
    wall_at: float
    """What the engine's wall clock showed; seconds since the epoch."""
    arrived_at: float
    """When the carrier saw it."""
    attempt: str
    number: str
    caller: str
    trunk: str
    process: int
    written: bool
    """Whether the store had the attempt as open in that moment."""
    code: int
    """The final response that the callee has in mind; 0 for none."""


class CallOver(Struct, frozen=True, tag_field="entry", tag="call_over"):
    """A call that was dialled is over: for the engine, or because its process died."""

    at: float
    attempt: str
    died: bool


class Told(Struct, frozen=True, tag_field="entry", tag="told"):
    """An event was committed."""

    at: float
    seq: int
    account: str
    type: str
    body: msgspec.Raw


class Listed(Struct, frozen=True, tag_field="entry", tag="listed"):
    """Numbers went on the do-not-call list: the commit."""

    at: float
    account: str
    flow: str | None
    numbers: tuple[str, ...]
    expires_at: float | None


class Asked(Struct, frozen=True, tag_field="entry", tag="asked"):
    """Somebody asked for something."""

    at: float
    what: str
    whom: str


class Answered(Struct, frozen=True, tag_field="entry", tag="answered"):
    """The answer to that. Without it the process died meanwhile."""

    at: float
    what: str
    whom: str
    answer: str
    accepted: int = 0
    """Contacts of a trigger that were taken."""
    until: float | None = None
    """Seconds since the epoch: the start time that was given."""


class Received(Struct, frozen=True, tag_field="entry", tag="received"):
    """A receiver was sent an event."""

    at: float
    account: str
    url: str
    delivery: str
    code: str
    """What it answered: `ok`, or why it did not take it."""
    process: int


class Posted(Struct, frozen=True, tag_field="entry", tag="posted"):
    """A mail server was sent a letter."""

    at: float
    letter: str
    key: str
    code: str
    """What it answered: `ok`, `refused`, or `refused for good`."""
    process: int


class Happened(Struct, frozen=True, tag_field="entry", tag="happened"):
    """A fault began or ended; a process was started, stopped, or died."""

    at: float
    what: str
    detail: str = ""


class Lie(Struct, frozen=True, tag_field="entry", tag="lie"):
    """A contact's blocker did not hold, at several looks."""

    at: float
    contact: str
    code: str
    detail: str


Entry = Invite | CallOver | Told | Listed | Asked | Answered | Received | Posted | Happened | Lie


class FactData(Struct, frozen=True):
    """What the judge reads of an event's data; the rest of it is left alone."""

    number: str | None = None
    did: str | None = None
    disposition: str | None = None
    scope: str | None = None
    reason: str | None = None
    contacts: int = 0
    agent: str | None = None
    leg: str | None = None
    presence: str | None = None
    until: str | None = None
    letter: str | None = None


class Fact(Struct, frozen=True):
    """What the judge reads of an event."""

    type: str
    account: str
    flow: str | None
    list: str | None
    contact: str | None
    attempt: str | None
    data: FactData


_facts = msgspec.json.Decoder(Fact)


def read_fact(told: Told) -> Fact:
    """An event's JSON."""
    return _facts.decode(told.body)


class Tape:
    """Entries in the order in which they came.

    Args:
        keeps: whether they are kept for those who come later; who reads along needs none of that.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self.entries: list[Entry] = []
        """Empty where nothing is kept."""
        self.readers: list[Callable[[Entry], None]] = []
        """Who is told each entry as it comes, in this order."""
        self._keeps = keeps
        self._digest = blake2b(digest_size=16)
        self._lines = msgspec.json.Encoder()

    def add(self, entry: Entry) -> None:
        """Something was seen."""
        if self._keeps:
            self.entries.append(entry)
        self._digest.update(self._lines.encode(entry))
        for read in self.readers:
            read(entry)

    def lines(self) -> list[bytes]:
        """Each entry that is kept as a line of JSON."""
        return [self._lines.encode(entry) for entry in self.entries]

    def digest(self) -> str:
        """Of all lines: two runs with the same one were the same."""
        return self._digest.hexdigest()
