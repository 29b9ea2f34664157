"""What each node does on a call; `gather` and `request` have modules of their own.

A node that needs no callee (`branch`, `set`, `request`, `opt_out`) is carried out even where they have hung
up since the last one: whoever presses a key and hangs up has pressed it.
"""

from __future__ import annotations

from typing import Final

import trio

from engine.flow.asking import request
from engine.flow.gathering import gather
from engine.flow.legs import Sound, TransferPlan
from engine.flow.nodes import (
    Branch,
    Gather,
    Hangup,
    Node,
    OptOut,
    Play,
    Prompt,
    Record,
    Request,
    Say,
    Set,
    Transfer,
    Wait,
)
from engine.flow.talk import Passed, Talk, until_ended
from engine.ports.telephony import Call, CallEnded

AMD: Final = "amd"
"""What a branch goes by where it goes by who answered."""


async def take_step(talk: Talk, name: str, node: Node) -> Passed:
    """Do what a node says. Raises `CallEnded`."""
    match node:
        case Play():
            return await _play(talk, node)
        case Say():
            return await _say(talk, node)
        case Gather():
            return await gather(talk, name, node)
        case Branch():
            return _branch(talk, node)
        case Set():
            return _set(talk, node)
        case Record():
            return await _record(talk, node)
        case Transfer():
            return await _transfer(talk, node)
        case Request():
            return await request(talk, node)
        case Wait():
            return await _wait(talk, node)
        case OptOut():
            await talk.services.opt_out(node.scope)
            return Passed(node.next, "done", {"scope": node.scope})
        case Hangup():
            return Passed(None, "done")


async def _play(talk: Talk, node: Play) -> Passed:
    heard = await talk.hear(Prompt(node.play, node.say, node.voice))
    return Passed(node.next, "played" if heard else "failed")


async def _say(talk: Talk, node: Say) -> Passed:
    heard = await talk.hear(Prompt(say=node.text, voice=node.voice))
    return Passed(node.next, "played" if heard else "failed")


def _branch(talk: Talk, node: Branch) -> Passed:
    value = talk.amd if node.on == AMD else talk.values.get(node.on, "")
    if value in node.cases:
        return Passed(node.cases[value], "matched")
    return Passed(node.otherwise, "otherwise")


def _set(talk: Talk, node: Set) -> Passed:
    """All texts are filled in with the values from before."""
    found = {name: talk.fill_in(text) for name, text in node.variables.items()}
    for name, value in found.items():
        talk.set_value(name, value)
    return Passed(node.next, "done")


async def _record(talk: Talk, node: Record) -> Passed:
    # Before the beep: from then on the callee waits for nothing.
    recording = await talk.services.begin_recording()
    if node.beep:
        await talk.play(talk.services.beep)
    recorded = await talk.call.record(
        recording,
        max_s=node.max_s,
        silence_s=node.silence_s,
        finish_on=node.finish_on,
    )
    if recorded.ending != "failed" and node.variable is not None:
        talk.set_value(node.variable, recorded.recording)
    if recorded.ending == "call_ended":
        raise CallEnded(await talk.call.wait_ended())
    data = {"recording": recorded.recording, "duration_s": round(recorded.duration_s, 3)}
    return Passed(node.next, recorded.ending, data)


async def _transfer(talk: Talk, node: Transfer) -> Passed:
    plan = TransferPlan(node.ring_timeout_s, _sound(talk, node.whisper), _sound(talk, node.hold))
    to = talk.fill_in(node.to)
    connected = await talk.services.legs.connect(talk.call, to, plan)
    no_answer = node.on_no_answer if node.on_no_answer is not None else node.next
    busy = node.on_busy if node.on_busy is not None else no_answer
    answered = node.on_answered if node.on_answered is not None else node.next
    follower = {"answered": answered, "busy": busy, "no_answer": no_answer}[connected]
    return Passed(follower, connected, {"to": to})


def _sound(talk: Talk, prompt: Prompt | None) -> Sound | None:
    if prompt is None:
        return None

    async def sound(call: Call) -> None:
        await talk.hear(prompt, call)

    return sound


async def _wait(talk: Talk, node: Wait) -> Passed:
    with trio.move_on_after(node.duration_s):
        await until_ended(talk.call)
    return Passed(node.next, "done")
