"""The engine under virtual time, with calling windows: who is called when, and what waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio

from engine.model import (
    Account,
    AccountRules,
    CallingWindow,
    Contact,
    FlowSettings,
    Prompt,
    RetryRule,
)
from engine.schedule.calling_hours import CallingHours, Party
from engine.schedule.zones import zones_of
from sim.telephony import CallScript
from tests.engine.made import EPOCH, account, contact, did, flow
from tests.engine.world import World, everyone_answers, furnish, make_store, people, running
from tests.sizes import size

INDIA, ENGLAND, CALIFORNIA = "+9198765{:05}", "+4420712{:05}", "+1415266{:04}"
DAY = CallingWindow("09:00", "21:00")


def windowed(*windows: CallingWindow, **settings: Any) -> FlowSettings:
    return FlowSettings(calling_window=windows, **settings)


def moment(text: str, zone: str = "UTC") -> float:
    """A wall time → seconds of trio's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() - EPOCH


def calls(world: World) -> list[tuple[str, Any]]:
    return [(one.request.number, round(one.at, 1)) for one in world.telephony.dialed]


async def blockers(world: World, contacts: list[Contact]) -> set[tuple[str, float | None]]:
    found = await world.engine.explain(contacts)
    return {(one.code, one.until) for one in found if one is not None}


