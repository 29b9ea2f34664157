"""Errors as the API tells them: application/problem+json (RFC 9457) with a stable code.

`KINDS` is the one table of all codes. Whoever raises an error below this layer chooses the code; the
status and the title are looked up here.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from engine.form import Invalid, escape
from engine.intake.bodies import VARIABLE_PREFIX, WHOLE_BODY
from engine.intake.refused import Refused
from engine.model import RowError
from engine.ports.prompts import PromptRefused
from engine.ports.stored import Conflict, DuplicateList, StoreUnavailable
from engine.ports.workers import WorkerFailed

log = structlog.get_logger()

PROBLEM_TYPE: Final = "application/problem+json"
TRACEBACK_CHARACTERS_MAX: Final = 20_000
"""Of a traceback in the log: an endless recursion would otherwise fill it."""


class Kind(Struct, frozen=True):
    """What every error of one code has in common."""

    status: int
    """Of HTTP (RFC 9110 §15)."""
    title: str
    """The same words each time."""


KINDS: Final[dict[str, Kind]] = {
    # The request cannot be read.
    "invalid_json": Kind(400, "The body is not JSON"),
    "invalid_cursor": Kind(400, "The cursor is not one that an answer gave"),
    "invalid_parameter": Kind(400, "A parameter of the address or a header is wrong"),
    "bad_request": Kind(400, "The request cannot be understood"),
    "body_timeout": Kind(408, "The body took too long"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "This content type is not taken here"),
    # Who asks.
    "unauthenticated": Kind(401, "A valid key is needed"),
    "forbidden": Kind(403, "This key may not do that"),
    "origin_not_allowed": Kind(403, "Pages of this origin may not read the feed"),
    # What is asked for.
    "not_found": Kind(404, "There is no such thing"),
    "recording_not_kept": Kind(404, "The sound of this recording is not kept"),
    "trace_not_kept": Kind(404, "The messages of this call are not kept"),
    "method_not_allowed": Kind(405, "This address does not take that method"),
    # It contradicts what is there.
    "account_exists": Kind(409, "An account of this name exists"),
    "key_ended": Kind(409, "The key is not good any more"),
    "too_many_keys": Kind(409, "The account has as many keys as it can have"),
    "did_exists": Kind(409, "This number exists"),
    "too_many_prefixes": Kind(409, "The do-not-call list has too many ranges"),
    "flow_in_use": Kind(409, "The flow still has contacts to call"),
    "kind_fixed": Kind(409, "A flow's kind cannot change"),
    "did_attached": Kind(409, "A flow calls from this number"),
    "wrong_number_series": Kind(409, "The rule of a country forbids to call from this number"),
    "no_door": Kind(409, "The flow picks no lists up there"),
    "already_active": Kind(409, "The flow's listener is active already"),
    "activation_decided": Kind(409, "The request was decided already"),
    "activation_pending": Kind(409, "Another request for the flow is pending"),
    "too_many_activations": Kind(409, "Too many requests of the account are pending"),
    "activation_expired": Kind(409, "The request is too old"),
    "dids_changed": Kind(409, "The account has not all of these numbers any more"),
    "no_dids": Kind(409, "The flow has no number to call from"),
    "duplicate_list": Kind(409, "The same file came in already"),
    "listener_inactive": Kind(409, "The flow's listener is not active"),
    "flow_deleted": Kind(409, "The flow was deleted"),
    "list_finished": Kind(409, "The list is finished"),
    "list_standing": Kind(409, "The flow's list of single calls cannot be changed as a whole"),
    "contact_finished": Kind(409, "The contact is finished"),
    "contact_dialing": Kind(409, "The contact is being called"),
    "agent_exists": Kind(409, "The flow has an agent with this number"),
    "too_many_agents": Kind(409, "The flow has as many agents as it can have"),
    "agent_busy": Kind(409, "The agent has a customer"),
    "agent_unreached": Kind(409, "The agent's telephone was not answered"),
    "agent_not_available": Kind(409, "The agent is not available"),
    "agent_not_talking": Kind(409, "The agent talks with nobody"),
    "another_contact": Kind(409, "The agent talks with another contact"),
    "no_preview": Kind(409, "The agent does not look at this contact"),
    "not_preview": Kind(409, "Agents do not choose their contacts in this flow"),
    "idempotency_mismatch": Kind(409, "This Idempotency-Key was used for another request"),
    # What was sent is wrong.
    "invalid_body": Kind(422, "The body is not as it should be"),
    "unknown_account": Kind(422, "There is no such account"),
    "unknown_did": Kind(422, "The account has no such number to call from"),
    "unknown_flow": Kind(422, "The account has no such flow"),
    "agent_not_allowed": Kind(422, "Only a dialer flow has agents for its calls"),
    "missing_file": Kind(422, "The form brings no file"),
    "invalid_number": Kind(422, "This is no telephone number"),
    "number_not_allowed": Kind(422, "This number may not be called"),
    "duplicate_number": Kind(422, "A number is there twice"),
    "invalid_starttime": Kind(422, "The start time cannot be read"),
    "invalid_expiry": Kind(422, "The time of expiry cannot be read, or is past"),
    "starttime_past": Kind(422, "The start time is past"),
    "missing_tel": Kind(422, "A telephone number is missing"),
    "missing_variable": Kind(422, "A variable is missing"),
    "invalid_variable": Kind(422, "A variable's value is not of its type"),
    "value_too_long": Kind(422, "A value is too long"),
    "invalid_contact": Kind(422, "A contact is not as it should be"),
    "unknown_column": Kind(422, "A column is not known"),
    "too_many_columns": Kind(422, "There are too many columns"),
    "too_many_contacts": Kind(422, "There are too many contacts"),
    "invalid_encoding": Kind(422, "The text cannot be read"),
    "spreadsheet_damage": Kind(422, "A spreadsheet has damaged a number"),
    "not_csv": Kind(422, "The file is no call list"),
    "unreadable": Kind(422, "The file cannot be read"),
    "bad_zip": Kind(422, "The archive cannot be read"),
    "bad_xlsx": Kind(422, "The workbook cannot be read"),
    "unknown_sheet": Kind(422, "The workbook has no such sheet"),
    "no_rows": Kind(422, "There is nobody to call"),
    "file_too_large": Kind(413, "The file is too large"),
    "sender_not_allowed": Kind(403, "This sender's lists are not taken"),
    "bad_id": Kind(422, "This cannot be an id"),
    "empty": Kind(422, "The file is empty"),
    "not_audio": Kind(422, "The file is no recording that can be read"),
    "too_big": Kind(413, "The recording is too large"),
    "too_long": Kind(422, "The recording is too long"),
    "rate_limited": Kind(429, "Too many requests come"),
    "precondition_failed": Kind(412, "It was changed meanwhile"),
    # We cannot, at the moment.
    "internal": Kind(500, "Something is wrong on our side"),
    "store_unavailable": Kind(503, "Nothing can be stored at the moment"),
    "forecast_busy": Kind(429, "As many forecasts as may be are being made already"),
    "busy": Kind(503, "There is too much to do at the moment"),
    "not_ready": Kind(503, "No call can be made at the moment"),
}

UNLISTED: Final = Kind(422, "That cannot be done")
"""Of a code that is missing above: still the caller's to correct, and never a 500."""

