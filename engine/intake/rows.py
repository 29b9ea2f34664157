"""One row of a list, from whichever door → a draft of a contact, or everything that is wrong with it.

A row is taken whole or not at all: one bad cell rejects it, so that nobody is called with half of what
was meant for them.
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.drafts import Draft
from engine.intake.numbers import read_number
from engine.intake.seen import SeenNumbers
from engine.intake.starttime import LATE_S_MAX, read_starttime
from engine.model import REPORT_ERRORS_MAX, RowError
from engine.model.variable import VALUE_LENGTH_MAX, Variable, find_fault

MOMENTS_KEPT: Final = 1_000
"""Start times of a list that are read once only …"""
MOMENT_LENGTH_MAX: Final = 40
"""… where they are as short as such a text should be."""
REFERENCE_LENGTH_MAX: Final = 256
"""Characters of a reference."""


class Rules(Struct, frozen=True):
    """By what a list is judged: its flow, the installation, and the moment."""

    variables: dict[str, Variable]
    """The flow's, by name."""
    timezone: str
    """IANA name; start times without an offset are in it."""
    destinations: tuple[str, ...]
    """Prefixes that may be called; empty refuses every number."""
    now: float
    """Seconds since the epoch."""


class Candidate(Struct, gc=False):
    """A row as it was read, not yet judged. Blank cells are left out or empty.

    Like a draft it can be part of no cycle, and a hundred thousand of them would cost the garbage
    collector pauses of tens of milliseconds: it is told to leave them alone.
    """

    row: int
    """From 1."""
    tels: list[tuple[str, str]]
    """(column, text), in the order of trying."""
    variables: dict[str, str]
    starttime: str = ""
    reference: str = ""


class RowReader:
    """Judges the rows of one list in their order; it remembers the numbers that it took."""

    def __init__(self, rules: Rules, variable_prefix: str) -> None:
        """
        Args:
            rules: by what to judge.
            variable_prefix: what this door writes before the name of a variable, for messages.
        """
        self.rules = rules
        self._zone = ZoneInfo(rules.timezone)
        self._variable_prefix = variable_prefix
        self._variables = [
            (name, variable.type == "text", variable) for name, variable in rules.variables.items()
        ]
        self.seen = SeenNumbers()
        """The numbers that were taken."""
        self._moments: dict[str, float | None] = {}
        self.warnings: list[RowError] = []
        """What was odd about rows that were taken; the first `REPORT_ERRORS_MAX`."""

    def place_default(self, at: float | None) -> float:
        """The start time of rows that have none, from that of their list; a list's time that has just
        passed means now, with one warning for all.

        Args:
            at: seconds since the epoch; None means now.
        """
        if at is None or 0 <= self.rules.now - at <= LATE_S_MAX:
            if at is not None and at < self.rules.now:
                self._warn(RowError(0, "starttime", "starttime_past", "The list starts now."))
            return self.rules.now
        return at

    def read(self, candidate: Candidate, default_starttime: float) -> Draft | list[RowError]:
        """The draft, or every error of the row.

        Args:
            candidate: the row.
            default_starttime: what `place_default` gave.
        """
        errors: list[RowError] = []
        tel = self._read_tels(candidate, errors)
        starttime = self._read_starttime(candidate, default_starttime, errors)
        variables = self._read_variables(candidate, errors)
        reference = candidate.reference.strip()
        if len(reference) > REFERENCE_LENGTH_MAX:
            errors.append(_too_long(candidate.row, "reference", REFERENCE_LENGTH_MAX))
        if errors:
            return errors
        earlier = self.seen.note(tel[0], candidate.row)
        if earlier != candidate.row:
            detail = f"{tel[0]} is called first in row {earlier} already."
            return [RowError(candidate.row, candidate.tels[0][0], "duplicate_number", detail)]
        if starttime < self.rules.now:
            detail = "The start time has passed; it starts now."
            self._warn(RowError(candidate.row, "starttime", "starttime_past", detail))
            starttime = self.rules.now
        return Draft(candidate.row, tuple(tel), variables, starttime, reference or None)

    def _read_tels(self, candidate: Candidate, errors: list[RowError]) -> list[str]:
        tel: list[str] = []
        for place, (column, text) in enumerate(candidate.tels):
            if not text or text.isspace():
                if place == 0:
                    errors.append(_missing_tel(candidate.row, column))
                continue
            number = read_number(text, self.rules.destinations)
            if not isinstance(number, str):
                errors.append(RowError(candidate.row, column, number.code, number.detail))
            elif number not in tel:
                tel.append(number)
        if not candidate.tels:
            errors.append(_missing_tel(candidate.row, "tel1"))
        return tel

    def read_moment(self, text: str) -> float | None:
        """As `read_starttime`. The rows of a list seldom have more than a few start times."""
        if text in self._moments:
            return self._moments[text]
        at = read_starttime(text, self._zone)
        if len(self._moments) < MOMENTS_KEPT and len(text) <= MOMENT_LENGTH_MAX:
            self._moments[text] = at
        return at

    def _read_starttime(
        self, candidate: Candidate, default: float, errors: list[RowError]
    ) -> float:
        text = candidate.starttime.strip()
        if not text:
            at: float | None = default
        else:
            at = self.read_moment(text)
        if at is None:
            detail = f"{text[:40]!r} is not a time as ISO 8601 writes it: 2030-12-31T09:30:00."
            errors.append(RowError(candidate.row, "starttime", "invalid_starttime", detail))
            return self.rules.now
        if at < self.rules.now - LATE_S_MAX:
            detail = "The start time passed more than 24 hours ago."
            errors.append(RowError(candidate.row, "starttime", "starttime_past", detail))
        return at

    def _read_variables(self, candidate: Candidate, errors: list[RowError]) -> dict[str, str]:
        values: dict[str, str] = {}
        for name, is_text, variable in self._variables:
            value = candidate.variables.get(name, "").strip() or variable.default
            if value is not None and (
                (is_text and len(value) <= VALUE_LENGTH_MAX) or find_fault(variable, value) is None
            ):
                values[name] = value
            else:
                errors.append(self._explain_variable(candidate.row, name, variable, value))
        return values

    def _explain_variable(
        self, row: int, name: str, variable: Variable, value: str | None
    ) -> RowError:
        column = f"{self._variable_prefix}{name}"
        if value is None:
            detail = f"The flow needs a value for {name}, and has no default."
            return RowError(row, column, "missing_variable", detail)
        if len(value) > VALUE_LENGTH_MAX:
            return _too_long(row, column, VALUE_LENGTH_MAX)
        fault = find_fault(variable, value)
        assert fault is not None
        return RowError(row, column, "invalid_variable", fault)

    def _warn(self, warning: RowError) -> None:
        if len(self.warnings) < REPORT_ERRORS_MAX:
            self.warnings.append(warning)


def _missing_tel(row: int, column: str) -> RowError:
    return RowError(row, column, "missing_tel", "The row has no number to call first.")


def _too_long(row: int, column: str, length_max: int) -> RowError:
    return RowError(row, column, "value_too_long", f"More than {length_max} characters.")