async def test_nobody_is_called_while_the_window_is_closed_and_it_goes_on_when_it_opens(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is 08:00 UTC, which is 13:30 in India and 00:00 in California."""
    async with running(flows=[flow(settings=windowed(DAY))]) as world:
        await world.add_list(
            [
                contact(id="cnt_1", tel=(CALIFORNIA.format(1),)),
                contact(id="cnt_2", tel=(INDIA.format(2),)),
                contact(id="cnt_3", tel=(ENGLAND.format(3),)),
            ]
        )
        await trio.sleep(60)
        opens = moment("2027-01-15T09:00", "America/Los_Angeles")
        [first, second, third] = await world.contacts()
        assert (first.state, first.wait_code, first.due_at) == (
            "open",
            "calling_window",
            EPOCH + opens,
        )
        assert (second.disposition, third.wait_code) == ("answered", "calling_window")
        assert await blockers(world, [first]) == {("calling_window", EPOCH + opens)}
        await world.wait_done(poll_s=600)
        assert [(number, at) for number, at in calls(world)] == [
            (INDIA.format(2), pytest.approx(0, abs=1)),
            (ENGLAND.format(3), pytest.approx(moment("2027-01-15T09:00"), abs=1)),
            (CALIFORNIA.format(1), pytest.approx(opens, abs=1)),
        ]


async def test_what_is_left_over_when_the_window_closes_goes_on_at_the_next_opening(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Ten calls a second for the last 30 s before the window closes: 300 of 700 contacts."""
    window = CallingWindow("06:00", "08:01", callee_zone=False)
    async with running(flows=[flow(settings=windowed(window))]) as world:
        await trio.sleep(30)
        await world.add_list(people(700))
        await trio.sleep(3_600)
        before = world.dial_times()
        assert 250 < len(before) <= 310
        assert max(before) < 60
        contacts = [one for one in await world.contacts() if one.state == "open"]
        next_day = 22 * 3_600.0
        assert {(one.wait_code, one.due_at) for one in contacts} == {
            ("calling_window", EPOCH + next_day)
        }
        await world.wait_done(poll_s=600)
        after = world.dial_times()[len(before) :]
        assert len(before) + len(after) == 700
        assert next_day <= min(after)
        assert max(after) < next_day + 100


async def test_a_window_costs_one_transaction_for_many_contacts_and_nothing_while_it_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = make_store()
    await furnish(store, [flow(settings=windowed(CallingWindow("20:00", "21:00")))], [did()])
    asked: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        method = getattr(store, name)

        async def count(*arguments: Any) -> Any:
            asked.append(name)
            return await method(*arguments)

        return count

    for name in ("defer_contacts", "due_contacts"):
        setattr(store, name, counted(name))
    async with running(store=store) as world:
        await world.add_list(people(2_000))
        await trio.sleep(60)
        assert asked.count("defer_contacts") <= 10
        asked.clear()
        await trio.sleep(4 * 3_600)
        assert asked == []
        assert world.dial_times() == []


async def test_an_account_wide_window_holds_beside_the_flows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = make_store()
    rules = AccountRules(CallingWindow("10:00", "22:00"))
    await store.add_account(account(rules=rules))
    await store.add_did(did())
    await store.add_flow(flow(settings=windowed(DAY)))
    async with running(store=store) as world:
        await world.add_list(people(1))
        await world.wait_done(poll_s=600)
        assert world.dial_times() == [pytest.approx(10 * 3_600, abs=1)]  # ten in California


async def test_whom_no_hour_suits_waits_for_none_and_not_until_somebody_looks_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The account's hours and the flow's have nothing in common: it is looked again each day, in vain."""
    evenings = CallingWindow("19:00", "21:00")
    store = make_store()
    rules = AccountRules(CallingWindow("09:00", "17:00"))
    await store.add_account(account(rules=rules))
    await store.add_did(did())
    await store.add_flow(flow(settings=windowed(evenings)))
    async with running(store=store) as world:
        await world.add_list([contact(tel=(ENGLAND.format(1),))])
        await trio.sleep(60)
        [waiting] = await world.contacts()
        assert (waiting.wait_code, waiting.due_at > world.clock.now()) == ("calling_window", True)
        [found] = await world.engine.explain([waiting])
        assert found is not None
        assert (found.code, found.until) == ("calling_window", None)
        assert found.detail.endswith("There is no hour that suits all.")


async def test_a_window_that_is_changed_holds_for_those_who_wait_already(
    autojump_clock: trio.testing.MockClock,
) -> None:
    night = CallingWindow("20:00", "21:00")
    async with running(flows=[flow(settings=windowed(night))]) as world:
        await world.add_list(people(700))
        await trio.sleep(100)
        assert {one.wait_code for one in await world.contacts()} == {"calling_window"}
        await world.store.add_prompt(Prompt("prm_hello", "acc_1", "hello", 5.0, EPOCH))
        window = {"start": "00:00", "end": "24:00"}
        raw = {
            "name": "reminder",
            "definition": flow().definition,
            "settings": {"calling_window": window},
        }
        changed = await world.engine.administration.change_flow(account(), "flw_1", raw)
        assert changed is not None
        await world.wait_done()
        assert trio.current_time() < 400


async def test_a_window_that_is_opened_now_does_not_leave_those_out_who_were_to_be_called_in_minutes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """They are in memory already."""
    soon = CallingWindow("08:04", "21:00", callee_zone=False)
    async with running(flows=[flow(settings=windowed(soon))]) as world:
        await world.add_list(people(20))
        await trio.sleep(100)
        assert world.engine.statistics().in_hand == 20
        await world.store.add_prompt(Prompt("prm_hello", "acc_1", "hello", 5.0, EPOCH))
        changed = await world.engine.administration.change_flow(
            account(),
            "flw_1",
            {
                "name": "reminder",
                "definition": flow().definition,
                "settings": {"calling_window": {"start": "00:00", "end": "24:00"}},
            },
        )
        assert changed is not None
        await world.wait_done()
        assert trio.current_time() < 200


async def test_a_window_that_stays_closed_as_it_is_changed_has_each_contact_looked_at_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes its time, so that contacts are set aside again while others are brought forward."""
    brought = []
    store = make_store()
    await furnish(store, [flow(settings=windowed(CallingWindow("20:00", "21:00")))], [did()])
    bring_forward = store.bring_forward

    async def bring_slowly(*args: Any) -> list[str]:
        await trio.sleep(0.1)
        lists = await bring_forward(*args)
        brought.extend(lists)
        return lists

    monkeypatch.setattr(store, "bring_forward", bring_slowly)
    async with running(store=store) as world:
        await world.add_list([contact(tel=(ENGLAND.format(1),))])
        await trio.sleep(1)
        await world.store.add_prompt(Prompt("prm_hello", "acc_1", "hello", 5.0, EPOCH))
        window = {"start": "19:00", "end": "21:00"}
        raw = {
            "name": "reminder",
            "definition": flow().definition,
            "settings": {"calling_window": window},
        }
        await world.engine.administration.change_flow(account(), "flw_1", raw)
        await trio.sleep(60)
        assert brought == ["lst_1"]
        await world.wait_done(poll_s=60.0)
        assert world.dial_times() == [pytest.approx(moment("2027-01-15T19:00"), abs=1)]


async def test_an_account_window_that_is_lifted_lets_those_go_who_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = make_store()
    await store.add_account(account(rules=AccountRules(CallingWindow("20:00", "21:00"))))
    await store.add_did(did())
    await store.add_flow(flow())
    async with running(store=store) as world:
        await world.add_list(people(20))
        await trio.sleep(100)
        assert world.dial_times() == []
        administration = world.engine.administration
        changed = await administration.change_account("default", {"calling_window": None})
        assert isinstance(changed, Account)
        assert changed.rules == AccountRules()
        await world.wait_done()
        assert trio.current_time() < 120


async def test_a_retry_and_a_redirection_wait_for_the_window_of_whom_they_call(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """At 15:29 UTC India has a minute left; the call is busy, and its retry comes the next day. The other
    is redirected to California, where it is 07:29."""
    settings = windowed(DAY, attempts_max=3, retry={"busy": RetryRule(1, 120)})
    tries: list[str] = []

    def choose(request: Any, before: int) -> CallScript:
        tries.append(request.number)
        if request.number == INDIA.format(1) and before == 0:
            return CallScript(code=486)
        if request.number == INDIA.format(2):
            return CallScript(code=302, redirected_to=CALIFORNIA.format(2))
        return CallScript()

    async with running(choose, flows=[flow(settings=settings)]) as world:
        await trio.sleep(moment("2027-01-15T15:29"))
        await world.add_list(
            [
                contact(id="cnt_1", tel=(INDIA.format(1),)),
                contact(id="cnt_2", row=2, tel=(INDIA.format(2),)),
            ]
        )
        await world.wait_done(poll_s=600)
        assert [(number, at) for number, at in calls(world)][2:] == [
            (CALIFORNIA.format(2), pytest.approx(moment("2027-01-15T17:00"), abs=2)),
            (INDIA.format(1), pytest.approx(moment("2027-01-16T03:30"), abs=2)),
        ]


@pytest.mark.parametrize("seed", range(size(1, 200)))
async def test_no_call_ever_leaves_in_a_closed_window(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    """Days of calls to three continents over a change of clocks, by whatever windows."""
    chance = Random(seed)

    def some_windows() -> tuple[CallingWindow, ...]:
        return tuple(
            CallingWindow(
                f"{chance.randrange(24):02}:{chance.choice((0, 30)):02}",
                f"{chance.randrange(24):02}:{chance.choice((0, 30)):02}",
                tuple(chance.sample(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 5)),
            )
            for _ in range(chance.randrange(1, 3))
        )

    rules, settings = AccountRules(some_windows()), windowed(*some_windows(), ring_timeout_s=20)
    store = make_store()
    await store.add_account(account(rules=rules, timezone="Europe/Berlin"))
    await store.add_did(did(cps=0.002))
    await store.add_flow(flow(settings=settings))
    parties = (
        Party(rules.calling_window, "Europe/Berlin"),  # type: ignore[arg-type]
        Party(settings.calling_window, "UTC"),  # type: ignore[arg-type]
    )
    # The weekend brings summer time to America. No engine idles until then: that is not what is asked here.
    await trio.sleep(moment("2027-03-13T00:00"))
    async with running(everyone_answers, store=store) as world:
        numbers = [
            chance.choice((INDIA, ENGLAND, CALIFORNIA)).format(place)
            for place in range(size(300, 900))
        ]
        await world.add_list(
            [contact(id=f"cnt_{n:04}", row=n, tel=(tel,)) for n, tel in enumerate(numbers)]
        )
        await trio.sleep(size(3, 10) * 86_400)
        for number, at in calls(world):
            assert CallingHours(parties, zones_of(number)).is_open(EPOCH + at), (number, at)
        for one in await world.contacts():
            if one.state == "open" and one.wait_code == "calling_window":
                [blocker] = await world.engine.explain([one])
                assert blocker is not None
                opening = CallingHours(parties, zones_of(one.number)).next_opening(
                    world.clock.now()
                )
                if blocker.code == "calling_window" and opening is not None:
                    assert blocker.until is not None
                    assert abs(blocker.until - opening) < 86_401