BY_STATUS: Final[dict[int, str]] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
}
"""The code for what the framework itself refuses."""


_NUMBER: Final = re.compile(r"to\[(\d+)\]")
_SOME_VARIABLE: Final = "variables[...]"
"""So msgspec names any value of an object."""


class Fault(Struct, frozen=True, omit_defaults=True):
    """One mistake in what was sent: where it is, and what is wrong with it."""

    code: str
    detail: str
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the body."""
    row: int | None = None
    """Counted from 1, below the header."""
    column: str | None = None


class ProblemBody(Struct, frozen=True):
    """What a client gets to see of an error."""

    type: str
    """A page that explains the code."""
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[Fault, ...] | msgspec.UnsetType = msgspec.UNSET
    list: str | msgspec.UnsetType = msgspec.UNSET
    """The list that stands in the way, by its id."""


class Problem(Exception):
    """A request ends with this error. Raised by handlers, and made from what the engine raises."""

    def __init__(
        self,
        code: str,
        detail: str,
        errors: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
        call_list: str | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.call_list = call_list

    @property
    def kind(self) -> Kind:
        """The status and title of its code."""
        return KINDS.get(self.code, UNLISTED)

    def encode(self, public_url: str) -> bytes:
        """The JSON body."""
        return msgspec.json.encode(
            ProblemBody(
                type=f"{public_url}/docs/errors/{self.code}",
                title=self.kind.title,
                status=self.kind.status,
                code=self.code,
                detail=self.detail,
                errors=self.errors or msgspec.UNSET,
                list=self.call_list or msgspec.UNSET,
            )
        )


def not_found(noun: str, name: str) -> Problem:
    """The account has no such thing; whether another account has it makes no difference."""
    return Problem("not_found", f"There is no {noun} {name!r}.")


def fault_of(error: Any) -> Fault:
    """One mistake of the engine's, which has a place in a body or in a file."""
    if isinstance(error, RowError):
        return Fault(error.code, error.detail, row=error.row, column=error.column)
    return Fault(error.code, error.detail, pointer=error.pointer)


