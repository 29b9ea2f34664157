"""Types of what the API takes and gives that no handler needs as a struct; they describe only."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from api.http.views.calls import ContactView
from engine.forms.flow import FlowForm
from engine.intake.bodies import ContactRequest
from engine.model import FlowKind


class MulticastBody(Struct, frozen=True):
    """A call list as one JSON body."""

    contacts: list[ContactRequest]
    """Each is judged by itself: a bad one costs itself only."""
    name: str = ""
    starttime: str | None = None
    """Of the contacts that have none. ISO 8601; without an offset it is in the flow's time zone."""


class FlowChangeForm(FlowForm, frozen=True, forbid_unknown_fields=True):
    """What a flow is to be; what is left out becomes its default."""

    kind: FlowKind | UnsetType = UNSET  # type: ignore[assignment]  # none is no kind
    """The one that it has, which stays."""


class AddedView(Struct, frozen=True):
    """How many numbers were put on the do-not-call list."""

    added: int


class TicketView(Struct, frozen=True):
    """Opens the feed once within 30 s, as `?ticket=`."""

    ticket: str


class StatusView(Struct, frozen=True):
    """How the process is."""

    status: str


class NextContactView(Struct, frozen=True):
    """Whom an agent looks at."""

    contact: ContactView | None


class ChosenContactView(Struct, frozen=True):
    """Which contact an agent wants to be connected to."""

    contact: str


class EventView(Struct, frozen=True):
    """One event of the feed, and of a webhook."""

    seq: int
    """Rises by one per account."""
    time: str
    type: str
    account: str
    flow: str | None
    list: str | None
    contact: str | None
    attempt: str | None
    data: dict[str, Any] = field(default_factory=dict)
