"""The node `request`: a question to the user's own system, and what is kept of its answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog
import trio

from engine.flow.nodes import Request
from engine.flow.talk import VALUE_LENGTH_MAX, Passed, Talk
from engine.flow.variables import render_json, render_url
from engine.ports.requests import Question, RequestFailed

log = structlog.get_logger(__name__)

INDEX_LENGTH_MAX: Final = 6
"""Digits of an array's index in a pointer; no answer holds as many items."""


async def request(talk: Talk, node: Request) -> Passed:
    """Ask, and keep what the node wants of the answer: all of it, or nothing and `on_error`. `done` or
    `failed`.

    A callee who hangs up meanwhile does not stop it: what they pressed before is to reach the user's system.
    """
    question = Question(
        method=node.method,
        url=render_url(node.url, talk.values),
        body=render_json(node.body, talk.values),
        timeout_s=node.timeout_s,
        wants_answer=bool(node.save),
        account=talk.services.account,
    )
    try:
        answer = await _ask(talk, question)
        found = _find_values(node.save, answer)
    except RequestFailed as error:
        log.warning("a request failed", code=error.code, reason=error.detail, **talk.names)
        follower = node.on_error if node.on_error is not None else node.next
        return Passed(follower, "failed", {"code": error.code})
    for name, value in found.items():
        talk.set_value(name, value)
    return Passed(node.next, "done")


async def _ask(talk: Talk, question: Question) -> Any:
    """The answer, and a note of the moment at which the callee hangs up. Raises `RequestFailed`."""
    answers: list[Any] = []
    failed: list[RequestFailed] = []

    async def watch() -> None:
        await talk.call.wait_ended()
        talk.services.note_over()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        try:
            answers.append(await talk.services.requests.ask(question))
        except RequestFailed as error:
            failed.append(error)
        except Exception:
            # A fault of ours is no good answer either: the flow has a way for that.
            log.exception("a request broke off", **talk.names)
            failed.append(RequestFailed("fault", "The request broke off by a fault of ours."))
        nursery.cancel_scope.cancel()
    if failed:
        raise failed[0]
    return answers[0]


def _find_values(save: str | dict[str, str], answer: Any) -> dict[str, str]:
    """Variable → value. Raises `RequestFailed` where the answer lacks one, or one is too long."""
    pointers = {save: ""} if isinstance(save, str) else save
    found = {name: _as_text(find_in(answer, pointer)) for name, pointer in pointers.items() if name}
    for name, value in found.items():
        if value is None:
            raise RequestFailed("value_missing", f"The answer has nothing for {name!r}.")
        if len(value) > VALUE_LENGTH_MAX:
            detail = f"What {name!r} takes is longer than {VALUE_LENGTH_MAX} characters."
            raise RequestFailed("value_too_long", detail)
    return {name: value for name, value in found.items() if value is not None}


def _as_text(value: Any) -> str | None:
    """A text as it is, all else as JSON writes it; None for null and for what is not there."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def find_in(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; None where there is nothing."""
    if not pointer:
        return document
    first, *steps = pointer.split("/")
    if first:
        return None
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and _is_index(name) and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document


def _is_index(name: str) -> bool:
    """RFC 6901 §4: decimal digits without a zero before them."""
    is_number = name.isascii() and name.isdigit() and len(name) <= INDEX_LENGTH_MAX
    return is_number and (name == "0" or not name.startswith("0"))
