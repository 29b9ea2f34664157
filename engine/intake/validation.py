"""A whole list → a report and drafts: the function that runs in a worker process.

Bytes go in and bytes come out, since pickling a hundred thousand objects would cost more than judging
them; drafts come in pieces, which the engine unpacks one at a time between its other work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs

from engine.intake import bodies, columns
from engine.intake.bodies import read_contact, read_multicast, split_lines
from engine.intake.files import TableReader, merge_headers, open_tables
from engine.intake.refused import Refused
from engine.intake.rows import Candidate, Draft, RowReader, Rules
from engine.intake.starttime import read_starttime
from engine.intake.table import RECORD_CHARS_MAX
from engine.model import REPORT_ERRORS_MAX, RejectedRow, Report, RowError

ROWS_MAX: Final = 500_000
"""Rows of one list. A 5 MB file of nothing but numbers has fewer."""
PIECE_ROWS: Final = 500
"""Drafts or rejected rows in one piece; unpacking it takes about a millisecond."""
CONTACT_HEADER: Final = ("contact",)
"""What a list that came as JSON has in place of a header: its rejected rows are its contacts' JSON."""

Form = Literal["file", "json", "ndjson"]


class Submitted(Struct, frozen=True):
    """A list as it came through a door."""

    form: Form
    name: str
    """The file's name, or what the list is to be called."""
    data: bytes
    rules: Rules


class Validated(Struct, frozen=True, tag="validated"):
    """What became of a list."""

    name: str
    """As its sender called it; may be empty."""
    header: tuple[str, ...]
    """The titles above the cells of its rejected rows."""
    report: Report
    drafts: list[bytes]
    """Pieces for `read_drafts`."""
    rejected: list[bytes]
    """Pieces for `read_rejected`."""
    earliest_at: float | None
    """The first start time among the drafts, seconds since the epoch; None without drafts."""
    content_sha256: bytes | None = None
    """Of a file; None for a body, which a program sends that has an Idempotency-Key for it."""


class Refusal(Struct, frozen=True, tag="refused"):
    """A `Refused` on its way out of the worker."""

    code: str
    detail: str
    errors: tuple[RowError, ...]


_SUBMITTED: Final = msgspec.msgpack.Decoder(Submitted)
_RESULT: Final[msgspec.msgpack.Decoder[Validated | Refusal]] = msgspec.msgpack.Decoder(
    Validated | Refusal
)
_DRAFTS: Final = msgspec.msgpack.Decoder(list[Draft])
_REJECTED: Final = msgspec.msgpack.Decoder(list[RejectedRow])
_PACK: Final = msgspec.msgpack.Encoder()


def validate(submitted: bytes) -> bytes:
    """Judge a list. Takes what `pack_submitted` gives and gives what `read_result` takes."""
    job = _SUBMITTED.decode(submitted)
    try:
        found = _validate(job)
        if job.form == "file":
            found = structs.replace(found, content_sha256=sha256(job.data).digest())
        return _PACK.encode(found)
    except Refused as refused:
        return _PACK.encode(Refusal(refused.code, refused.detail, refused.errors))


def pack_submitted(submitted: Submitted) -> bytes:
    """The argument of `validate`."""
    return _PACK.encode(submitted)


def read_result(result: bytes) -> Validated:
    """What `validate` found. Raises the `Refused` that it met."""
    found = _RESULT.decode(result)
    if isinstance(found, Refusal):
        raise Refused(found.code, found.detail, found.errors)
    return found


def read_drafts(piece: bytes) -> list[Draft]:
    """One piece of `Validated.drafts`."""
    return _DRAFTS.decode(piece)


def read_rejected(piece: bytes) -> list[RejectedRow]:
    """One piece of `Validated.rejected`."""
    return _REJECTED.decode(piece)


class _Pieces:
    """Values, packed as they come, so that memory holds few of them as objects."""

    def __init__(self) -> None:
        self.packed: list[bytes] = []
        self._open: list[object] = []

    def add(self, value: object) -> None:
        self._open.append(value)
        if len(self._open) == PIECE_ROWS:
            self.close()

    def close(self) -> None:
        """Pack what is left."""
        if self._open:
            self.packed.append(_PACK.encode(self._open))
            self._open.clear()


