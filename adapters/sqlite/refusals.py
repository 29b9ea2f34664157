"""What any store answers to who asks for too much, or for what contradicts what is stored. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.model import CallList
from engine.model.activation import PENDING_MAX
from engine.model.agent import AGENTS_MAX
from engine.model.do_not_call import PREFIXES_MAX
from engine.model.events import rfc3339
from engine.ports.settings_store import KEYS_MAX
from engine.ports.stored import (
    Conflict,
    DuplicateList,
)

FLOWS_SHOWN_MAX: Final = 5
"""That a sentence names."""


def agent_exists(number: str) -> Conflict:
    """What a second agent of one number in one flow gets."""
    return Conflict("agent_exists", f"The flow has an agent with the number {number} already.")


def too_many_agents() -> Conflict:
    """What an agent gets who is one too many."""
    return Conflict("too_many_agents", f"A flow has at most {AGENTS_MAX} agents.")


def duplicate_list(earlier: CallList) -> DuplicateList:
    """What a file gets that came in for its flow already."""
    when = rfc3339(earlier.created_at)
    detail = (
        f"The same file came in at {when} as the list {earlier.id} ({earlier.name!r}). If its"
        " people are to be called once more, insist: ?again=true over HTTP, --again in a terminal."
    )
    return DuplicateList(earlier.id, detail)


def flow_deleted() -> Conflict:
    """What a trigger gets whose flow was deleted between its check and its commit."""
    return Conflict("flow_deleted", "The flow was deleted; it takes no more calls.")


def too_many_prefixes() -> Conflict:
    """What a range gets that is one too many on a do-not-call list."""
    detail = (
        f"A do-not-call list has at most {PREFIXES_MAX} ranges; single numbers are not counted."
    )
    return Conflict("too_many_prefixes", detail)


def flow_in_use() -> Conflict:
    """What keeps a flow from being deleted."""
    return Conflict(
        "flow_in_use", "The flow has contacts that are not completed; cancel them first."
    )


def activation_pending(activation: str) -> Conflict:
    """What a second request for one flow gets."""
    detail = f"The request {activation} for this flow is pending; it has to be decided first."
    return Conflict("activation_pending", detail)


def too_many_activations() -> Conflict:
    """What a request gets that is one too many."""
    detail = (
        f"The account has {PENDING_MAX} requests that are pending; some have to be decided first."
    )
    return Conflict("too_many_activations", detail)


def account_exists(name: str) -> Conflict:
    """What a second account of one name gets."""
    return Conflict("account_exists", f"There is an account named {name!r} already.")


def too_many_keys() -> Conflict:
    """An account that has as many keys as it may."""
    return Conflict("too_many_keys", f"An account has at most {KEYS_MAX} keys; revoke some.")


def did_attached(number: str, flows: Sequence[str]) -> Conflict:
    """The DID is one that flows call from."""
    more = f" and {len(flows) - FLOWS_SHOWN_MAX} more" if len(flows) > FLOWS_SHOWN_MAX else ""
    shown = ", ".join(flows[:FLOWS_SHOWN_MAX])
    return Conflict("did_attached", f"{number} is attached to {shown}{more}; detach it first.")


def did_exists(number: str) -> Conflict:
    """What a second DID of one number gets, in whatever account the first is."""
    return Conflict("did_exists", f"The number {number} is a DID of this installation already.")
