"""What a process sends away beside its calls: events to hooks, and letters to a mail server."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

import trio

from engine.ids import IdSource
from engine.model.letter import Letter
from engine.notify.courier import Courier
from engine.ports.letters import NotSent
from engine.post.postman import Postman
from engine.runtime import Engine
from sim.world.process import Process
from sim.world.receivers import SLOW_S, WorldReceivers
from sim.world.tape import Posted, Tape

if TYPE_CHECKING:
    from sim.world.run import World

REFUSED: Final = 0.2
"""Share of letters that the mail server does not take at a time."""
REFUSED_FOR_GOOD: Final = 0.05


class WorldSmarthost:
    """The port `engine.ports.letters.Smarthost` of one process: a server that is slow, and refuses."""

    def __init__(self, seed: int, process: Process, tape: Tape) -> None:
        self._chance = Random(f"{seed}/{process.number}/smarthost")
        self._process = process
        self._tape = tape

    async def send(self, letter: Letter) -> None:
        """See the port."""
        chance = self._chance
        draw, slow_s, answer_s = chance.random(), chance.choice(SLOW_S), chance.choice(SLOW_S)
        await trio.sleep(slow_s)
        self._process.check()
        code = "ok"
        if draw < REFUSED:
            code = "refused for good" if draw < REFUSED_FOR_GOOD else "refused"
        number = self._process.number
        self._tape.add(Posted(trio.current_time(), letter.id, letter.key, code, number))
        await trio.sleep(answer_s)
        self._process.check()
        if code != "ok":
            raise NotSent(f"The server said: {code}.", is_final=code == "refused for good")


def open_courier(world: World, engine: Engine, process: Process) -> Courier:
    """That of one process."""
    seed = world.plan.seed
    return Courier(
        engine.store,
        WorldReceivers(seed, process, world.tape),
        world.clock,
        Random(f"{seed}/{process.number}/courier"),
    )


def open_postman(world: World, engine: Engine, process: Process) -> Postman | None:
    """That of one process; None in a world without letters."""
    if not any(one.deed == "letter" for one in world.plan.actions):
        return None
    seed = world.plan.seed
    chance = Random(f"{seed}/{process.number}/postman")
    return Postman(
        engine.store,
        WorldSmarthost(seed, process, world.tape),
        world.clock,
        IdSource(world.clock, chance),
        chance,
    )
