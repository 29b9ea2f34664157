"""Routes: which trunk a call goes by, and what holds it when none takes it."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.dial.blockers import find_line_blocker
from engine.dial.limits.party import Permit, limits_of_did, limits_of_engine
from engine.dial.trunks.route import Route, RouteSettings, make_routes
from engine.dial.trunks.trunk import Trunk, TrunkCall, TrunkSettings


def trunks(*names: str, channels: int = 10, cps: float = 100) -> dict[str, Trunk]:
    return {name: Trunk(TrunkSettings(name, channels, cps)) for name in names}


def route_over(*groups: str) -> tuple[Route, dict[str, Trunk]]:
    """A route whose trunks are named by single letters."""
    made = trunks(*"".join(groups))
    return Route("route", [[made[name] for name in group] for group in groups]), made


def send(trunk: Trunk, now: float) -> tuple[Permit, TrunkCall]:
    permit, call = Permit((trunk.limits,), now), trunk.admit("+11")
    permit.mark_sent(now)
    call.mark_sent(now)
    return permit, call


def chosen(route: Route, now: float, calls: int, avoid: tuple[str, ...] = ()) -> str:
    """Which trunks so many calls go by, 1/20 s apart."""
    names = ""
    for n in range(calls):
        trunk = route.choose(now + n / 20, avoid)
        send(trunk, now + n / 20)
        names += trunk.name
    return names


def test_a_call_goes_by_the_first_group_that_takes_it() -> None:
    route, by_name = route_over("a", "b")
    assert chosen(route, 0.0, 12) == "a" * 10 + "b" * 2
    by_name["b"].note_condition(False, "gone")
    block = route.blocked_by(2.0)
    assert block is not None
    assert block.code == "trunk_channels"


def test_calls_go_evenly_over_the_trunks_of_a_group() -> None:
    route, _ = route_over("abc")
    assert Counter(chosen(route, 0.0, 30)) == {"a": 10, "b": 10, "c": 10}


def test_a_trunk_of_more_channels_gets_more_calls() -> None:
    large, small = Trunk(TrunkSettings("l", 30, 100)), Trunk(TrunkSettings("s", 10, 100))
    route = Route("route", [[large, small]])
    assert Counter(chosen(route, 0.0, 20)) == {"l": 15, "s": 5}


def test_trunks_with_nothing_to_do_take_turns() -> None:
    route, _ = route_over("abc")
    names = ""
    for n in range(6):
        trunk = route.choose(float(n))
        permit, _call = send(trunk, float(n))
        permit.release()
        names += trunk.name
    assert names == "abcabc"


def test_a_trunk_to_be_avoided_is_taken_only_where_no_other_takes_the_call() -> None:
    route, by_name = route_over("a", "b")
    assert chosen(route, 0.0, 1, ("a",)) == "b"
    assert route.has_other(("a",), 1.0)
    by_name["b"].note_condition(False, "gone")
    assert chosen(route, 1.0, 1, ("a",)) == "a"
    assert not route.has_other(("a",), 2.0)


def test_trunks_that_have_all_refused_a_call_are_asked_again_in_turn() -> None:
    route, _ = route_over("a", "bc")
    refused: list[str] = []
    for n in range(7):
        refused.append(route.choose(float(n), refused).name)
    assert "".join(refused) == "abcabca"


def test_the_blocker_is_that_of_the_trunk_that_is_up_and_free_soonest() -> None:
    route, by_name = route_over("a", "b", "c")
    by_name["a"].note_condition(False, "gone")
    send(by_name["b"], 0.0)[1].note_refusal("pace", 60.0, 0.0)
    send(by_name["c"], 0.0)[1].note_refusal("pace", 30.0, 0.0)
    block = route.blocked_by(1.0)
    assert block is not None
    assert (block.code, block.until, block.line) == ("trunk_cps", 30.0, route)


def test_a_full_trunk_is_free_sooner_than_one_that_asked_for_a_long_pause() -> None:
    route, by_name = route_over("ab")
    for n in range(10):
        send(by_name["a"], n / 20)
    send(by_name["b"], 0.0)[1].note_refusal("pace", 60.0, 0.0)
    block = route.blocked_by(1.0)
    assert block is not None
    assert (block.code, block.until) == ("trunk_channels", math.inf)


def test_a_route_none_of_whose_trunks_is_up_says_why_and_until_when() -> None:
    route, by_name = route_over("ab")
    by_name["a"].note_condition(False, "Its probes are not answered.")
    call = send(by_name["b"], 0.0)[1]
    call.note_silence(32.0)
    call.close()
    block = route.blocked_by(32.0)
    assert block is not None
    assert (block.code, block.until, block.line) == ("trunk_down", 34.0, None)
    assert route.down_by(32.0) == block


def test_a_single_trunk_is_a_route_of_one() -> None:
    by_name = trunks("a", "b")
    routes = make_routes(by_name, [RouteSettings("both", (("b",), ("a",)))])
    assert {name: [t.name for t in route.trunks] for name, route in routes.items()} == {
        "a": ["a"],
        "b": ["b"],
        "both": ["b", "a"],
    }


@pytest.mark.parametrize(
    "settings",
    [
        RouteSettings("a", (("b",),)),
        RouteSettings("r", ()),
        RouteSettings("r", ((),)),
        RouteSettings("r", (("a", "x"),)),
    ],
)
def test_a_route_that_cannot_be_is_refused(settings: RouteSettings) -> None:
    with pytest.raises(ValueError, match=settings.name):
        make_routes(trunks("a", "b"), [settings])


States = st.lists(
    st.sampled_from(["free", "unusable", "full", "paused", "silent", "fast", "trial"]),
    min_size=1,
    max_size=4,
)


def put_into(trunk: Trunk, state: str) -> None:
    match state:
        case "unusable":
            trunk.note_condition(False, "gone")
        case "full":
            for n in range(10):
                send(trunk, n / 1000)
        case "paused":
            send(trunk, 0.0)[1].note_refusal("pace", 50.0, 0.5)
        case "silent" | "trial":
            send(trunk, 0.0)[1].note_silence(0.5)
        case "fast":
            send(trunk, 0.999)
    if state == "trial":
        trunk._down_until = 0.9
        trunk.admit("+11")


@given(States, st.sampled_from([1.0, 1.5, 60.0]))
def test_what_lets_a_call_go_and_what_explains_why_not_never_disagree(
    states: list[str], now: float
) -> None:
    made = [
        Trunk(TrunkSettings(f"t{n}", 10, 0.5 if state == "fast" else 100))
        for n, state in enumerate(states)
    ]
    for trunk, state in zip(made, states, strict=True):
        put_into(trunk, state)
    route = Route("route", [made[:2], made[2:]])
    shared, did = limits_of_engine(100, 100), limits_of_did(100, 100, ())
    block = find_line_blocker(route, (shared,), did, now)
    takers = [trunk for trunk in made if trunk.blocked_by(now) is None]
    assert (block is None) == bool(takers)
    if takers:
        assert route.choose(now) in takers
    else:
        assert block is not None
        assert block.code in {"trunk_down", "trunk_cps", "trunk_channels"}


async def test_who_waits_for_a_route_is_let_go_when_any_of_its_trunks_takes_a_call(
    autojump_clock: MockClock,
) -> None:
    route, by_name = route_over("ab")
    permits = [send(trunk, trio.current_time()) for trunk in by_name.values() for _ in range(10)]
    times: list[float] = []

    async def wait() -> None:
        await route.wait_turn()
        times.append(trio.current_time())
        send(route.choose(trio.current_time()), trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(wait)
        await trio.sleep(30)
        permits[15][0].release()
        await trio.sleep(30)
        permits[3][0].release()
    assert times == [pytest.approx(30.0), pytest.approx(60.0)]


async def test_nobody_waits_in_line_for_trunks_that_are_down(autojump_clock: MockClock) -> None:
    route, by_name = route_over("ab")
    for trunk in by_name.values():
        trunk.note_condition(False, "gone")
    with trio.fail_after(1):
        await route.wait_turn()
