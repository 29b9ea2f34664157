"""What a call that came to nothing says of its trunk, and how long its contact waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import pytest

from engine.dial.limits.party import Permit
from engine.dial.trunks.route import Route
from engine.dial.trunks.stall import (
    MEANWHILE_S,
    OTHER_WAYS_MAX,
    Stall,
    tell_trunk,
    tell_trunk_of_leg,
    wait_after,
)
from engine.dial.trunks.trunk import Trunk, TrunkCall, TrunkSettings
from engine.model.disposition import Outcome
from engine.ports.telephony import Ended
from engine.schedule.feed import ListFeed, Work
from tests.engine.made import contact

SILENT: Final = Ended("unreachable")
FULL: Final = Ended("rejected", 503, retry_after_s=300.0)
CONGESTED: Final = Outcome("congested", "either", 300.0)


def a_trunk(name: str = "main") -> Trunk:
    return Trunk(TrunkSettings(name, 1000, 100))


def work(stalls: int | None = None) -> Work:
    tries = {} if stalls is None else {"congested": stalls}
    return Work(contact(tries=tries), ListFeed("acc_1", "flw_1", "lst_1"))


def send(trunk: Trunk, now: float, who: str = "+11") -> TrunkCall:
    """A call that is let go and leaves, and takes no channel for long."""
    call, permit = trunk.admit(who), Permit((trunk.limits,), now)
    permit.mark_sent(now)
    call.mark_sent(now)
    permit.release()
    return call


def take(trunk: Trunk, now: float) -> None:
    """A call of somebody else's that is taken."""
    send(trunk, now, "+12").note_answer(now + 0.1)


def test_silence_is_the_numbers_where_the_trunk_has_answered_another_call_since() -> None:
    for others, stalls in (([], 3), ([-1.0], 3), ([5.0], 4)):
        trunk = a_trunk()
        call = send(trunk, 0.0)
        for at in others:
            take(trunk, at)
        found = tell_trunk(call, SILENT, Outcome(None), work(3), 32.0)
        assert found == Stall(stalls, is_silent=True, has_other_way=False, hold_s=0.0)
        assert (trunk.down_by(32.0) is None) == (stalls == 4)


def test_silence_after_ringing_is_the_callees_and_no_stall() -> None:
    call = send(a_trunk(), 0.0)
    call.note_answer(1.0)
    assert tell_trunk(call, SILENT, Outcome("failed"), work(3), 32.0) is None


def test_a_refusal_is_the_numbers_where_the_trunk_took_the_latest_call_of_another() -> None:
    trunk = a_trunk()

    def stalls_after(now: float) -> int:
        found = tell_trunk(
            send(trunk, now), Ended("rejected", 503), Outcome("congested", "either"), work(3), now
        )
        assert found is not None
        return found.stalls

    assert stalls_after(0.0) == 3
    take(trunk, 10.0)
    assert [stalls_after(20.0), stalls_after(9.0 + MEANWHILE_S)] == [4, 4]
    assert stalls_after(11.0 + MEANWHILE_S) == 3
    take(trunk, 500.0)
    send(trunk, 501.0, "+13").note_refusal("either", None, 501.1)
    assert stalls_after(502.0) == 3
    take(trunk, 503.0)
    assert stalls_after(504.0) == 4


def pause_after(trunk: Trunk, now: float, stalls: int | None) -> float:
    """For how long nothing goes to the trunk after a call that asked for a pause."""
    tell_trunk(send(trunk, now), FULL, CONGESTED, work(stalls), now)
    block = trunk.blocked_by(now + 1)
    return 0.0 if block is None else block.until - now


def test_a_pause_is_the_trunks_unless_one_contact_alone_brings_it_again() -> None:
    trunk = a_trunk()
    take(trunk, 0.0)
    assert pause_after(trunk, 1.0, None) == 300.0
    assert pause_after(trunk, 302.0, 1) == 300.0, "nothing was taken since the last pause"
    take(trunk, 603.0)
    assert pause_after(trunk, 605.0, 1) == 0.0
    send(trunk, 606.0, "+13").note_refusal("either", None, 606.1)
    assert pause_after(trunk, 608.0, 1) == 300.0, "it comes with another's refusal"


def tell_of_a_first_call(call: TrunkCall, now: float) -> None:
    """As of a contact that comes for the first time."""
    tell_trunk(call, FULL, CONGESTED, work(), now)


def tell_of_a_leg(call: TrunkCall, now: float) -> None:
    """As of a second leg, of which nobody keeps what it came to before."""
    tell_trunk_of_leg(call, FULL, CONGESTED, now)


@pytest.mark.parametrize("tell", [tell_of_a_first_call, tell_of_a_leg])
def test_a_pause_that_a_number_asks_for_again_is_not_the_trunks_whoever_calls_it(
    tell: Callable[[TrunkCall, float], None],
) -> None:
    trunk, pauses = a_trunk(), []
    for now in (0.0, 400.0, 800.0):
        take(trunk, now)
        tell(send(trunk, now + 1), now + 1)
        block = trunk.blocked_by(now + 2)
        pauses.append(0.0 if block is None else block.until - now - 1)
    assert pauses == [300.0, 0.0, 0.0]
    send(trunk, 801.5).note_answer(801.6)
    tell(send(trunk, 802.0), 802.0)
    assert trunk.blocked_by(803.0) is not None, "it was taken in between"


@pytest.mark.parametrize("ended", [SILENT, Ended("rejected", 503)])
def test_a_trunk_with_another_server_goes_on_as_if_nothing_had_been(ended: Ended) -> None:
    trunk = a_trunk()
    outcome = Outcome(None) if ended is SILENT else Outcome("congested", "either")
    elsewhere = Ended(ended.how, ended.sip_code, has_other_way=True)
    for n in range(40):
        call = send(trunk, n / 10)
        found = tell_trunk(call, elsewhere, outcome, work(), n / 10)
        call.close()
        assert found == Stall(0, outcome.disposition is None, has_other_way=True, hold_s=0.0)
    assert trunk.blocked_by(5.0) is None
    assert (trunk.limits.channels, trunk._congestion.cps) == (1000, None)


def test_a_contact_goes_at_once_to_another_server_but_not_without_end() -> None:
    trunk, one = a_trunk(), work()
    route = Route("route", [[trunk]])
    stall = Stall(0, is_silent=False, has_other_way=True, hold_s=0.0)
    waits = [wait_after(stall, one, route, "main", 1.0, 0.0) for _ in range(OTHER_WAYS_MAX + 2)]
    assert waits == [0.0] * OTHER_WAYS_MAX + [16.0, 32.0]


def test_a_contact_is_held_for_as_long_as_its_refusal_asked_unless_another_trunk_takes_it() -> None:
    stall = Stall(1, is_silent=False, has_other_way=False, hold_s=300.0)
    alone = Route("route", [[a_trunk()]])
    assert wait_after(stall, work(), alone, "main", 1.0, 0.0) == 301.0
    both = Route("route", [[a_trunk(), a_trunk("second")]])
    one = work()
    assert wait_after(stall, one, both, "main", 1.0, 0.0) == 0.0
    assert wait_after(stall, one, both, "second", 1.0, 0.0) == 301.0


@pytest.mark.parametrize("asked", [-5.0, 1e9, math.inf])
def test_a_hold_has_its_bound(asked: float) -> None:
    call = send(a_trunk(), 0.0)
    found = tell_trunk(call, FULL, Outcome("congested", "either", asked), work(), 0.1)
    assert found is not None
    assert found.hold_s == (0.0 if asked < 0 else 300.0)
