"""Runs a flow on an answered call. It knows the `Call` port and neither SIP nor RTP."""

from __future__ import annotations

from typing import NoReturn

import trio

from engine.flow.definition import Definition
from engine.flow.nodes import Hangup, Node, Play, Wait
from engine.ports.telephony import Call, CallEnded


async def run_flow(definition: Definition, call: Call) -> None:
    """Take the call through the graph until a node hangs up or none follows. The caller hangs up.

    Raises `CallEnded` when the callee ends the call on the way.
    """
    name: str | None = definition.start
    while name is not None:
        name = await _pass(definition.nodes[name], call)


async def _pass(node: Node, call: Call) -> str | None:
    """Do what a node says; the name of the node that follows."""
    match node:
        case Play(play=str() as prompt):
            await call.play(prompt)
            return node.next
        case Wait():
            with trio.move_on_after(node.duration_s):
                await _until_ended(call)
            return node.next
        case Hangup():
            return None
        case _:
            raise NotImplementedError(type(node))


async def _until_ended(call: Call) -> NoReturn:
    raise CallEnded(await call.wait_ended())
