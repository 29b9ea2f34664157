"""No call leaves from a DID that rests."""

from __future__ import annotations

from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Answered, Asked, Entry, Fact, Invite, Told


class RestRules(Rules):
    """A rest that an operator orders holds from the answer on, one that the engine finds needful from when
    it is told; both until the DID is told of again, or somebody asks for that."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._resting: set[str] = set()

    def read(self, entry: Entry) -> None:
        match entry:
            case Answered(what="rest_did", answer="done"):
                self._resting.add(entry.whom)
            case Asked(what="rest_did" | "resume_did"):
                self._resting.discard(entry.whom)

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        did = fact.data.did
        if told.type == "did.resting" and did is not None and fact.data.reason != "operator":
            self._resting.add(did)
        elif told.type == "did.resumed" and did is not None:
            self._resting.discard(did)

    def invited(self, invite: Invite, call: Call | None) -> None:
        if invite.caller in self._resting:
            what = f"{invite.attempt} from {invite.caller} at {invite.at:.3f}"
            self.case.note("no call leaves from a DID that rests", what)
