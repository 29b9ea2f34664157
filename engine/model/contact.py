"""People who are to be reached, and why they are not called now."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from engine.model.caps import Priority
from engine.model.disposition import Disposition

ContactStatus = Literal["scheduled", "waiting", "dialing", "completed"]
BlockerCode = Literal[
    "starttime",
    "calling_window",
    "did_cps",
    "did_channels",
    "did_cap",
    "trunk_cps",
    "trunk_cap",
    "trunk_channels",
    "trunk_down",
    "no_trunk",
    "flow_paused",
    "list_paused",
    "flow_limit",
    "account_limit",
    "engine_limit",
    "callee_cap",
    "retry_wait",
    "agents_busy",
    "account_stopped",
    "list_canceled",
    "account_paused",
]


TELS_MAX = 10
"""A contact has tel1 … tel10."""


class Contact(Struct, frozen=True, gc=False):
    """One person to be reached, on up to ten numbers."""

    id: str
    account: str
    list: str
    flow: str
    row: int
    """Its place in its list, from 1."""
    tel: tuple[str, ...]
    """E.164 with `+`, in the order of trying; never empty."""
    variables: dict[str, str]
    starttime: float
    """Not dialled before, seconds since the epoch."""
    reference: str | None
    """The user's own name for this contact."""
    state: Literal["open", "dialing", "completed"]
    """As stored; `status_of` says what the user sees."""
    due_at: float
    """Not dialled before: the start time at first, then what a retry or a blocker says."""
    wait_code: BlockerCode
    """Why `due_at` lies where it does."""
    tel_index: int = 0
    """Which of `tel` is dialled next, but for a `detour`."""
    spent: int = 0
    """Attempts that count against `attempts_max`."""
    tries: dict[Disposition, int] = field(default_factory=dict)
    """Calls of the number at `tel_index` that a retry rule counts, by disposition; `congested` counts
    those that came to nothing lately (`engine.schedule.retry.stalls_of`)."""
    disposition: Disposition | None = None
    """Final; set exactly once."""
    completed_at: float | None = None
    detour: str | None = None
    """E.164: the number to which a trunk has redirected the call of `tel[tel_index]`; it is dialled next,
    once, in place of that."""
    detoured: bool = False
    """Whether `tel[tel_index]` was redirected already: a second time is a refusal."""
    agent: str | None = None
    """E.164: who is to talk with this contact; None is any agent, or nobody."""
    flow_version: int = 1
    """The version of the flow whose graph its calls run: that of the moment at which it came in."""
    spent_at: tuple[float, ...] = ()
    """When the latest calls were made that count, oldest first (`engine.schedule.day_budget`)."""
    dead: tuple[str, ...] = ()
    """E.164: numbers that trunks redirected its calls to and that turned out to be invalid."""

    priority: Priority | None = None
    """Its class, before that of its flow; None is the flow's, and for a single call the next better one."""

    @property
    def number(self) -> str:
        """E.164: which number is dialled next."""
        return self.detour or self.tel[self.tel_index]


def status_of(contact: Contact, now: float) -> ContactStatus:
    """What the user sees of a contact at `now`, seconds since the epoch."""
    if contact.state != "open":
        return contact.state
    if contact.wait_code == "starttime" and contact.due_at > now:
        return "scheduled"
    return "waiting"


class Blocker(Struct, frozen=True):
    """Why a contact is not dialled now."""

    code: BlockerCode
    detail: str
    """One sentence for a person."""
    until: float | None
    """When it ends, seconds since the epoch; None when that depends on something else's end."""