class _Tally:
    """Counts and keeps what became of the rows."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._rows = 0
        self._accepted = 0
        self._earliest_at: float | None = None
        self._drafts = _Pieces()
        self._rejected = _Pieces()
        self._errors: list[RowError] = []
        self.warnings: list[RowError] = []

    def judge(self, row: Candidate | list[RowError], default_starttime: float) -> list[RowError]:
        """Take a row, or say why not, for `reject`. Raises `Refused("too_many_contacts")`."""
        self._rows += 1
        if self._rows > ROWS_MAX:
            raise Refused("too_many_contacts", f"A list has at most {ROWS_MAX} rows; split it.")
        found = row if isinstance(row, list) else self._reader.read(row, default_starttime)
        if isinstance(found, list):
            return found
        self._accepted += 1
        self._drafts.add(found)
        if self._earliest_at is None or found.starttime < self._earliest_at:
            self._earliest_at = found.starttime
        return []

    def reject(self, errors: Sequence[RowError], cells: tuple[str, ...]) -> None:
        """Keep a row that was not taken."""
        self.note(errors)
        first = errors[0]
        detail = " ".join(error.detail for error in errors)
        self._rejected.add(RejectedRow(first.row, first.column, first.code, detail, cells))

    def note(self, errors: Iterable[RowError]) -> None:
        """Keep errors for the report, as long as it has room."""
        self._errors.extend(errors)
        del self._errors[REPORT_ERRORS_MAX:]

    def close(self, name: str, header: tuple[str, ...]) -> Validated:
        """Everything. Raises `Refused("no_rows")`."""
        if not self._rows:
            raise Refused("no_rows", "The list has no contacts.")
        self._drafts.close()
        self._rejected.close()
        warnings = (*self.warnings, *self._reader.warnings)[:REPORT_ERRORS_MAX]
        rejected = self._rows - self._accepted
        report = Report(self._rows, self._accepted, rejected, tuple(self._errors), warnings)
        return Validated(
            name, header, report, self._drafts.packed, self._rejected.packed, self._earliest_at
        )


def _validate(job: Submitted) -> Validated:
    match job.form:
        case "file":
            return _validate_file(job)
        case "json":
            return _validate_json(job)
        case "ndjson":
            return _validate_ndjson(job)


def _validate_json(job: Submitted) -> Validated:
    request = read_multicast(job.data)
    starttime = None
    if request.starttime is not None:
        starttime = read_starttime(request.starttime, ZoneInfo(job.rules.timezone))
        if starttime is None:
            detail = "`starttime` is not a time as ISO 8601 writes it."
            raise Refused("invalid_starttime", detail)
    contacts = enumerate(request.contacts, start=1)
    return _validate_contacts(job.rules, request.name or job.name, starttime, contacts)


def _validate_ndjson(job: Submitted) -> Validated:
    return _validate_contacts(job.rules, job.name, None, split_lines(job.data))


def _validate_contacts(
    rules: Rules,
    name: str,
    starttime: float | None,
    contacts: Iterable[tuple[int, bytes | msgspec.Raw]],
) -> Validated:
    reader = RowReader(rules, bodies.VARIABLE_PREFIX)
    tally = _Tally(reader)
    default = reader.place_default(starttime)
    names = tuple(rules.variables)
    for row, contact in contacts:
        errors = tally.judge(read_contact(row, contact, names), default)
        if errors:
            tally.reject(errors, (_show_contact(contact),))
    return tally.close(name, CONTACT_HEADER)


def _show_contact(contact: bytes | msgspec.Raw) -> str:
    return bytes(contact)[:RECORD_CHARS_MAX].decode("utf-8", "replace").strip()


def _validate_file(job: Submitted) -> Validated:
    tables, ignored = open_tables(job.name, job.data)
    header, places = merge_headers([table.header for table in tables])
    reader = RowReader(job.rules, columns.VARIABLE_PREFIX)
    tally = _Tally(reader)
    for name in ignored:
        detail = f"{name!r} in the archive is not a .csv file; it was not read."
        tally.warnings.append(RowError(0, None, "not_csv", detail))
    rows = 0
    for table, own_places in zip(tables, places, strict=True):
        label = table.name if len(tables) > 1 else ""
        table_reader = TableReader(table, job.rules, rows, label)
        tally.note(table_reader.notes)
        default = reader.place_default(table_reader.starttime)
        for candidate, cells in table_reader.read():
            errors = tally.judge(candidate, default)
            if errors:
                tally.reject(table_reader.locate(errors), _place(cells, own_places))
        tally.warnings += table_reader.warnings
        rows = table_reader.rows
    return tally.close(job.name, header)


def _place(cells: list[str], places: list[int]) -> tuple[str, ...]:
    """The cells of one table under the header of all; what is beyond its own header comes last."""
    inside, beyond = cells[: len(places)], cells[len(places) :]
    if places[: len(inside)] == list(range(len(inside))):
        return tuple(cells)
    placed = [""] * (max(places) + 1)
    for place, cell in zip(places, inside, strict=False):
        placed[place] = cell
    return (*placed, *beyond)
