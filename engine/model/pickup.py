"""A list that was picked up from a folder, and how the folder itself stands.

A pick-up is written down in the transaction that makes its list. From then on the file is known by its
mark, so that a file that is still there after a crash is removed and not dialled again. What is left to be
done (removing the file, putting a report beside, telling the account's holder) is done again until it is
written down as done.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from engine.model import Flow
from engine.model.drop_settings import Door
from engine.model.events import Event

Step = Literal["remove", "report", "tell"]
"""What follows once a file was taken or refused."""

Place = Door | Literal["mailbox"]
"""What can fail, as far as a flow is concerned; all flows have one mailbox."""

Origin = Door | Literal["email"]
"""The door that a file came through."""

OK: Final = "ok"
"""The code of a door at which nothing is wrong."""


class FileMark(Struct, frozen=True):
    """What a file is known by at its place."""

    name: str
    size: int
    """In octets."""
    modified_ns: int
    """When it was last changed as its server says, since the epoch."""
    sha256: bytes


class Pickup(Struct, frozen=True):
    """A file that was taken, or refused as a whole."""

    id: str
    account: str
    flow: str
    door: Origin
    place: str
    """`engine.model.drop_settings.place_of` of the setting that it came by, or the mail that brought it."""
    file: FileMark
    at: float
    """When, seconds since the epoch."""
    report: str
    """What becomes of it, in plain words."""
    list: str | None = None
    """The list that it made; None where it was refused."""
    code: str = OK
    """Why it was refused as a whole."""
    rejected: int = 0
    """Rows of the list that were not taken."""
    removed_at: float | None = None
    """Since when the file is known not to be in `incoming` any more; always None of a mail, which may be sent
    again."""
    reported_at: float | None = None
    """When the report was put beside."""
    told_at: float | None = None
    """When the account's holder was told."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done."""
        return not steps_left(self)


class DropState(Struct, frozen=True):
    """How a door of a flow stands."""

    code: str
    """`ok`, or what is wrong."""
    detail: str
    """One sentence for a person; empty where nothing is wrong."""
    since: float
    """Since when it is so, seconds since the epoch."""


def steps_left(pickup: Pickup) -> tuple[Step, ...]:
    """What is left to be done, each apart from the others: a folder without room for a report is no reason to
    leave the file where it is."""
    steps: tuple[tuple[Step, float | None], ...] = (
        ("remove", pickup.removed_at),
        ("report", pickup.reported_at),
        ("tell", pickup.told_at),
    )
    # A mail leaves the spool by itself, and may be sent again for as long as it is known.
    is_mail = pickup.door == "email"
    return tuple(
        step for step, done_at in steps if done_at is None and not (is_mail and step == "remove")
    )


def state_changed(flow: Flow, door: Place, state: DropState) -> Event:
    """What is told of a door that stands another way now."""
    if state.code == OK:
        return _event("door.restored", flow, state.since, {"door": door})
    data = {"door": door, "code": state.code, "detail": state.detail}
    return _event("door.failed", flow, state.since, data)


def file_refused(flow: Flow, pickup: Pickup, detail: str) -> Event:
    """What is told of a file of which nothing was taken."""
    data = {
        "door": pickup.door,
        "file": pickup.file.name,
        "code": pickup.code,
        "detail": detail,
        "pickup": pickup.id,
    }
    return _event("door.file_refused", flow, pickup.at, data)


def mail_refused(flow: Flow, pickup: Pickup, sender: str, detail: str) -> Event:
    """What is told of a mail of which nothing was taken, and that is not answered."""
    data = {
        "door": pickup.door,
        "sender": sender,
        "code": pickup.code,
        "detail": detail,
        "pickup": pickup.id,
    }
    return _event("door.mail_refused", flow, pickup.at, data)


def _event(
    kind: Literal["door.failed", "door.restored", "door.file_refused", "door.mail_refused"],
    flow: Flow,
    at: float,
    data: dict[str, str],
) -> Event:
    # Of the standing list: the flow's webhook hears of its lists.
    return Event(kind, at, flow.account, flow.id, flow.calls_list, data=data)
