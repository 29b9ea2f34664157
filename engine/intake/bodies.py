"""JSON bodies and NDJSON → candidates. One bad contact costs itself only, like one bad row of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from engine.intake.columns import TEL_COLUMNS
from engine.intake.plain import Layout
from engine.intake.refused import Refused
from engine.intake.rows import Candidate
from engine.model import TELS_MAX, Priority, RowError

BODY_BYTES_MAX: Final = 20_000_000
"""A JSON or NDJSON body, about 100,000 contacts with some variables each."""
VARIABLE_PREFIX: Final = "variables."
"""What errors write before the name of a variable."""
WHOLE_BODY: Final = 0
"""The row of a mistake in a body that cannot be read at all. An unknown column is then a field of the body,
whatever it is called."""

T = TypeVar("T")
Tel = str | int
Value = str | int | float | bool | None


class ContactRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """One contact of a body, and one line of NDJSON."""

    tel: Tel | list[Tel]
    """One number, or up to ten in the order of trying."""
    variables: dict[str, Value] = field(default_factory=dict)
    starttime: str | None = None
    """ISO 8601; without an offset it is in the flow's time zone."""
    reference: Tel | None = None


class MulticastRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A call list as one JSON body."""

    contacts: list[Raw]
    """Each is a `ContactRequest`, read by itself."""
    name: str = ""
    starttime: str | None = None
    """Of the contacts that have none."""


class CallRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A single call."""

    to: Tel | list[Tel]
    variables: dict[str, Value] = field(default_factory=dict)
    starttime: str | None = None
    reference: Tel | None = None
    agent: Tel | None = None
    """Who is to talk with the callee."""
    priority: Priority | None = None
    """Before whom it goes; None is the class of the flow, and the next better one."""