def point_at_body(error: Refused) -> Problem:
    """The problem for a single call that was refused, or a body of contacts as a whole: it is one object, so
    that a mistake has a pointer and no row."""
    faults = [Fault(each.code, each.detail, _pointer_to(each)) for each in error.errors]
    return Problem(error.code, error.detail, faults)


def _pointer_to(error: RowError) -> str:
    """The column of a body (`to`, `to[1]`, `variables.NAME`) as a JSON pointer; the whole body's is empty."""
    column = error.column
    if column is not None and (error.row, error.code) == (WHOLE_BODY, "unknown_column"):
        return f"/{escape(column)}"  # a caller may have named a field as if it were a place
    if not column:
        return ""
    if column.startswith(VARIABLE_PREFIX):
        # A caller may have written anything for a name.
        return f"/variables/{escape(column.removeprefix(VARIABLE_PREFIX))}"
    if column == _SOME_VARIABLE:
        return "/variables"
    number = _NUMBER.fullmatch(column)
    return f"/to/{number[1]}" if number else f"/{escape(column)}"


def problem_of(
    error: Exception, incident: str, names: Mapping[str, str] = MappingProxyType({})
) -> Problem:
    """The problem for whatever a handler raised.

    What the caller caused keeps its code. All else is ours: it is logged with its traceback, and the
    caller gets `incident`, an opaque word that finds the log entry, and nothing more.

    Args:
        names: what was asked about, for the log: `flow`, `contact` and the like.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreUnavailable):
        log.error("store_unavailable", incident=incident, error=repr(error), **names)
        detail = "Try again in a moment; with an Idempotency-Key nothing is done twice."
        return Problem("store_unavailable", detail, headers={"Retry-After": "5"})
    if isinstance(error, WorkerFailed):
        log.error("worker_failed", incident=incident, error=repr(error), **names)
        detail = "Nothing was taken. Try again in a moment."
        return Problem("busy", detail, headers={"Retry-After": "5"})
    if isinstance(error, Invalid | Refused | Conflict | PromptRefused):
        faults = [fault_of(each) for each in getattr(error, "errors", ())]
        earlier = error.call_list if isinstance(error, DuplicateList) else None
        return Problem(error.code, error.detail, faults, call_list=earlier)
    log.error("request_failed", incident=incident, traceback=_describe(error), **names)
    detail = f"It is written down as {incident}; the operator can look it up."
    return Problem("internal", detail)


def problem_of_status(status: int, detail: str) -> Problem:
    """The problem for a status with which the framework itself refuses a request."""
    code = BY_STATUS.get(status)
    if code is None:
        code = "bad_request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal"
    return Problem(code, detail)


def _describe(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS_MAX:]
