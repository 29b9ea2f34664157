"""Runs a flow on an answered call. It knows the `Call` port and neither SIP nor RTP."""

from __future__ import annotations

from typing import Any, Final

import structlog
import trio

from engine.flow.services import StepNote
from engine.flow.steps import take_step
from engine.flow.talk import Talk
from engine.ports.telephony import CallEnded

log = structlog.get_logger(__name__)

STEPS_MAX: Final = 10_000
"""Nodes that one call goes through. Time passes in most of them; this ends a graph that goes in circles
without any."""


async def run_flow(talk: Talk) -> None:
    """Take the call through the graph until a node hangs up or none follows. The caller hangs up.

    Each node is noted when it is left: as `call_ended` where the callee went, as `cut_off` where somebody
    cancelled. Raises `CallEnded` when the callee ends the call on the way.
    """
    name: str | None = talk.definition.start
    for step in range(STEPS_MAX):
        if name is None:
            return
        if step:
            await trio.lowlevel.checkpoint()
        name = await _pass(talk, name)
    log.error("a flow goes in circles", steps=STEPS_MAX, **talk.names)


async def _pass(talk: Talk, name: str) -> str | None:
    """Go through one node; the name of the node that follows."""
    node = talk.definition.nodes[name]
    kind = str(node.__struct_config__.tag)
    began_at = trio.current_time()
    outcome, data = "cut_off", dict[str, Any]()
    try:
        passed = await take_step(talk, name, node)
        outcome, data = passed.outcome, passed.data
    except CallEnded:
        outcome = "call_ended"
        raise
    except Exception:
        outcome = "failed"
        raise
    finally:
        talk.services.note_step(StepNote(name, kind, began_at, outcome, data))
    return passed.next
