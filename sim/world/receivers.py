"""Who is sent the events of flows: receivers that are slow, fail, or say that they are gone."""

from __future__ import annotations

from random import Random
from typing import Final

import trio

from engine.model.webhook import Webhook
from engine.ports.webhooks import Posted
from sim.world.process import Process
from sim.world.tape import Received, Tape

FAILS: Final = 0.1
"""Share of requests that a receiver does not take."""
GONE: Final = 0.003
"""Share of requests after which there is no receiver any more."""
SLOW_S: Final = (0.0, 0.01, 0.5, 4.0)


class WorldReceivers:
    """The port `engine.ports.webhooks.Notifier` of one process."""

    def __init__(self, seed: int, process: Process, tape: Tape) -> None:
        self._chance = Random(f"{seed}/{process.number}/receivers")
        self._process = process
        self._tape = tape

    async def post(
        self, hook: Webhook, delivery: str, body: bytes, at: float, account: str = ""
    ) -> Posted:
        """See the port."""
        chance = self._chance
        draw, slow_s, answer_s = chance.random(), chance.choice(SLOW_S), chance.choice(SLOW_S)
        await trio.sleep(slow_s)
        self._process.check()  # what a dead process was about to send does not arrive
        posted = Posted("ok", status=200)
        if draw < GONE:
            posted = Posted("gone", status=410)
        elif draw < FAILS:
            posted = Posted("bad_status", status=503, retry_after_s=chance.choice((None, 2.0)))
        number = self._process.number
        self._tape.add(
            Received(trio.current_time(), account, hook.url, delivery, posted.code, number)
        )
        await trio.sleep(answer_s)
        self._process.check()
        return posted
