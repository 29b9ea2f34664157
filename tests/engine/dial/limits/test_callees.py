"""The caps on calls of one callee, against a list of all calls that is counted through."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.dial.limits.callees import LOOK_AGAIN_S, CalleeBook, Callees
from engine.dial.limits.windows import GUARD_S
from engine.model import CALLEE_CALLS_MAX, Attempt, CalleeCap
from engine.ports.dial_store import PastCall
from engine.ports.stored import StoreUnavailable
from tests.contract.store_samples import a_contact, an_attempt
from tests.engine.world import VirtualClock, make_store

ZOE, YAN, XI = "+14155550101", "+14155550102", "+14155550103"
CAPS = (CalleeCap(2, 100.0), CalleeCap(3, 1_000.0))


class Written:
    """The attempts that were written down, as the store answers for them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, PastCall]] = []
        self.questions: list[list[str]] = []

    def add(self, account: str, number: str, attempt: str, at: float) -> None:
        self.calls.append(
            (account, number, PastCall(attempt, VirtualClock().now() - at_now() + at))
        )

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        await trio.lowlevel.checkpoint()
        self.questions.append([*numbers])
        return {
            number: tuple(
                call for who, whom, call in self.calls[::-1] if (who, whom) == (account, number)
            )
            for number in numbers
        }


def at_now() -> float:
    return trio.current_time()


steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 60.0, 99.0, 101.0, 500.0]),
        st.sampled_from(["acc_1", "acc_2"]),
        st.sampled_from([ZOE, YAN, XI]),
        st.sampled_from(["leaves", "leaves", "stays", "full", "restart"]),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(steps)
def test_calls_are_let_go_just_as_often_as_a_count_of_every_window_allows(
    happenings: list[tuple[float, str, str, str]],
) -> None:
    async def play() -> None:
        written, clock = Written(), VirtualClock()
        book = CalleeBook(numbers_max=2, calls_max=3)
        left: list[tuple[float, str, str]] = []
        for place, (wait_s, account, number, happening) in enumerate(happenings):
            await trio.sleep(wait_s + 0.5)
            if happening == "restart":
                await trio.sleep(6)  # what left is counted from 5 s after its intent
                book = CalleeBook(numbers_max=2, calls_max=3)
            callees = Callees(book, account, CAPS)
            await callees.learn(written, clock, [number])  # type: ignore[arg-type]
            assert not callees.is_unknown(number)
            now = trio.current_time()
            own = [at for at, who, whom in left if (who, whom) == (account, number)]
            is_full = any(
                sum(at > now - cap.per_s - GUARD_S for at in own) >= cap.calls for cap in CAPS
            )
            block = callees.blocked_by(number, now)
            if block is None:
                assert not is_full
            else:
                # What is looked up is known by its intent only, and counts for longer by as much.
                assert any(
                    sum(at > now - cap.per_s - GUARD_S - 5.0 for at in own) >= cap.calls
                    for cap in CAPS
                )
                assert block.until > now
                continue
            attempt = f"att_{place}"
            call = callees.take(number, attempt)
            written.add(account, number, attempt, now)
            if happening != "stays":
                call.mark_sent(now)
                left.append((now, account, number))
            call.release()
            if happening in ("stays", "full"):
                # Nobody was reached, and the store does not answer for it.
                written.calls.pop()
            if happening == "full":
                left.pop()
                book.forget(_attempt(account, number, attempt))
            assert len(book) <= 2
            assert book._idle_calls == sum(len(page.calls) for page in book._idle.values())
            assert len(book) == 1 or book._idle_calls <= 3

    trio.run(play, clock=MockClock(autojump_threshold=0))


def _attempt(account: str, number: str, id_: str) -> Attempt:
    attempt = an_attempt(a_contact(1))
    return msgspec.structs.replace(attempt, account=account, number=number, id=id_)


async def test_a_call_that_leaves_while_its_number_is_looked_up_counts_once(
    autojump_clock: MockClock,
) -> None:
    """Whether or not the store has it by then, and though it is over before the answer."""
    for is_in_answer in (False, True):
        book, written = CalleeBook(), Written()
        callees, others = Callees(book, "acc_1", CAPS), Callees(book, "acc_1", ())

        class Slow(Written):
            async def past_calls(
                self, account: str, numbers: Sequence[str]
            ) -> dict[str, tuple[PastCall, ...]]:
                call = others.take(ZOE, "att_1")  # noqa: B023 - it is called at once
                call.mark_sent(trio.current_time())
                call.release()
                if is_in_answer:  # noqa: B023
                    written.add(account, ZOE, "att_1", trio.current_time())  # noqa: B023
                return await written.past_calls(account, numbers)  # noqa: B023

        await callees.learn(Slow(), VirtualClock(), [ZOE])  # type: ignore[arg-type]
        assert callees.blocked_by(ZOE, trio.current_time()) is None
        others.take(ZOE, "att_2").mark_sent(trio.current_time())
        assert callees.blocked_by(ZOE, trio.current_time()) is not None


