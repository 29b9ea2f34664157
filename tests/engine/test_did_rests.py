"""DIDs that go bad, rest, are changed and taken away, with the whole engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.form import Invalid
from engine.model import Cap, Did, Flow
from engine.model.did_health import RestRules, Tally
from engine.model.events import StoredEvent
from engine.ports.stored import Conflict
from engine.ports.telephony import CallRequest
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.made import EPOCH, attempt, did, flow
from tests.engine.world import VirtualClock, World, furnish, make_store, people, running

BAD, GOOD = "+14155550100", "+14155550200"
BOTH = [did(number=BAD), did(number=GOOD)]
SOON = RestRules(blocked_max=0.2, calls_min=20, rest_s=600)


def one_is_blocked(request: CallRequest, _before: int) -> CallScript:
    """Nobody takes calls from one of the numbers."""
    return CallScript(code=608, final_after_s=1.0) if request.caller == BAD else CallScript()


def all_are_blocked(_request: CallRequest, _before: int) -> CallScript:
    return CallScript(code=607, final_after_s=1.0)


def flow_of_both() -> Flow:
    return flow(dids=(BAD, GOOD))


async def events_of(world: World) -> list[tuple[str, dict[str, Any]]]:
    """(type, data) of what was told of DIDs."""
    told = []
    seq = 0
    while found := await world.store.events_after("acc_1", seq, 1_000):
        seq = found[-1].seq
        told += [msgspec.json.decode(one.body) for one in found if one.type.startswith("did.")]
    assert all(one["flow"] is None and one["list"] is None for one in told)
    return [(one["type"], one["data"]) for one in told]


async def test_a_did_whose_calls_are_blocked_rests_and_the_others_go_on(
    autojump_clock: MockClock,
) -> None:
    setting = {"flows": [flow_of_both()], "dids": BOTH, "did_rests": SOON}
    async with running(one_is_blocked, **setting) as world:  # type: ignore[arg-type]
        await world.add_list(people(300))
        await world.wait_done()
        calls = Counter(one.request.caller for one in world.telephony.dialed)
        assert 20 <= calls[BAD] <= 60  # what was ringing when the twentieth came back
        assert calls[BAD] + calls[GOOD] == 300
        assert world.engine.dids.tally_of(BAD).blocked_share == 1.0
        assert world.engine.dids.tally_of(GOOD).answer_rate == 1.0
        [(kind, data)] = await events_of(world)
        assert (kind, data["did"], data["reason"]) == ("did.resting", BAD, "blocked")
        assert data["detail"] == "20 of its last 20 calls were blocked."
        [resting] = await world.store.find_dids("acc_1", [BAD])
        assert resting.rest is not None
        assert resting.rest.until == resting.rest.since + 600
        await trio.sleep_until(resting.rest.until - EPOCH + 1)
        [resumed] = await world.store.find_dids("acc_1", [BAD])
        assert (resumed.rest, world.engine.dids.tally_of(BAD)) == (None, Tally())
        assert (await events_of(world))[1:] == [("did.resumed", {"did": BAD, "reason": "time"})]


async def test_other_rules_hold_from_the_next_call_on_that_ends(autojump_clock: MockClock) -> None:
    never = RestRules(blocked_max=1.0)
    async with running(all_are_blocked, did_rests=never) as world:
        await world.add_list(people(200))
        await trio.sleep(10)
        assert await events_of(world) == []
        settings = msgspec.structs.replace(world.engine._settings, did_rests=SOON)
        await world.engine.reload(settings, lambda: None)
        await trio.sleep(10)
        [(kind, data)] = await events_of(world)
        assert (kind, data["did"], data["reason"]) == ("did.resting", BAD, "blocked")


async def test_where_all_dids_rest_contacts_say_so_and_go_on_when_a_rest_ends(
    autojump_clock: MockClock,
) -> None:
    async with running(all_are_blocked, did_rests=SOON) as world:
        await world.add_list(people(100))
        await trio.sleep(60)
        made = len(world.dial_times())
        assert 20 <= made < 60
        waiting = [one for one in await world.contacts() if one.state == "open"]
        blockers = [one for one in await world.engine.explain(waiting) if one is not None]
        [(code, detail, until)] = {(one.code, one.detail, one.until) for one in blockers}
        assert code == "did_cap"
        assert detail.startswith(f"The caller number {BAD} rests: ")
        assert until is not None
        await trio.sleep_until(until - EPOCH - 1)
        assert len(world.dial_times()) == made
        await world.wait_done()
        times = world.dial_times()
        assert len(times) == 100
        assert until - EPOCH <= times[made] < until - EPOCH + 5


async def test_an_operator_lets_a_did_rest_and_call_again_at_once(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        await world.add_list(people(200))
        await trio.sleep(5)
        rested = await world.engine.dids.rest(None, BAD, {"note": "Complaints."})
        assert rested is not None
        made = len(world.dial_times())
        assert 0 < made < 200
        await trio.sleep(7_200)
        assert len(world.dial_times()) == made
        [waiting, *_] = [one for one in await world.contacts() if one.state == "open"]
        [blocker] = await world.engine.explain([waiting])
        assert blocker is not None
        assert (blocker.code, blocker.until) == ("did_cap", None)
        assert blocker.detail == f"The caller number {BAD} rests: Complaints."
        await world.engine.dids.resume("acc_1", BAD)
        await trio.sleep(1)
        assert len(world.dial_times()) > made
        await world.wait_done()
        assert [kind for kind, _ in await events_of(world)] == ["did.resting", "did.resumed"]
        await world.engine.dids.resume("acc_1", BAD)
        assert len(await events_of(world)) == 2
        assert await world.engine.dids.rest("acc_2", BAD, {}) is None
        assert await world.engine.dids.resume(None, "+4930") is None
        with pytest.raises(Invalid):
            await world.engine.dids.rest(None, BAD, {"for_s": 1})


async def test_a_rest_and_what_led_to_it_survive_a_restart(autojump_clock: MockClock) -> None:
    events: list[StoredEvent] = []
    store = MemoryStore(events.extend, VirtualClock())
    await furnish(store, [flow_of_both()], BOTH)
    setting = {"store": store, "did_rests": SOON}
    async with running(one_is_blocked, **setting) as world:  # type: ignore[arg-type]
        await world.add_list(people(30))
        await world.wait_done()
        tally = world.engine.dids.tally_of(BAD)
        assert 10 <= tally.blocked < 20
    async with running(one_is_blocked, **setting) as world:  # type: ignore[arg-type]
        assert world.engine.dids.tally_of(BAD) == tally
        await world.add_list(people(100, list="lst_2"), "lst_2")
        await world.wait_done("lst_2")
        calls = Counter(one.request.caller for one in world.telephony.dialed)
        assert calls[BAD] < 50
    async with running(one_is_blocked, **setting) as world:  # type: ignore[arg-type]
        await world.add_list(people(50, list="lst_3"), "lst_3")
        await world.wait_done("lst_3")
        assert {one.request.caller for one in world.telephony.dialed} == {GOOD}
        [resting] = await store.find_dids("acc_1", [BAD])
        assert resting.rest is not None
        assert resting.rest.until is not None
        await trio.sleep_until(resting.rest.until - EPOCH + 40)
        assert [kind for kind, _ in await events_of(world)] == ["did.resting", "did.resumed"]
    async with running(one_is_blocked, **setting) as world:  # type: ignore[arg-type]
        assert world.engine.dids.tally_of(BAD) == Tally()


async def test_limits_are_changed_at_once_and_what_was_called_before_counts(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        await world.add_list(people(400))
        await trio.sleep(10)
        changed = await world.engine.dids.change(
            "acc_1", BAD, {"cps": 40, "caps": [{"calls": 120, "per_s": 60}]}
        )
        assert changed is not None
        assert (changed.cps, changed.channels, changed.caps) == (40, 100, (Cap(120, 60),))
        made = len(world.dial_times())
        await world.wait_done()
        times = world.dial_times()
        assert made < 120  # all that was called before is within the new cap's window
        assert all(later - sooner >= 60 for sooner, later in zip(times, times[120:], strict=False))
        # The pace is the new one, and at the most the one call counts twice that both remember.
        assert times[118] - times[made] < 3
        assert (await world.store.find_dids("acc_1", [BAD])) == [changed]


async def test_a_did_is_taken_away_when_no_flow_calls_from_it_and_comes_back_with_its_count(
    autojump_clock: MockClock,
) -> None:
    capped = did(number=BAD, caps=(Cap(10, 3_600),))
    async with running(flows=[flow_of_both()], dids=[capped, did(number=GOOD)]) as world:
        engine = world.engine
        await world.add_list(people(100))
        await world.wait_done()
        [owner] = (await world.store.list_accounts(1, None)).items
        with pytest.raises(Conflict) as refused:
            await engine.dids.remove(None, BAD)
        assert refused.value.code == "did_attached"
        await engine.administration.attach_dids(owner, "flw_1", [GOOD])
        assert await engine.dids.remove(None, BAD)
        assert not await engine.dids.remove(None, BAD)
        assert await world.store.find_dids("acc_1", [BAD]) == []
        again = {"number": BAD, "account": "default", "trunk": "main", "cps": 10, "channels": 100}
        caps = [{"calls": 10, "per_s": 3_600}]
        await engine.administration.create_did({**again, "caps": caps})
        await engine.administration.attach_dids(owner, "flw_1", [BAD])
        await world.add_list(people(10, list="lst_2"), "lst_2")
        await world.wait_done("lst_2")
        times = world.dial_times(BAD)
        assert len(times) == 20
        assert times[10] - times[0] >= 3_600


async def test_a_did_that_was_taken_away_counts_its_calls_though_it_comes_back_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    again = {"number": BAD, "account": "default", "trunk": "main", "cps": 0.01, "channels": 100}
    caps = [{"calls": 3, "per_s": 3_600}]
    store = make_store()
    capped = did(number=BAD, cps=0.01, caps=(Cap(3, 3_600),))
    await furnish(store, [flow(dids=(BAD,))], [capped, did(number=GOOD)])
    async with running(store=store) as world:
        await world.add_list(people(3))
        await world.wait_done()
        [owner] = (await store.list_accounts(1, None)).items
        await world.engine.administration.attach_dids(owner, "flw_1", [GOOD])
        assert await world.engine.dids.remove(None, BAD)
        times = world.dial_times(BAD)
    async with running(store=store) as world:
        await world.engine.administration.create_did({**again, "caps": caps})
        await world.engine.administration.attach_dids(owner, "flw_1", [BAD])
        await world.add_list(people(2, list="lst_2"), "lst_2")
        await world.wait_done("lst_2", poll_s=10)
        times += world.dial_times(BAD)
    assert len(times) == 5
    assert all(later - sooner >= 100 for sooner, later in pairwise(times))
    assert all(later - sooner >= 3_600 for sooner, later in zip(times, times[3:], strict=False))
    assert times[4] - times[1] < 3_620


async def test_a_did_that_goes_bad_while_it_is_changed_rests_all_the_same(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(dids=BOTH, flows=[flow_of_both()], did_rests=SOON) as world:
        dids, change_did = world.engine.dids, world.store.change_did

        async def change_slowly(*change: Any) -> Did | None:
            changed = await change_did(*change)
            await trio.sleep(1)
            return changed

        monkeypatch.setattr(world.store, "change_did", change_slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dids.change, None, BAD, {"cps": 1})
            await trio.sleep(0.5)
            for n in range(20):
                dids.note_ended(attempt(id=f"att_{n}", did=BAD, disposition="blocked"))
        found = world.engine._operation.find_did(BAD)
        assert found is not None
        assert found.cps == 1
        assert found.rest is not None
        await trio.sleep(3)
        [kept] = await world.store.find_dids("acc_1", [BAD])
        assert (kept.cps, kept.rest) == (1, found.rest)
        assert [kind for kind, _ in await events_of(world)] == ["did.resting"]


async def test_a_did_that_is_changed_while_it_is_taken_into_operation_is_as_it_was_changed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(dids=[did(number=GOOD)]) as world:
        find_dids = world.store.find_dids

        async def find_slowly(account: str, numbers: Sequence[str]) -> list[Did]:
            found = await find_dids(account, numbers)
            await trio.sleep(1)
            return found

        monkeypatch.setattr(world.store, "find_dids", find_slowly)
        await world.store.add_did(did(number=BAD, cps=10))
        world.engine.changes.note_did("acc_1", BAD)
        await trio.sleep(0.5)
        await world.engine.dids.change(None, BAD, {"cps": 1})
        await trio.sleep(1)
        found = world.engine._operation.find_did(BAD)
        assert found is not None
        assert found.cps == 1


async def test_a_rest_that_an_operator_begins_as_another_ends_is_not_ended_with_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(dids=BOTH, flows=[flow_of_both()]) as world:
        dids, change_did = world.engine.dids, world.store.change_did
        for number in (GOOD, BAD):
            await dids.rest(None, number, {"for_s": 60})

        async def change_slowly(*change: Any) -> Did | None:
            await trio.sleep(1)
            return await change_did(*change)

        monkeypatch.setattr(world.store, "change_did", change_slowly)
        await trio.sleep(60.5)  # the first of the two is being ended
        await dids.rest(None, BAD, {})
        await trio.sleep(10)
        found = [world.engine._operation.find_did(one) for one in (GOOD, BAD)]
        assert [one is not None and one.rest is not None for one in found] == [False, True]


async def test_a_did_that_an_operator_resumes_before_its_rest_is_written_down_does_not_rest(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(dids=BOTH, flows=[flow_of_both()], did_rests=SOON) as world:
        dids, change_did = world.engine.dids, world.store.change_did

        async def change_slowly(*change: Any) -> Did | None:
            await trio.sleep(1)
            return await change_did(*change)

        monkeypatch.setattr(world.store, "change_did", change_slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dids.change, None, GOOD, {"cps": 5})
            await trio.sleep(0.1)
            nursery.start_soon(dids.resume, None, BAD)
            await trio.sleep(0.1)
            for n in range(20):
                dids.note_ended(attempt(id=f"att_{n}", did=BAD, disposition="blocked"))
        await trio.sleep(5)
        found = world.engine._operation.find_did(BAD)
        [kept] = await world.store.find_dids("acc_1", [BAD])
        assert found is not None
        assert (found.rest, kept.rest) == (None, None)
        assert kept.counts_from is not None
