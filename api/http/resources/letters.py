"""Letters to people: what was sent, what waits, and what was given up."""

from __future__ import annotations

from msgspec import Struct

from api.http.exchange import Answer, Exchange, answer_page
from api.http.views.encoding import show_time
from engine.model.events import rfc3339
from engine.model.letter import Letter, LetterState


class LetterView(Struct, frozen=True):
    """A letter, without what is attached to it."""

    id: str
    to: str
    subject: str
    text: str
    state: LetterState
    tries: int
    """How often a mail server was asked to take it."""
    last: str
    """What it said last, where it did not."""
    created_at: str
    due_at: str | None
    """When it is sent, or sent once more; None once it is done."""
    done_at: str | None


async def list_letters(exchange: Exchange) -> Answer:
    """GET /v1/letters"""
    page = await exchange.store.list_letters(exchange.account.id, *exchange.parameters.read_page())
    return answer_page(page, show_letter)


def show_letter(letter: Letter) -> LetterView:
    """A letter as the API shows it."""
    return LetterView(
        id=letter.id,
        to=letter.to,
        subject=letter.subject,
        text=letter.text,
        state=letter.state,
        tries=letter.tries,
        last=letter.last,
        created_at=rfc3339(letter.created_at),
        due_at=show_time(letter.due_at),
        done_at=show_time(letter.done_at),
    )
