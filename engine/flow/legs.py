"""Second calls: what a transfer asks for, and who makes them. `engine.dial` implements it, with every guard
that a first call passes; the interpreter knows only this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import trio
from msgspec import Struct

from engine.ports.telephony import Call

Connected = Literal["answered", "busy", "no_answer"]
"""What became of a second call. `busy`: the other is busy or refused. `no_answer` is everything else that is
no answer, also a number that must not or cannot be called, and no agent who is free."""

Sound = Callable[[Call], Awaitable[None]]
"""Plays one prompt to its end on the call that it is given, and may do so again. Raises `CallEnded` when that
call ends first; what cannot be played is logged and over at once, never an error. It may then return without
time having passed: whoever repeats it keeps a pause between."""


class TransferPlan(Struct, frozen=True):
    """How somebody else is brought to a call."""

    ring_timeout_s: float
    """How long the other may ring, seconds."""
    whisper: Sound | None = None
    """Heard by the other before the two are connected; the callee goes on hearing `hold` meanwhile."""
    hold: Sound | None = None
    """Heard by the callee until they are connected, again and again."""


class Legs(Protocol):
    """Second calls of one attempt."""

    async def connect(self, call: Call, to: str, plan: TransferPlan) -> Connected:
        """Call somebody and let the callee of `call` speak with them, until either hangs up.

        Returns when the callee is still there: `answered` once the other has hung up, or why there was
        nobody. Raises `CallEnded` when `call` ends. However it ends, also by cancellation, nothing plays on
        `call` then and the second call is over.

        Args:
            call: the answered call of the attempt.
            to: a number as the flow gives it, which nobody has judged yet, or `agent`.
        """


class NoLegs:
    """Where nobody can be called beside: every transfer finds nobody."""

    async def connect(self, call: Call, to: str, plan: TransferPlan) -> Connected:
        """See `Legs`."""
        await trio.lowlevel.checkpoint()
        return "no_answer"
