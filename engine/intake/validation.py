"""A whole list → drafts, rejected rows and a verdict: the generator that runs in a worker process.

Bytes go in and bytes come out, since pickling a hundred thousand objects would cost more than judging
them. What is found comes in pieces, each as soon as it is whole: the engine stores one while the next is
judged, and neither of them ever holds a whole list.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs

from engine.drafts import Draft, Drafts, pack_drafts
from engine.intake import bodies, columns
from engine.intake.bodies import read_contact, read_multicast, read_plain, split_lines
from engine.intake.files import TableReader, merge_headers, open_tables
from engine.intake.outline import Outline
from engine.intake.plain import PlainReader
from engine.intake.refused import Refused
from engine.intake.rows import Candidate, RowReader, Rules
from engine.intake.starttime import read_starttime
from engine.intake.table import RECORD_CHARS_MAX
from engine.model import REPORT_ERRORS_MAX, RejectedRow, Report, RowError

ROWS_MAX: Final = 500_000
"""Rows of one list. A 5 MB file of nothing but numbers has fewer."""
PIECE_ROWS: Final = 500
"""Rows in one piece; unpacking it takes about a millisecond."""
PIECE_WEIGHT: Final = 500_000
"""Characters of the rejected rows in one piece; the row that reaches it is the piece's last."""
CELL_WEIGHT: Final = 16
"""Characters that a cell counts for beside its own: unpacking a cell takes as long as so many of them."""
CONTACT_HEADER: Final = ("contact",)
"""What a list that came as JSON has in place of a header: its rejected rows are its contacts' JSON."""

Form = Literal["file", "json", "ndjson"]
Purpose = Literal["taking", "preview"]
"""Whether its contacts are to be called, or only counted."""


class Submitted(Struct, frozen=True):
    """A list as it came through a door."""

    form: Form
    name: str
    """The file's name, or what the list is to be called."""
    data: bytes
    rules: Rules
    purpose: Purpose = "taking"
    sheet: str = ""
    """Which sheet of a workbook; empty for the first."""
    rows_before: int = 0
    """Lines of the stream that came before these."""


class Piece(Struct, frozen=True, tag="piece", gc=False):
    """Some rows of a list, up to `PIECE_ROWS`."""

    drafts: Drafts
    """Rows that were taken."""
    rejected: list[RejectedRow]


class JudgedLines(Struct, frozen=True, gc=False):
    """What became of some lines of a stream."""

    drafts: list[Drafts]
    """As pieces have them."""
    numbers: bytes
    """Of each draft the digits of the number that is called first, eight bytes."""
    rejected: list[RejectedRow]
    errors: list[RowError]
    warnings: list[RowError]


class OutlineTold(Struct, frozen=True):
    """What `engine.intake.outline` counted."""

    numbers: int
    countries: dict[str, int]
    """Numbers by region, the most frequent first."""
    starts: tuple[tuple[float, int], ...]
    """(moment, contacts that start then), rising."""
    latest_at: float | None
    shapes: tuple[tuple[int, str, int], ...] = ()
    """(numbers, one that is like the first, contacts of which that is so)."""


class Verdict(Struct, frozen=True, tag="verdict"):
    """What became of a list: the last that is told of it."""

    name: str
    """As its sender called it; may be empty."""
    header: tuple[str, ...]
    """The titles above the cells of its rejected rows."""
    report: Report
    earliest_at: float | None
    """The first start time among the drafts, seconds since the epoch; None without drafts."""
    outline: OutlineTold | None = None
    """Of a preview."""
    content_sha256: bytes | None = None
    """Of a file; None for a body, which a program sends that has an Idempotency-Key for it."""


class Refusal(Struct, frozen=True, tag="refused"):
    """A `Refused` on its way out of the worker; the last that is told of its list."""

    code: str
    detail: str
    errors: tuple[RowError, ...]

    def as_raised(self) -> Refused:
        """The exception."""
        return Refused(self.code, self.detail, self.errors)


