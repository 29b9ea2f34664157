"""How a flow asks its user's own system over HTTP."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct


class RequestFailed(Exception):
    """There is no good answer. `code` is stable; `detail` is one sentence for the log. Whether the request
    was carried out is not known."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Question(Struct, frozen=True):
    """One request of a flow."""

    method: str
    url: str
    body: Any = None
    """What is sent as JSON; None sends no body."""
    timeout_s: float = 5.0
    """Within which the whole answer must be there."""
    wants_answer: bool = True
    """Whether the answer must be JSON; if not, it is not read."""
    account: str = ""
    """For whom it is asked: the slow receivers of one account leave room to the others."""


class Requests(Protocol):
    """Asks, and never where it must not: private addresses are refused unless the operator allows them."""

    async def ask(self, question: Question) -> Any:
        """The JSON that came back with a status of 200 to 299; None where no answer is wanted. Raises
        `RequestFailed` for everything else. Nothing is repeated, and no redirect is followed."""