async def test_while_a_call_goes_on_that_may_not_count_its_number_is_looked_at_again_soon(
    autojump_clock: MockClock,
) -> None:
    callees = Callees(CalleeBook(), "acc_1", (CalleeCap(1, 86_400.0),))
    await callees.learn(Written(), VirtualClock(), [ZOE])  # type: ignore[arg-type]
    call = callees.take(ZOE, "att_1")
    for _ in range(2):
        block = callees.blocked_by(ZOE, 10.0)
        assert block is not None
        assert (block.code, block.until) == ("callee_cap", 10.0 + LOOK_AGAIN_S)
        call.mark_sent(1.0)
    call.release()
    block = callees.blocked_by(ZOE, 10.0)
    assert block is not None
    assert block.until == 1.0 + 86_400.0 + GUARD_S
    assert block.detail == "The number was called once in 86400 s, as often as it may be."


async def test_many_numbers_are_looked_up_in_one_question_and_once(
    autojump_clock: MockClock,
) -> None:
    written = Written()
    callees = Callees(CalleeBook(), "acc_1", CAPS)
    await callees.learn(written, VirtualClock(), [ZOE, YAN, ZOE])  # type: ignore[arg-type]
    await callees.learn(written, VirtualClock(), [YAN, XI])  # type: ignore[arg-type]
    await callees.learn(written, VirtualClock(), [YAN, XI])  # type: ignore[arg-type]
    assert written.questions == [[ZOE, YAN], [XI]]
    nobody = Callees(CalleeBook(), "acc_1", ())
    await nobody.learn(written, VirtualClock(), [ZOE])  # type: ignore[arg-type]
    assert len(written.questions) == 2


async def test_a_store_that_cannot_answer_leaves_a_number_unknown(
    autojump_clock: MockClock,
) -> None:
    class Broken(Written):
        async def past_calls(
            self, account: str, numbers: Sequence[str]
        ) -> dict[str, tuple[PastCall, ...]]:
            raise StoreUnavailable

    book = CalleeBook()
    callees = Callees(book, "acc_1", CAPS)
    with pytest.raises(StoreUnavailable):
        await callees.learn(Broken(), VirtualClock(), [ZOE])  # type: ignore[arg-type]
    assert callees.is_unknown(ZOE)
    assert len(book) == 0


async def test_what_is_kept_of_one_number_is_bounded(autojump_clock: MockClock) -> None:
    book = CalleeBook()
    callees = Callees(book, "acc_1", (CalleeCap(CALLEE_CALLS_MAX, 1e6),))
    await callees.learn(make_store(), VirtualClock(), [ZOE])
    for place in range(CALLEE_CALLS_MAX + 20):
        call = callees.take(ZOE, f"att_{place}")
        call.mark_sent(float(place))
        call.release()
    block = callees.blocked_by(ZOE, 1_000.0)
    assert block is not None
    assert block.until == 20.0 + 1e6 + GUARD_S
    [page] = book._idle.values()
    assert len(page.calls) == CALLEE_CALLS_MAX


async def test_what_is_kept_of_all_numbers_is_bounded(autojump_clock: MockClock) -> None:
    """Numbers that are called again and again are forgotten for others, and not only new ones."""
    book = CalleeBook(numbers_max=10, calls_max=12)
    for place in range(60):
        number = f"+1415555{place % 6:04}"
        call = book.take("acc_1", number, f"att_{place}")
        call.mark_sent(float(place))
        call.release()
        assert book._idle_calls == sum(len(page.calls) for page in book._idle.values()) <= 12
    assert ("acc_1", number) in book._idle


async def test_whoever_is_asked_for_first_is_known_then_however_often_the_others_were_called(
    autojump_clock: MockClock,
) -> None:
    """A contact is looked up with those behind it: forgotten for them, it would be looked up for ever."""
    written = Written()
    for place in range(9):
        written.add("acc_1", (ZOE, YAN, XI)[place % 3], f"att_{place}", trio.current_time())
    callees = Callees(CalleeBook(calls_max=7), "acc_1", CAPS)
    await callees.learn(written, VirtualClock(), [ZOE, YAN, XI])  # type: ignore[arg-type]
    assert [callees.is_unknown(number) for number in (ZOE, YAN, XI)] == [False, False, True]
