"""What those are told who ask by mail that a listener be activated: subject and text of each letter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from engine.model.activation import Activation

HOW_TO_ASK: Final = (
    "Write one mail for each flow, with these lines:\n\n"
    "    Account: acc_...\n"
    "    Flow: flw_...\n"
    "    DIDs: +14155550100, +14155550101\n\n"
    "The ids are on the page of the flow. Write from the address of the account's holder, or from one that\n"
    "may send lists to the flow.\n"
)

Words = tuple[str, str]
"""Subject and text."""


def request_received(one: Activation, flow: str) -> Words:
    """A request was taken, for the flow of this name."""
    text = (
        f"Your request to activate the flow {flow!r} was received, and has the number {one.id}.\n\n"
        f"{_list_numbers(one)}\n"
        "An operator of the account confirms or refuses it; you are told then. Nobody is called before.\n"
        f"If nobody decides by {_day(one.expires_at)}, it is void.\n"
    )
    return f"Your request for {flow} was received", text


def request_turned_away(one: Activation, flow: str | None) -> Words:
    """A request cannot be granted, whatever an operator would say."""
    about = "a flow" if flow is None else f"the flow {flow!r}"
    text = (
        f"Your request to activate {about} was refused, and nothing was changed:\n\n"
        f"    {one.reason} ({one.code})\n\n{HOW_TO_ASK}"
    )
    return "Your request was refused", text


def request_confirmed(one: Activation, flow: str) -> Words:
    """An operator confirmed a request."""
    text = (
        f"An operator has confirmed your request {one.id}.\n"
        f"The listener of the flow {flow!r} is active: it takes lists, and calls.\n\n{_list_numbers(one)}"
    )
    return f"{flow} is active", text


def request_refused(one: Activation, flow: str | None, reason: str) -> Words:
    """An operator refused a request."""
    about = "a flow" if flow is None else f"the flow {flow!r}"
    why = f"The reason: {reason}\n" if reason else "No reason was given.\n"
    text = f"An operator has refused your request {one.id} to activate {about}.\n\n{why}"
    return "Your request was refused by an operator", text


def request_expired(one: Activation, flow: str | None) -> Words:
    """Nobody decided a request in time."""
    about = "a flow" if flow is None else f"the flow {flow!r}"
    text = (
        f"Nobody has decided your request {one.id} to activate {about} in time. It is void, and nothing was\n"
        "changed. You may write again.\n"
    )
    return "Your request has expired", text


def nothing_understood() -> Words:
    """To somebody whom no account that the mail names knows: the same whatever there is, and is not."""
    text = (
        "Your mail was not taken for a request: it names no account and flow that go together, or you are\n"
        f"not one who may ask for that. Nothing was changed.\n\n{HOW_TO_ASK}"
    )
    return "Your mail was not understood", text


def _list_numbers(one: Activation) -> str:
    return "It calls from:\n\n" + "".join(f"    {number}\n" for number in one.numbers)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
