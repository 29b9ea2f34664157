"""What a call takes of everything that it shares with others, when it is let go."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.dial.blockers import Case
from engine.dial.limits.party import Permit, Taken
from engine.dial.trunks.route import Route
from engine.dial.trunks.trunk import TrunkCall
from engine.model import Did


class Clearance(Struct, frozen=True):
    """Everything that one call takes of what it shares with others."""

    did: Did
    route: Route
    call: TrunkCall
    permit: Permit


def clear(
    case: Case,
    did: Did,
    number: str,
    now: float,
    refused_by: Sequence[str] = (),
    callee: Taken | None = None,
) -> Clearance:
    """Let a call go that nothing keeps from leaving now.

    Args:
        case: what was just asked about, of this DID.
        number: whom it is to.
        refused_by: as of `Route.choose`.
        callee: what it takes of the caps on its callee, if it counts there.
    """
    route = case.route
    assert route is not None
    trunk = route.choose(now, refused_by)
    call = trunk.admit(number)
    parties = (case.did, trunk.limits, *case.shared)
    moment = max(now, *(limits.earliest() for limits in parties))
    assert moment - now < 1.0, "a slot is reserved only when it is near"
    taken: list[Taken] = [] if callee is None else [callee]
    if case.day_caps is not None:
        moment = max(moment, case.day_caps.earliest(number))
        taken.append(case.day_caps.take(number, moment))
    return Clearance(did, route, call, Permit(parties, moment, *taken))
