"""A letter over which the smarthost's client breaks keeps no other waiting, and is given up in its time."""

from __future__ import annotations

from random import Random

import trio

from engine.ids import IdSource
from engine.model.letter import LIFE_S, Letter
from engine.post.postman import Postman
from sim.memory_store import MemoryStore
from tests.contract.store_samples import ACME, FixedClock, furnish


class Brittle:
    """Breaks over some letters, in a way that no port knows."""

    async def send(self, letter: Letter) -> None:
        if letter.key == "bad":
            raise IndexError("pop from an empty list")


async def test_a_letter_that_breaks_the_client_is_given_up_and_keeps_no_other_waiting(
    autojump_clock: trio.abc.Clock,
) -> None:
    clock = FixedClock()
    store = MemoryStore(lambda _: None, clock)
    await furnish(store)
    postman = Postman(store, Brittle(), clock, IdSource(clock, Random(1)), Random(2))
    await postman.post(ACME, "bad", "ada@example.com", "one", "text")
    await postman.post(ACME, "good", "ada@example.com", "two", "text")
    async with trio.open_nursery() as nursery:
        await nursery.start(postman.run)
        await trio.sleep(1)
        states = [(one.key, one.state) for one in (await store.list_letters(ACME, 9, None)).items]
        assert sorted(states) == [("bad", "waiting"), ("good", "sent")]
        clock.at += LIFE_S
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    [bad] = [one for one in (await store.list_letters(ACME, 9, None)).items if one.key == "bad"]
    assert (bad.state, bad.last) == ("given_up", "It could not be handed over (IndexError).")
