"""What the steps of one call work with. Everything outside of the graph comes in through here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from msgspec import Struct

from engine.flow.legs import Legs
from engine.ports.requests import Requests
from engine.ports.speech import Speech

Scope = Literal["account", "flow"]
"""Whom a callee does not want to be called by."""


class StepNote(Struct, frozen=True):
    """A node that a call has left."""

    node: str
    """Its name."""
    type: str
    began_at: float
    """`trio.current_time()`."""
    outcome: str
    """What came of it, in a word; `docs/lifecycle.md` has them."""
    data: dict[str, Any]
    """What else is told of it on the feed."""


class FlowServices(Struct, frozen=True):
    """One call's ways to the outside."""

    speech: Speech
    requests: Requests
    legs: Legs
    beep: str
    """Id of the prompt that tells a callee to speak."""
    begin_recording: Callable[[], Awaitable[str]]
    """Makes the id of a recording, and writes down whose it is. It never fails: what could not be written
    down is recorded all the same."""
    opt_out: Callable[[Scope], Awaitable[None]]
    """Puts the callee on the do-not-call list. It never fails: what cannot be written now is written before
    the attempt ends."""
    note_step: Callable[[StepNote], None]
    note_digits: Callable[[str, str], None]
    """Takes a node's name and the keys that it was answered with."""
    note_over: Callable[[], None]
    """Told when the callee is found to have hung up while something goes on that does not need them."""
    account: str = ""
    """Whose call it is."""
