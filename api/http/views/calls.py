"""Contacts, attempts and recordings as the API shows them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from api.http.agent_views import LegView
from api.http.views.encoding import show_time
from engine.model import (
    Attempt,
    AttemptStatus,
    Blocker,
    Contact,
    ContactStatus,
    Media,
    Recording,
    RowError,
    SipOutcome,
    Step,
    status_of,
)
from engine.model.disposition import Disposition
from engine.model.events import rfc3339


class CallView(Struct, frozen=True):
    """What became of a single call's trigger."""

    contact: str
    status: ContactStatus
    warnings: tuple[RowError, ...]


class BlockerView(Struct, frozen=True):
    """Why a contact is not dialled now."""

    code: str
    detail: str
    until: str | None


class AttemptView(Struct, frozen=True):
    """A call detail record."""

    id: str
    flow: str
    list: str
    contact: str
    number: str
    did: str
    trunk: str
    status: AttemptStatus
    disposition: Disposition | None
    initiated_at: str
    ringing_at: str | None
    answered_at: str | None
    ended_at: str | None
    duration_s: float | None
    sip: SipOutcome | None
    q850: int | None
    amd: str | None
    digits: str
    result: dict[str, Any]
    media: Media | None
    agent: str | None
    """Who took it: an agent's id, or a number."""
    abandoned: bool | None
    """Whether no agent took a customer who answered; None where none was wanted."""
    legs: tuple[LegView, ...] | UnsetType = UNSET
    """The calls that were made for it; left out where many attempts are shown."""
    steps: tuple[Step, ...] | UnsetType = UNSET
    """What the call went through of its flow; left out where many attempts are shown."""


class ContactView(Struct, frozen=True):
    """A contact."""

    id: str
    list: str
    flow: str
    row: int
    tel: tuple[str, ...]
    variables: dict[str, str]
    reference: str | None
    agent: str | None
    """Who is to talk with it: a number; None where that is open."""
    starttime: str
    status: ContactStatus
    disposition: Disposition | None
    completed_at: str | None
    blocker: BlockerView | None
    attempts: tuple[AttemptView, ...] | UnsetType = UNSET
    """Oldest first; left out where many contacts are shown."""


class RecordingView(Struct, frozen=True):
    """A recording."""

    id: str
    attempt: str
    created_at: str
    url: str
    """Where its sound is."""


def show_contact(contact: Contact, blocker: Blocker | None, now: float) -> ContactView:
    """A contact as the API shows it at `now`, without its attempts."""
    return ContactView(
        id=contact.id,
        list=contact.list,
        flow=contact.flow,
        row=contact.row,
        tel=contact.tel,
        variables=contact.variables,
        reference=contact.reference,
        agent=contact.agent,
        starttime=rfc3339(contact.starttime),
        status=status_of(contact, now),
        disposition=contact.disposition,
        completed_at=show_time(contact.completed_at),
        blocker=None
        if blocker is None
        else BlockerView(blocker.code, blocker.detail, show_time(blocker.until)),
    )


def show_attempt(attempt: Attempt) -> AttemptView:
    """A call detail record as the API shows it."""
    return AttemptView(
        id=attempt.id,
        flow=attempt.flow,
        list=attempt.list,
        contact=attempt.contact,
        number=attempt.number,
        did=attempt.did,
        trunk=attempt.trunk,
        status=attempt.status,
        disposition=attempt.disposition,
        initiated_at=rfc3339(attempt.initiated_at),
        ringing_at=show_time(attempt.ringing_at),
        answered_at=show_time(attempt.answered_at),
        ended_at=show_time(attempt.ended_at),
        duration_s=attempt.duration_s,
        sip=attempt.sip,
        q850=attempt.q850,
        amd=attempt.amd,
        digits=attempt.digits,
        result=attempt.result,
        media=attempt.media,
        agent=attempt.agent,
        abandoned=attempt.abandoned,
    )


def show_recording(recording: Recording) -> RecordingView:
    """A recording as the API shows it."""
    return RecordingView(
        recording.id,
        recording.attempt,
        rfc3339(recording.created_at),
        f"/v1/recordings/{recording.id}",
    )