_SUBMITTED: Final = msgspec.msgpack.Decoder(Submitted)
_FOUND: Final[msgspec.msgpack.Decoder[Piece | Verdict | Refusal]] = msgspec.msgpack.Decoder(
    Piece | Verdict | Refusal
)
_LINES: Final = msgspec.msgpack.Decoder(JudgedLines)
_PACK: Final = msgspec.msgpack.Encoder()


def validate(submitted: bytes) -> Iterator[bytes]:
    """Judge a list. Takes what `pack_submitted` gives, and gives what `read_found` takes: pieces and, in the
    end, the verdict or why the list is refused as a whole."""
    job = _SUBMITTED.decode(submitted)
    del submitted
    try:
        for found in _validate(job):
            yield _PACK.encode(found)
    except Refused as refused:
        yield _PACK.encode(Refusal(refused.code, refused.detail, refused.errors))


def judge_lines(submitted: bytes) -> bytes:
    """Judge some lines of NDJSON. Takes what `pack_submitted` gives, gives what `read_lines` takes."""
    job = _SUBMITTED.decode(submitted)
    reader = RowReader(job.rules, bodies.VARIABLE_PREFIX)
    default = reader.place_default(None)
    drafts: list[Draft] = []
    rejected: list[RejectedRow] = []
    errors: list[RowError] = []
    lines = [(number + job.rows_before, line) for number, line in split_lines(job.data)]
    for found in _judge_contacts(job.rules, reader, default, lines):
        if isinstance(found, list):
            drafts += found
            continue
        place, candidate = found
        judged = candidate if isinstance(candidate, list) else reader.read(candidate, default)
        if isinstance(judged, list):
            errors += judged
            rejected.append(make_rejected(judged, (show_contact(lines[place][1]),)))
        else:
            drafts.append(judged)
    numbers = array("Q", [int(draft.tel[0]) for draft in drafts]).tobytes()
    told = errors[:REPORT_ERRORS_MAX]
    packed = pack_pieces(drafts)
    return _PACK.encode(JudgedLines(packed, numbers, rejected, told, reader.warnings))


def pack_pieces(drafts: Sequence[Draft]) -> list[Drafts]:
    """Drafts as so many pieces have them."""
    starts = range(0, len(drafts), PIECE_ROWS)
    return [pack_drafts(drafts[start : start + PIECE_ROWS]) for start in starts]


def _judge_contacts(
    rules: Rules,
    reader: RowReader,
    default: float,
    contacts: Sequence[tuple[int, bytes | msgspec.Raw]],
) -> Iterator[list[Draft] | tuple[int, Candidate | list[RowError]]]:
    """Some contacts of a body that follow one another: drafts of plain ones, and all others by their place
    as what `read_contact` gives."""
    if not contacts:
        return
    names = tuple(rules.variables)
    layout, rows = read_plain([contact for _, contact in contacts], names)
    if contacts[-1][0] - contacts[0][0] != len(contacts) - 1 or not layout.tels:
        found: Iterable[list[Draft] | int] = range(len(contacts))
    else:
        found = PlainReader(reader, layout, default).read(contacts[0][0], rows)
    for one in found:
        if isinstance(one, list):
            yield one
        else:
            yield one, read_contact(*contacts[one], names)


def read_lines(found: bytes) -> JudgedLines:
    """What `judge_lines` found."""
    return _LINES.decode(found)


def make_rejected(errors: Sequence[RowError], cells: tuple[str, ...]) -> RejectedRow:
    """A row that was not taken, with everything that is wrong with it."""
    first = errors[0]
    detail = " ".join(error.detail for error in errors)
    return RejectedRow(first.row, first.column, first.code, detail, cells)


def pack_submitted(submitted: Submitted) -> bytes:
    """The argument of `validate`."""
    return _PACK.encode(submitted)


def read_found(found: bytes) -> Piece | Verdict | Refusal:
    """What `validate` has to tell."""
    return _FOUND.decode(found)


def _too_many_rows() -> Refused:
    return Refused("too_many_contacts", f"A list has at most {ROWS_MAX} rows; split it.")


