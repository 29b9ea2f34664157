"""Call lists, and what was not taken of them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.model.caps import Priority
from engine.model.disposition import Disposition

Source = Literal["api", "upload", "email", "sftp", "folder"]
ListStatus = Literal["scheduled", "running", "paused", "completed", "canceled", "rejected"]


class RowError(Struct, frozen=True, gc=False):
    """Why a row was not taken, or (a warning) what was odd about it."""

    row: int
    """Counted from 1; row 1 is the first below the header."""
    column: str | None
    code: str
    detail: str


REPORT_ERRORS_MAX = 100
"""Row errors that a list's own report shows; the rest is in its rejected.csv."""


class Report(Struct, frozen=True):
    """What was taken of a list and what was not."""

    rows: int
    accepted: int
    rejected: int
    errors: tuple[RowError, ...] = ()
    """The first `REPORT_ERRORS_MAX`."""
    warnings: tuple[RowError, ...] = ()
    """The first `REPORT_ERRORS_MAX`."""


class RejectedRow(Struct, frozen=True, gc=False):
    """A row that was not taken, kept so that it can be given back as it came."""

    row: int
    column: str | None
    code: str
    detail: str
    cells: tuple[str, ...]
    """The row's cells as they were read, in the order of the header."""


class CallList(Struct, frozen=True):
    """The contacts of one trigger."""

    id: str
    account: str
    flow: str
    flow_version: int
    name: str
    source: Source
    status: ListStatus
    report: Report
    created_at: float
    started_at: float | None = None
    """When its first attempt was made."""
    finished_at: float | None = None
    """When its last contact got its disposition."""
    header: tuple[str, ...] = ()
    """The columns of the file it came in, for rejected.csv."""
    standing: bool = False
    """Whether it is a flow's list of single calls, which never completes."""
    revision: int = 0
    """How often somebody paused, resumed, canceled or rescheduled it."""
    priority: Priority | None = None
    """Of all its contacts; None is the flow's."""


class ListCounts(Struct, frozen=True):
    """Where the contacts of a list are."""

    contacts: int
    scheduled: int
    waiting: int
    dialing: int
    completed: int
    dispositions: dict[Disposition, int]
