"""What follows the question mark of an address, read strictly: what is not understood is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from api.http.problem import Problem
from engine.intake.do_not_call_file import ANYWHERE
from engine.intake.numbers import NumberProblem, read_number
from engine.model import PRIORITIES, Priority
from engine.ports.stored import PAGE_MAX

LIMIT_DEFAULT: Final = 100
"""Items of a page, unless asked otherwise."""
CURSOR_LENGTH_MAX: Final = 500
NAME_SHOWN_MAX: Final = 60
SEQ_MAX: Final = 2**63 - 1

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class Parameters(Struct, frozen=True):
    """The parameters of one request. Each method raises the problem `invalid_parameter`."""

    values: Mapping[str, str]

    def require_known(self, names: Sequence[str]) -> None:
        """Every parameter is one of these: whoever wrote `dry-run` must not find a list dialled."""
        for name in self.values:
            if name not in names:
                known = ", ".join(f"`{one}`" for one in names) or "none"
                detail = (
                    f"There is no parameter `{name[:NAME_SHOWN_MAX]}` here; there are: {known}."
                )
                raise Problem("invalid_parameter", detail)

    def read_text(self, name: str) -> str | None:
        """A text, or None where there is none."""
        return self.values.get(name) or None

    def read_number(self, name: str) -> str | None:
        """A number in E.164, or None where there is none."""
        text = self.read_text(name)
        if text is None:
            return None
        number = read_number(text, ANYWHERE)
        if isinstance(number, NumberProblem):
            raise Problem("invalid_parameter", f"`{name}`: {number.detail}")
        return number

    def read_flag(self, name: str) -> bool:
        """`true` or `false`; false where there is none."""
        text = self.values.get(name, "false").lower()
        if text not in _FLAGS:
            raise _wrong(name, "is `true` or `false`")
        return _FLAGS[text]

    def read_priority(self) -> Priority | None:
        """One of `PRIORITIES`, or None where there is none."""
        text = self.read_text("priority")
        if text is None:
            return None
        for priority in PRIORITIES:
            if text == priority:
                return priority
        raise _wrong("priority", f"is one of {' '.join(PRIORITIES)}")

    def read_words(self, name: str, known: Sequence[str]) -> list[str] | None:
        """Words with commas between them, or None where there are none."""
        text = self.read_text(name)
        if text is None:
            return None
        words = [word.strip() for word in text.split(",")]
        for word in words:
            if word not in known:
                raise _wrong(name, f"is one or more of {' '.join(known)}, with commas between them")
        return words

    def read_page(self) -> tuple[int, str | None]:
        """`limit` and `cursor`. A limit beyond `PAGE_MAX` is cut to that."""
        limit = self._read_integer("limit", 1, SEQ_MAX)
        cursor = self.read_text("cursor")
        if cursor is not None and len(cursor) > CURSOR_LENGTH_MAX:
            raise _wrong("cursor", "is what an earlier answer gave as `next`")
        return min(limit or LIMIT_DEFAULT, PAGE_MAX), cursor

    def read_seq(self, name: str) -> int | None:
        """The number of an event, or None where there is none."""
        return self._read_integer(name, 0, SEQ_MAX)

    def read_time(self, name: str) -> float | None:
        """A moment in seconds since the epoch, or None where there is none."""
        text = self.read_text(name)
        if text is None:
            return None
        try:
            # A `+` that was not escaped in the address comes as a blank.
            moment = datetime.fromisoformat(text.replace(" ", "+"))
            at = moment.timestamp() if moment.tzinfo else None
        except (ValueError, OverflowError):
            at = None
        if at is None:
            raise _wrong(name, "is a time with its offset, as 2026-01-31T09:00:00+05:30")
        return at

    def _read_integer(self, name: str, least: int, most: int) -> int | None:
        text = self.read_text(name)
        if text is None:
            return None
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not is_number or not least <= int(text) <= most:
            raise _wrong(name, f"is a whole number from {least}")
        return int(text)


def _wrong(name: str, rule: str) -> Problem:
    return Problem("invalid_parameter", f"`{name}` {rule}.")