class _Tally:
    """Counts the rows and what became of them, and keeps those that have not been told yet."""

    def __init__(self, reader: RowReader, purpose: Purpose) -> None:
        self._reader = reader
        self._outline = Outline() if purpose == "preview" else None
        self._rows = 0
        self._accepted = 0
        self._earliest_at: float | None = None
        self._drafts: list[Draft] = []
        self._rejected: list[RejectedRow] = []
        self._rejected_weight = 0
        self._errors: list[RowError] = []
        self.warnings: list[RowError] = []

    def judge(self, row: Candidate | list[RowError], default_starttime: float) -> list[RowError]:
        """Take a row, or say why not, for `reject`. Raises `Refused("too_many_contacts")`."""
        self._rows += 1
        if self._rows > ROWS_MAX:
            raise _too_many_rows()
        found = row if isinstance(row, list) else self._reader.read(row, default_starttime)
        if isinstance(found, list):
            return found
        self._accepted += 1
        self._drafts.append(found)
        if self._outline is not None:
            self._outline.note(found)
        if self._earliest_at is None or found.starttime < self._earliest_at:
            self._earliest_at = found.starttime
        return []

    def take(self, drafts: Sequence[Draft]) -> None:
        """Take rows that were judged elsewhere. Raises as `judge`."""
        self._rows += len(drafts)
        if self._rows > ROWS_MAX:
            raise _too_many_rows()
        self._accepted += len(drafts)
        self._drafts += drafts
        if self._outline is not None:
            for draft in drafts:
                self._outline.note(draft)
        earliest_at = min(draft.starttime for draft in drafts)
        if self._earliest_at is None or earliest_at < self._earliest_at:
            self._earliest_at = earliest_at

    def reject(self, errors: Sequence[RowError], cells: tuple[str, ...]) -> None:
        """Keep a row that was not taken."""
        self.note(errors)
        self._rejected.append(make_rejected(errors, cells))
        self._rejected_weight += sum(map(len, cells)) + CELL_WEIGHT * len(cells)

    def note(self, errors: Iterable[RowError]) -> None:
        """Keep errors for the report, as long as it has room."""
        self._errors.extend(errors)
        del self._errors[REPORT_ERRORS_MAX:]

    @property
    def room(self) -> int:
        """Rows that the next piece still has room for; one at the least."""
        return max(1, PIECE_ROWS - len(self._drafts) - len(self._rejected))

    @property
    def is_full(self) -> bool:
        """Whether it is time for `take_piece`."""
        return (
            len(self._drafts) + len(self._rejected) >= PIECE_ROWS
            or self._rejected_weight > PIECE_WEIGHT
        )

    def take_piece(self) -> Iterator[Piece]:
        """What came since the last piece, if anything did."""
        if self._drafts or self._rejected:
            yield Piece(pack_drafts(self._drafts), self._rejected)
            self._drafts, self._rejected, self._rejected_weight = [], [], 0

    def close(self, name: str, header: tuple[str, ...]) -> Verdict:
        """What became of the list. Raises `Refused("no_rows")`."""
        if not self._rows:
            detail = "The list has no contacts."
            if any(one.code == "example_row" for one in self.warnings):
                detail += " The template's example row is passed over: put a number into `tel1`."
            raise Refused("no_rows", detail)
        warnings = (*self.warnings, *self._reader.warnings)[:REPORT_ERRORS_MAX]
        rejected = self._rows - self._accepted
        report = Report(self._rows, self._accepted, rejected, tuple(self._errors), warnings)
        return Verdict(name, header, report, self._earliest_at, self._tell_outline())

    def _tell_outline(self) -> OutlineTold | None:
        seen = self._outline
        if seen is None:
            return None
        countries = dict(sorted(seen.regions.items(), key=lambda one: (-one[1], one[0])))
        return OutlineTold(seen.numbers, countries, seen.starts, seen.latest_at, seen.shapes)


def _validate(job: Submitted) -> Iterator[Piece | Verdict]:
    match job.form:
        case "file":
            return _validate_file(job)
        case "json":
            return _validate_json(job)
        case "ndjson":
            return _validate_ndjson(job)