_CONTACT: Final = msgspec.json.Decoder(ContactRequest)
_MULTICAST: Final = msgspec.json.Decoder(MulticastRequest)
_CALL: Final = msgspec.json.Decoder(CallRequest)
_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_CODES: Final = {
    "tel": "invalid_number",
    "to": "invalid_number",
    "agent": "invalid_number",
    "starttime": "invalid_starttime",
    "priority": "invalid_priority",
}
"""Of fields that hold something else than they should, by field."""
_AT: Final = re.compile(r"^(?P<text>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)


def read_multicast(body: bytes) -> MulticastRequest:
    """Raises `Refused`: `body_too_large`, `invalid_json`, `invalid_body`."""
    _check_size(body)
    return _decode(_MULTICAST, body)


def read_call(body: bytes) -> CallRequest:
    """Raises `Refused`: `body_too_large`, `invalid_json`, `invalid_body`, `unknown_column`."""
    _check_size(body)
    return _decode(_CALL, body)


def split_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of NDJSON with their numbers from 1; blank ones count but do not come."""
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line and not line.isspace():
            yield number, line


def read_contact(
    row: int, contact: bytes | Raw, variables: Sequence[str]
) -> Candidate | list[RowError]:
    """The candidate, or what keeps it from being one.

    Args:
        row: its place in the list, from 1.
        contact: its JSON.
        variables: the names that the flow declares.
    """
    try:
        request = _CONTACT.decode(contact)
    except msgspec.ValidationError as error:
        return [_explain(row, str(error))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Which of them stands for octets that are no text differs from one release of msgspec to the next.
        if not _is_utf8(bytes(contact)):
            return [RowError(row, None, "invalid_encoding", "The contact is not UTF-8.")]
        return [RowError(row, None, "invalid_json", "The contact is not JSON.")]
    tels = _as_list(request.tel)
    errors = _find_errors(row, tels, request.variables, variables)
    return errors or _make_candidate(row, list(zip(TEL_COLUMNS, tels, strict=False)), request)


def read_plain(
    contacts: Sequence[bytes | Raw], variables: Sequence[str]
) -> tuple[Layout, list[list[str]]]:
    """The contacts of a body as rows of a table, for `PlainReader`; those that are none are empty.

    Args:
        contacts: the JSON of each.
        variables: the names that the flow declares.
    """
    requests = [_read_request(contact) for contact in contacts]
    tels = [_tels_of(request) for request in requests]
    width = max(map(len, tels), default=0)
    if width > TELS_MAX:
        tels = [some if len(some) <= TELS_MAX else [] for some in tels]
        width = TELS_MAX
    known = frozenset(variables)
    rows = [
        _as_row(request, some, width, variables)
        if some and request is not None and request.variables.keys() <= known
        else []
        for request, some in zip(requests, tels, strict=True)
    ]
    places = {name: width + place for place, name in enumerate(variables)}
    end = width + len(variables)
    return Layout(end + 2, tuple(range(width)), places, end, end + 1), rows


def _read_request(contact: bytes | Raw) -> ContactRequest | None:
    try:
        return _CONTACT.decode(contact)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _tels_of(request: ContactRequest | None) -> list[Tel]:
    if request is None:
        return []
    return _as_list(request.tel)


def _as_row(
    request: ContactRequest, tels: list[Tel], width: int, variables: Sequence[str]
) -> list[str]:
    values = request.variables
    reference = request.reference
    return [
        *[tel if isinstance(tel, str) else str(tel) for tel in tels],
        *[""] * (width - len(tels)),
        *[_write_some(values.get(name)) for name in variables],
        request.starttime or "",
        "" if reference is None else str(reference),
    ]


def _write_some(value: Value) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _write(value)


def make_call_candidate(
    request: CallRequest, variables: Sequence[str]
) -> Candidate | list[RowError]:
    """As `read_contact`, of a single call. Its number is the column `to`; several are `to[0]`, `to[1]` …"""
    errors = _find_errors(1, _as_list(request.to), request.variables, variables)
    if not isinstance(request.to, list):
        numbers = [("to", request.to)]
    elif request.to:
        numbers = [(f"to[{place}]", tel) for place, tel in enumerate(request.to)]
    else:
        numbers = [("to", "")]
    return errors or _make_candidate(1, numbers, request)


def _as_list(tels: Tel | list[Tel]) -> list[Tel]:
    return tels if isinstance(tels, list) else [tels]


def _make_candidate(
    row: int, tels: list[tuple[str, Tel]], request: ContactRequest | CallRequest
) -> Candidate:
    return Candidate(
        row,
        [(column, str(tel)) for column, tel in tels],
        {name: _write(value) for name, value in request.variables.items() if value is not None},
        request.starttime or "",
        "" if request.reference is None else str(request.reference),
    )


def _find_errors(
    row: int, tels: Sequence[Tel], values: dict[str, Value], variables: Sequence[str]
) -> list[RowError]:
    """What no cell of a file can have: too many numbers, a variable that is not there."""
    errors = []
    if len(tels) > TELS_MAX:
        detail = f"A contact has at most {TELS_MAX} numbers."
        errors.append(RowError(row, None, "too_many_columns", detail))
    for name in values:
        if name not in variables:
            detail = f"The flow has no variable {name!r}."
            errors.append(RowError(row, f"{VARIABLE_PREFIX}{name}", "unknown_column", detail))
    return errors


def _write(value: Value) -> str:
    """A value as JSON writes it, so that 12, 12.5 and true read the same through every door."""
    if isinstance(value, bool | float):
        return msgspec.json.encode(value).decode()
    return str(value)


def _explain(row: int, message: str) -> RowError:
    """A message of msgspec as the error of one column."""
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown is not None:
        detail = "There is no such field."
        return RowError(row, unknown["name"], "unknown_column", detail)
    at = _AT.match(message)
    text, path = (at["text"], at["path"] or None) if at else (message, None)
    if text == "Object missing required field `tel`":
        return RowError(row, "tel1", "missing_tel", "The row has no number to call first.")
    code = _CODES.get((path or "").partition("[")[0], "invalid_contact")
    return RowError(row, path, code, f"{text}.")


def _check_size(body: bytes) -> None:
    if len(body) > BODY_BYTES_MAX:
        size = f"{BODY_BYTES_MAX // 1_000_000} MB"
        raise Refused("body_too_large", f"The body is larger than {size}; send it in parts.")


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        problem = _explain(WHOLE_BODY, str(error))
        detail = problem.detail if problem.column is None else f"{problem.column}: {problem.detail}"
        raise Refused("invalid_body", detail, [problem]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("invalid_json", f"The body is not JSON: {error}.") from None
