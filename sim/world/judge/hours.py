"""Nobody is called in a closed window."""

from __future__ import annotations

from collections.abc import Sequence

from engine.model import CallingWindow, windows_of
from sim.world.hours import may_call
from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Invite


class HourRules(Rules):
    """Those of every call, at the moment at which it left."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._parties: dict[str, list[tuple[Sequence[CallingWindow], str]]] = {}
        """By flow: the windows of its account and its own, and each one's zone."""
        for flow in case.flows.values():
            account = case.accounts[flow.account]
            parties = [
                (windows_of(account.rules.calling_window), account.timezone),
                (windows_of(flow.settings.calling_window), flow.timezone),
            ]
            self._parties[flow.id] = [one for one in parties if one[0]]

    def invited(self, invite: Invite, call: Call | None) -> None:
        parties = None if call is None else self._parties[call.attempt.flow]
        if parties and not may_call(invite.number, parties, invite.wall_at):
            what = f"{invite.number} at {invite.wall_at:.1f}"
            self.case.note("nobody is called in a closed window", what)