def _validate_json(job: Submitted) -> Iterator[Piece | Verdict]:
    request = read_multicast(job.data)
    starttime = None
    if request.starttime is not None:
        starttime = read_starttime(request.starttime, ZoneInfo(job.rules.timezone))
        if starttime is None:
            detail = "`starttime` is not a time as ISO 8601 writes it."
            mistake = RowError(0, "starttime", "invalid_starttime", detail)
            raise Refused("invalid_starttime", detail, [mistake])
    contacts = enumerate(request.contacts, start=1)
    return _validate_contacts(job, request.name or job.name, starttime, contacts)


def _validate_ndjson(job: Submitted) -> Iterator[Piece | Verdict]:
    return _validate_contacts(job, job.name, None, split_lines(job.data))


def _validate_contacts(
    job: Submitted,
    name: str,
    starttime: float | None,
    contacts: Iterator[tuple[int, bytes | msgspec.Raw]],
) -> Iterator[Piece | Verdict]:
    reader = RowReader(job.rules, bodies.VARIABLE_PREFIX)
    tally = _Tally(reader, job.purpose)
    default = reader.place_default(starttime)
    while some := list(islice(contacts, tally.room)):
        for found in _judge_contacts(job.rules, reader, default, some):
            if isinstance(found, list):
                tally.take(found)
                continue
            place, candidate = found
            errors = tally.judge(candidate, default)
            if errors:
                tally.reject(errors, (show_contact(some[place][1]),))
            if tally.is_full:
                yield from tally.take_piece()
        if tally.is_full:
            yield from tally.take_piece()
    yield from tally.take_piece()
    yield tally.close(name, CONTACT_HEADER)


def show_contact(contact: bytes | msgspec.Raw) -> str:
    """A contact as it came, to be given back."""
    return bytes(contact)[:RECORD_CHARS_MAX].decode("utf-8", "replace").strip()


def _validate_file(job: Submitted) -> Iterator[Piece | Verdict]:
    tables, notes = open_tables(job.name, job.data, job.sheet)
    header, places = merge_headers([table.header for table in tables])
    reader = RowReader(job.rules, columns.VARIABLE_PREFIX)
    tally = _Tally(reader, job.purpose)
    tally.warnings += notes
    rows = 0
    for table, own_places in zip(tables, places, strict=True):
        label = table.name if len(tables) > 1 else ""
        table_reader = TableReader(table, job.rules, rows, label)
        tally.note(table_reader.notes)
        default = reader.place_default(table_reader.starttime)
        plain = PlainReader(reader, table_reader.layout, default)
        for found in _read_rows(table_reader, plain, tally):
            if isinstance(found, tuple):
                candidate, cells = found
                errors = tally.judge(candidate, default)
                if errors:
                    tally.reject(table_reader.locate(errors), _place(cells, own_places))
            else:
                tally.take(found)
                table_reader.rows = found[-1].row
            if tally.is_full:
                yield from tally.take_piece()
        tally.warnings += table_reader.warnings
        rows = table_reader.rows
    yield from tally.take_piece()
    verdict = tally.close(job.name, header)
    yield structs.replace(verdict, content_sha256=sha256(job.data).digest())


def _read_rows(
    table: TableReader, plain: PlainReader, tally: _Tally
) -> Iterator[tuple[Candidate | list[RowError], list[str]] | list[Draft]]:
    """The rows of a table that are not passed over: plain ones as drafts, all others as `TableReader.read`
    gives them."""
    others = table.read()
    while True:
        first, rows = table.take_plain(tally.room)
        for found in plain.read(first, rows) if rows else ():
            if not isinstance(found, int):
                yield found
            elif (looked_at := table.look(first + found, rows[found])) is not None:
                yield looked_at
        if not rows:
            other = next(others, None)
            if other is None:
                return
            yield other


def _place(cells: list[str], places: list[int]) -> tuple[str, ...]:
    """The cells of one table under the header of all; what is beyond its own header comes last."""
    inside, beyond = cells[: len(places)], cells[len(places) :]
    if places[: len(inside)] == list(range(len(inside))):
        return tuple(cells)
    placed = [""] * (max(places) + 1)
    for place, cell in zip(places, inside, strict=False):
        placed[place] = cell
    return (*placed, *beyond)
