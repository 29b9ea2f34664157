"""The node `gather`: a question, and the keys that answer it.

Each asking begins anew: keys that were pressed before it count for nothing, so that a key pressed twice does
not answer the next question as well. An answer is complete when it has as many keys as the node takes, when
the finishing key is pressed, or when no further key comes in time.
"""

from __future__ import annotations

import trio

from engine.flow.nodes import Gather, Prompt
from engine.flow.talk import Passed, Talk
from engine.ports.telephony import Call, CallEnded


async def gather(talk: Talk, name: str, node: Gather) -> Passed:
    """Ask as often as the node says, and go where the answer leads. `answered`, `no_match` or `no_input`."""
    outcome = "no_input"
    unheard = 0
    for _ in range(node.tries):
        keys: list[str] = []
        try:
            unheard += not await _ask(talk, node, keys)
        finally:
            # Also where the callee hangs up in the middle of an answer: what was pressed was pressed.
            if keys and not node.private:
                talk.services.note_digits(name, "".join(keys))
        answer = "".join(keys)
        if not answer:
            outcome = "no_input"
            continue
        if node.variable is not None and node.private:
            talk.set_private_value(node.variable, answer)
        elif node.variable is not None:
            talk.set_value(node.variable, answer)
        if not node.branches:
            return Passed(node.next, "answered", _data(unheard))
        if answer in node.branches:
            return Passed(node.branches[answer], "answered", _data(unheard))
        outcome = "no_match"
    follower = node.otherwise if node.otherwise is not None else node.next
    return Passed(follower, outcome, _data(unheard))


def _data(unheard: int) -> dict[str, int]:
    """Askings whose prompt could not be played, where there were any."""
    return {"unheard": unheard} if unheard else {}


async def _ask(talk: Talk, node: Gather, keys: list[str]) -> bool:
    """Ask once, and collect the answer; whether its prompt was heard, or was not needed any more."""
    call = talk.call
    call.forget_digits()
    heard, key = True, None
    if node.prompt is not None and node.barge_in:
        heard, key = await _hear_until_key(talk, node.prompt)
    elif node.prompt is not None:
        heard = await talk.hear(node.prompt)
        call.forget_digits()
    while True:
        key = key or await _next_key(call, node.timeout_s)
        if key is None or (key == node.finish_on and not _is_answer(node, key)):
            return heard
        keys.append(key)
        if len(keys) >= node.digits:
            return heard
        key = None


def _is_answer(node: Gather, key: str) -> bool:
    """Whether the finishing key is an answer like any other here."""
    return node.digits == 1 and key in node.branches


async def _hear_until_key(talk: Talk, prompt: Prompt) -> tuple[bool, str | None]:
    """Play a prompt to its end or to the first key: (whether it was heard, the key)."""
    heard: bool | None = None
    has_ended = False
    pressed: list[str] = []

    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            nonlocal has_ended
            try:
                pressed.append(await talk.call.next_digit())
            except CallEnded:
                has_ended = True
            nursery.cancel_scope.cancel()

        nursery.start_soon(listen)
        # Caught inside, so that it leaves as it is and not as a group of one.
        try:
            heard = await talk.hear(prompt)
        except CallEnded:
            has_ended = True
        nursery.cancel_scope.cancel()
    if pressed:
        return heard is not False, pressed[0]
    if has_ended:
        # A key that was pressed just before they hung up was pressed; where there is none this raises.
        return True, await talk.call.next_digit()
    return heard is True, None


async def _next_key(call: Call, timeout_s: float) -> str | None:
    """The next key; None when none comes in time."""
    with trio.move_on_after(timeout_s):
        return await call.next_digit()
    return None
