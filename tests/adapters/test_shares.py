from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st

from adapters.shares import Shares


async def test_who_is_greedy_leaves_slots_to_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Two accounts ask for 1,000 slots each, and give none back; a third gets its own at once."""
    shares = Shares(100)
    got: list[str] = []

    async def hold(account: str) -> None:
        async with shares.slot(account):
            got.append(account)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for account in ("a", "b"):
            for _ in range(1_000):
                nursery.start_soon(hold, account)
            await trio.testing.wait_all_tasks_blocked()
        assert (got.count("a"), got.count("b")) == (50, 25)
        with trio.fail_after(1):
            async with shares.slot("c"):
                nursery.cancel_scope.cancel()


async def test_a_slot_that_is_given_back_goes_to_who_waits_longest_and_may_have_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shares = Shares(2)
    told: list[str] = []

    async def hold(account: str, seconds: float) -> None:
        async with shares.slot(account):
            told.append(account)
            await trio.sleep(seconds)

    async with trio.open_nursery() as nursery:
        for account in ("a", "b", "a", "c", "b"):
            nursery.start_soon(hold, account, 10)
            await trio.testing.wait_all_tasks_blocked()
    assert sorted(told) == ["a", "a", "b", "b", "c"]
    assert trio.current_time() <= 50


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.integers(1, 9)), max_size=30)
)
def test_slots_are_never_more_than_there_are_and_none_is_lost(
    wishes: list[tuple[str, int, int]],
) -> None:
    """Whoever leaves while it waits included."""
    shares, most = Shares(3), 0

    async def hold(account: str, seconds: int, patience: int) -> None:
        nonlocal most
        with trio.move_on_after(patience):
            async with shares.slot(account):
                most = max(most, sum(shares._held.values()))
                await trio.sleep(seconds)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for wish in wishes:
                nursery.start_soon(hold, *wish)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert most <= 3
    assert (shares._free, dict(shares._held), list(shares._waiting)) == (3, {}, [])
