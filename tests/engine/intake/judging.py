"""A list through the function that the workers run, put together again."""

from __future__ import annotations

from msgspec import Struct

from engine.drafts import Draft
from engine.intake.rows import Rules
from engine.intake.validation import (
    Form,
    Piece,
    Purpose,
    Refusal,
    Submitted,
    Verdict,
    pack_submitted,
    read_found,
    validate,
)
from engine.model import RejectedRow


class Judged(Struct, frozen=True):
    """What became of a list."""

    verdict: Verdict
    pieces: list[Piece]

    @property
    def drafts(self) -> list[Draft]:
        return [draft for piece in self.pieces for draft in piece.drafts.unpack()]

    @property
    def rejected(self) -> list[RejectedRow]:
        return [row for piece in self.pieces for row in piece.rejected]


def judge(
    form: Form, data: bytes | str, name: str, rules: Rules, purpose: Purpose = "taking"
) -> Judged:
    """Raises the `Refused` that the list met."""
    raw = data.encode() if isinstance(data, str) else data
    job = pack_submitted(Submitted(form, name, raw, rules, purpose))
    *told, last = [read_found(found) for found in validate(job)]
    if isinstance(last, Refusal):
        raise last.as_raised()
    assert isinstance(last, Verdict)
    return Judged(last, [piece for piece in told if isinstance(piece, Piece)])
