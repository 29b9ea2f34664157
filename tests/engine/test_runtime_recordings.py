"""Recordings on the whole engine under virtual time: whose they are is known before they begin."""

from __future__ import annotations

from typing import Any

from trio.testing import MockClock

from engine.model import Attempt, Flow, Recording
from engine.ports.read_store import AttemptFilter
from engine.ports.stored import StoreUnavailable
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.made import did, flow
from tests.engine.world import VirtualClock, World, furnish, people, running

MESSAGE: dict[str, Any] = {
    "start": "message",
    "variables": {"said": {"default": ""}},
    "nodes": {"message": {"type": "record", "max_s": 5, "silence_s": None, "variable": "said"}},
}
FLOW = flow(definition=MESSAGE)


def hanging_up(after_s: float | None) -> CallScript:
    return CallScript(None, 0.0, talk_s=after_s)


async def call(world: World) -> tuple[Attempt, list[Recording]]:
    """One call's record, and the recordings that are its."""
    await world.add_list(people(1))
    await world.wait_done()
    [attempt] = (await world.store.list_attempts("acc_1", AttemptFilter(), 10, None)).items
    page = await world.store.list_recordings("acc_1", attempt.id, 10, None)
    return attempt, list(page.items)


async def test_a_recording_is_found_by_its_attempt_and_named_in_its_result(
    autojump_clock: MockClock,
) -> None:
    async with running(lambda *_: hanging_up(None), flows=[FLOW]) as world:
        attempt, [recording] = await call(world)
        assert attempt.result == {"said": recording.id}
        assert recording.id in world.telephony.recordings
        assert (recording.account, recording.attempt) == ("acc_1", attempt.id)
        assert attempt.answered_at is not None
        assert attempt.answered_at <= recording.created_at <= attempt.answered_at + 1


async def test_a_callee_who_hangs_up_leaves_a_recording_that_is_found(
    autojump_clock: MockClock,
) -> None:
    async with running(lambda *_: hanging_up(8.0), flows=[FLOW]) as world:
        attempt, [recording] = await call(world)
        assert world.telephony.recordings[recording.id].ending == "call_ended"
        assert attempt.result == {"said": recording.id}


class FullStore(MemoryStore):
    """Takes everything but recordings."""

    async def add_recording(self, recording: Recording) -> None:
        raise StoreUnavailable("disk full")


async def full_store(flows: list[Flow]) -> FullStore:
    store = FullStore(lambda _events: None, VirtualClock())
    await furnish(store, flows, [did(channels=1)])
    return store


async def test_what_cannot_be_written_down_is_recorded_all_the_same(
    autojump_clock: MockClock,
) -> None:
    store = await full_store([FLOW])
    async with running(lambda *_: hanging_up(None), flows=[FLOW], store=store) as world:
        attempt, recordings = await call(world)
        assert recordings == []
        assert attempt.result == {"said": next(iter(world.telephony.recordings))}
