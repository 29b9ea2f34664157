"""Rows to values and back. Column lists stand beside the function that reads or writes them.

A function `X_row` gives the parameters for writing X, `to_X` reads the columns of `X_COLUMNS`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct, field

from adapters.sqlite.rules import ListState
from engine.model import (
    Attempt,
    CallList,
    Contact,
    Media,
    RejectedRow,
    Report,
    SipOutcome,
    Step,
)
from engine.model.disposition import Disposition
from engine.model.events import StoredEvent

Row = tuple[Any, ...]
"""What SQLite gives and takes."""

_encoder = msgspec.json.Encoder()
read_strings = msgspec.json.Decoder(tuple[str, ...]).decode
_read_variables = msgspec.json.Decoder(dict[str, str]).decode
_read_counts = msgspec.json.Decoder(dict[Disposition, int]).decode
_read_report = msgspec.json.Decoder(Report).decode


def text(value: object) -> str:
    """A value as JSON text."""
    return _encoder.encode(value).decode()


class _Detail(Struct, omit_defaults=True):
    """What of an attempt is kept as one JSON text, because nothing looks for it."""

    sip: SipOutcome | None = None
    q850: int | None = None
    amd: str | None = None
    digits: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    media: Media | None = None
    redirected_from: str | None = None
    agent: str | None = None
    abandoned: bool | None = None
    steps: tuple[Step, ...] = ()


class _History(Struct, omit_defaults=True):
    """What a contact remembers of its calls, kept as one JSON text, because nothing looks for it."""

    spent_at: tuple[float, ...] = ()
    dead: tuple[str, ...] = ()


_NO_HISTORY: Final = _History()
_read_history = msgspec.json.Decoder(_History).decode


_read_detail = msgspec.json.Decoder(_Detail).decode


OF_LIST: Final = "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow"
"""What a list `l` needs beside it for its columns, and those of its contacts."""
LIST_COLUMNS: Final = (
    "l.id, a.id, f.id, l.flow_version, l.name, l.source, l.status, l.report, l.created_at, "
    "l.started_at, l.finished_at, l.header, l.standing, l.revision, l.priority"
)
LIST_SET: Final = (
    "id = ?, account = ?, flow = ?, flow_version = ?, name = ?, source = ?, status = ?, report = ?, "
    "created_at = ?, started_at = ?, finished_at = ?, header = ?, standing = ?, priority = ?, "
    "contacts = ?, open = ?, has_open = ?, unfinished = ?"
)


def list_row(one: CallList, account_n: int, flow_n: int, contacts: int) -> Row:
    """Values for `LIST_SET`: a list with so many contacts, all open."""
    return (
        one.id,
        account_n,
        flow_n,
        one.flow_version,
        one.name,
        one.source,
        one.status,
        text(one.report),
        one.created_at,
        one.started_at,
        one.finished_at,
        text(one.header),
        one.standing,
        one.priority,
        contacts,
        contacts,
        contacts > 0,
        contacts > 0,
    )


def to_list(row: Row) -> CallList:
    """A list."""
    values: Row = (
        *row[:7],
        _read_report(row[7]),
        *row[8:11],
        read_strings(row[11]),
        bool(row[12]),
        *row[13:],
    )
    return CallList(*values)


STATE_COLUMNS: Final = (
    "l.id, a.id, f.id, l.status, l.standing, l.started_at, l.finished_at, l.contacts, l.open, "
    "l.dialing, l.completed, l.dispositions, l.moving_to, l.moved_row, l.moved_id, "
    "l.revision, l.priority"
)
COUNTS_SET: Final = "contacts = ?, open = ?, dialing = ?, completed = ?, dispositions = ?"
STATUS_SET: Final = (
    "status = ?, started_at = ?, finished_at = ?, has_open = ?, unfinished = ?, moving_to = ?, "
    "moved_row = ?, moved_id = ?, revision = ?, priority = ?"
)


def counts_row(state: ListState) -> Row:
    """Values for `COUNTS_SET`: what changes with every contact."""
    return (
        state.contacts,
        state.open,
        state.dialing,
        state.completed,
        text(state.dispositions),
    )


def status_row(state: ListState) -> Row:
    """Values for `STATUS_SET`: what changes a few times in a list's life."""
    return (
        state.status,
        state.started_at,
        state.finished_at,
        state.open > 0,
        state.completed < state.contacts,
        state.moving_to,
        state.moved_row,
        state.moved_id,
        state.revision,
        state.priority,
    )


def to_state(row: Row) -> ListState:
    """The state of a list."""
    values: Row = (*row[:4], bool(row[4]), *row[5:11], _read_counts(row[11]), *row[12:])
    return ListState(*values)


def to_counts(dispositions: str) -> dict[Disposition, int]:
    """Contacts by disposition."""
    return _read_counts(dispositions)


