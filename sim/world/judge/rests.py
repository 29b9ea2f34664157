"""No call leaves from a DID that rests."""

from __future__ import annotations

from collections.abc import Iterator

from sim.world.judge.case import Breach, Case
from sim.world.tape import Answered, Asked, Invite, Told, read_event


def judge_rests(case: Case) -> Iterator[Breach]:
    """A rest that an operator orders holds from the answer on, one that the engine finds needful from when
    it is told; both until the DID is told of again, or somebody asks for that."""
    resting: set[str] = set()
    for entry in case.entries:
        match entry:
            case Answered(what="rest_did", answer="done"):
                resting.add(entry.whom)
            case Asked(what="rest_did" | "resume_did"):
                resting.discard(entry.whom)
            case Told(type="did.resting"):
                data = read_event(entry)["data"]
                if data["reason"] != "operator":
                    resting.add(data["did"])
            case Told(type="did.resumed"):
                resting.discard(read_event(entry)["data"]["did"])
            case Invite() if entry.caller in resting:
                yield Breach(
                    "no call leaves from a DID that rests",
                    f"{entry.attempt} from {entry.caller} at {entry.at:.3f}",
                )
