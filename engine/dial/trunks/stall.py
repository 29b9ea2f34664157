"""A call that came to nothing for want of the network: no answer at all, or a refusal for want of capacity.

Whose fault it is decides what follows. Where the trunk took nothing else either, it is the trunk's, which
rests or is slowed down, and the contact waits for as long as that lasts. Where it took the calls of others
meanwhile, it is the number's: that is counted, and `engine.schedule.retry` gives the number up after
`STALLS_MAX` of them in a row. Else a number whose own network is dead would be dialled for ever.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.dial.trunks.congestion import RETRY_AFTER_MAX_S
from engine.dial.trunks.route import Route
from engine.dial.trunks.trunk import TrunkCall
from engine.model.disposition import Outcome
from engine.ports.telephony import Ended
from engine.schedule.feed import REFUSALS_KEPT, Work
from engine.schedule.retry import congestion_wait_s, stalls_of

MEANWHILE_S: Final = 300.0
"""A trunk that refuses a call takes those of others where it took the latest of them, not longer ago."""
OTHER_WAYS_MAX: Final = 4
"""So often in a row a contact is put back at once because its trunk has another server."""


class Stall(Struct, frozen=True):
    """How one call came to nothing."""

    stalls: int
    """How many calls of its number have, in a row, this one included, while its trunk took other calls."""
    is_silent: bool
    """Whether no answer came at all."""
    has_other_way: bool
    """Whether the trunk has another server for the next call."""
    hold_s: float
    """For how long the refusal asked to be spared; 0 where it did not."""


def tell_trunk(
    call: TrunkCall, ended: Ended, outcome: Outcome, work: Work, now: float
) -> Stall | None:
    """Tell the trunk what the end of a call says of it; what the call came to nothing by, if it did. One
    that broke after its answer says nothing more."""
    return _tell(call, ended, outcome, stalls_of(work.contact), now)


def tell_trunk_of_leg(call: TrunkCall, ended: Ended, outcome: Outcome, now: float) -> None:
    """As `tell_trunk`, of a second leg, which is not tried again."""
    _tell(call, ended, outcome, None, now)


def _tell(
    call: TrunkCall, ended: Ended, outcome: Outcome, stalls: int | None, now: float
) -> Stall | None:
    if ended.how == "unreachable":
        is_numbers = call.is_outlived()
        if not ended.has_other_way:
            call.note_silence(now)
        if outcome.disposition is not None:
            return None
    elif outcome.congestion is not None:
        is_numbers = call.takes_others(now - MEANWHILE_S)
        if ended.has_other_way:
            call.note_server_refusal(now)
        elif stalls is None and not call.is_refused_again():
            call.note_refusal(outcome.congestion, outcome.retry_after_s, now)
        else:
            call.note_repeated_refusal(outcome.congestion, outcome.retry_after_s, now)
    else:
        if ended.how != "lost" and ended.sip_code is not None:
            call.note_answer(now)
        return None
    return Stall(
        stalls=(stalls or 0) + is_numbers,
        is_silent=outcome.disposition is None,
        has_other_way=ended.has_other_way,
        hold_s=min(max(outcome.retry_after_s or 0.0, 0.0), RETRY_AFTER_MAX_S),
    )


def wait_after(
    stall: Stall, work: Work, route: Route, trunk: str, chance: float, now: float
) -> float:
    """Remember that a trunk refused the contact's call or gave no answer, so that the next attempt goes by
    another; how long that waits, in seconds.

    Args:
        trunk: its name.
        chance: 0 to 1.
        now: `trio.current_time()`.
    """
    work.refused_by = (*work.refused_by, trunk)[-REFUSALS_KEPT:]
    if stall.has_other_way and work.refused_by.count(trunk) <= OTHER_WAYS_MAX:
        return 0.0
    rounds = (len(work.refused_by) - 1) // len(route.trunks)
    if stall.is_silent:
        # The first time it is the trunk that waits, being down. A number that never gets an answer
        # waits itself: else it would be the trial of a trunk that it has taken down, again and again.
        rounds -= 1
    if rounds < 0 or route.has_other(work.refused_by, now):
        return 0.0
    # A pause that was asked for is over for others first: whether they are taken then says whose it was.
    return stall.hold_s + congestion_wait_s(rounds, chance)