CONTACT_INSERT: Final = (
    "INSERT INTO contacts (id, list, row, tel, variables, starttime, reference, state, due_at, "
    "wait_code, tel_index, spent, tries, disposition, completed_at, detour, detoured, agent, "
    "flow_version, history, priority) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
CONTACT_COLUMNS: Final = (
    "c.id, a.id, l.id, f.id, c.row, c.tel, c.variables, c.starttime, c.reference, c.state, c.due_at, "
    "c.wait_code, c.tel_index, c.spent, c.tries, c.disposition, c.completed_at, c.detour, c.detoured, "
    "c.agent, c.flow_version, c.history, coalesce(l.priority, c.priority)"
)
CONTACT_WIDTH: Final = 23
CONTACT_PROGRESS: Final = (
    "state = ?, due_at = max(?, starttime), wait_code = iif(? < starttime, 'starttime', ?), "
    "tel_index = ?, spent = ?, tries = ?, disposition = ?, completed_at = ?, detour = ?, detoured = ?, "
    "history = ?"
)
END_CONTACT: Final = f"UPDATE contacts SET {CONTACT_PROGRESS} WHERE id = ?"  # noqa: S608, a constant


def contact_row(one: Contact, list_n: int, row: int) -> Row:
    """Values for `CONTACT_INSERT`."""
    return (
        one.id,
        list_n,
        row,
        _encoder.encode(one.tel).decode(),
        _encoder.encode(one.variables).decode() if one.variables else None,
        one.starttime,
        one.reference,
        one.state,
        one.due_at,
        one.wait_code,
        one.tel_index,
        one.spent,
        text(one.tries) if one.tries else None,
        one.disposition,
        one.completed_at,
        one.detour,
        one.detoured,
        one.agent,
        one.flow_version,
        _history_text(one),
        one.priority,
    )


def _history_text(one: Contact) -> str | None:
    if not one.spent_at and not one.dead:
        return None
    return text(_History(one.spent_at, one.dead))


def contact_progress_row(one: Contact) -> Row:
    """Values for `CONTACT_PROGRESS`: what an attempt changes on its contact."""
    return (
        one.state,
        one.due_at,
        one.due_at,
        one.wait_code,
        one.tel_index,
        one.spent,
        text(one.tries) if one.tries else None,
        one.disposition,
        one.completed_at,
        one.detour,
        one.detoured,
        _history_text(one),
    )


def to_contact(row: Row) -> Contact:
    """A contact."""
    values: Row = (
        *row[:5],
        read_strings(row[5]),
        _read_variables(row[6]) if row[6] is not None else {},
        *row[7:14],
        _read_counts(row[14]) if row[14] is not None else {},
        *row[15:18],
        bool(row[18]),
        *row[19:21],
        *msgspec.structs.astuple(_NO_HISTORY if row[21] is None else _read_history(row[21])),
        row[22],
    )
    return Contact(*values)


REJECTED_INSERT: Final = (
    'INSERT INTO rejected (list, place, row, "column", code, detail, cells) '
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
REJECTED_COLUMNS: Final = 'r.place, r.row, r."column", r.code, r.detail, r.cells'


def rejected_row(one: RejectedRow, list_n: int, place: int) -> Row:
    """Values for `REJECTED_INSERT`."""
    return (list_n, place, one.row, one.column, one.code, one.detail, text(one.cells))


def to_rejected(row: Row) -> RejectedRow:
    """A rejected row, from the columns after its place."""
    values: Row = (*row[1:5], read_strings(row[5]))
    return RejectedRow(*values)


ATTEMPT_INSERT: Final = (
    "INSERT INTO attempts (account, id, flow, list, contact, number, did, trunk, status, initiated_at, "
    "detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ATTEMPT_COLUMNS: Final = (
    "t.id, a.id, f.id, l.id, t.contact, t.number, t.did, t.trunk, t.status, t.initiated_at, "
    "t.disposition, t.ringing_at, t.answered_at, t.ended_at, t.detail"
)


def attempt_row(one: Attempt, account_n: int, flow_n: int, list_n: int) -> Row:
    """Values for `ATTEMPT_INSERT`."""
    return (
        account_n,
        one.id,
        flow_n,
        list_n,
        one.contact,
        one.number,
        one.did,
        one.trunk,
        one.status,
        one.initiated_at,
        detail_text(one),
    )


def detail_text(one: Attempt) -> str | None:
    """The column `detail` of an attempt."""
    detail = _Detail(
        one.sip,
        one.q850,
        one.amd,
        one.digits,
        one.result,
        one.media,
        one.redirected_from,
        one.agent,
        one.abandoned,
        one.steps,
    )
    encoded = _encoder.encode(detail)
    return None if encoded == b"{}" else encoded.decode()


def to_attempt(row: Row) -> Attempt:
    """An attempt."""
    if row[14] is None:
        return Attempt(*row[:14])
    detail = _read_detail(row[14])
    values: Row = (*row[:14], *msgspec.structs.astuple(detail))
    return Attempt(*values)


EVENT_INSERT: Final = "INSERT INTO events (account, seq, list, type, body) VALUES (?, ?, ?, ?, ?)"
EVENT_COLUMNS: Final = "a.id, e.seq, ifnull(f.id, ''), ifnull(l.id, ''), e.type, e.body"


def to_event(row: Row) -> StoredEvent:
    """An event as it is kept."""
    return StoredEvent(*row)
