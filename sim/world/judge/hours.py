"""Nobody is called in a closed window."""

from __future__ import annotations

from collections.abc import Iterator

from engine.model import windows_of
from sim.world.hours import may_call
from sim.world.judge.case import Breach, Case


def judge_hours(case: Case) -> Iterator[Breach]:
    """Of every call, at the moment at which it left."""
    for invite in case.invites:
        attempt = case.attempts.get(invite.attempt)
        if attempt is None:
            continue
        flow = case.flows[attempt.flow]
        account = case.accounts[flow.account]
        parties = [
            (windows_of(account.rules.calling_window), account.timezone),
            (windows_of(flow.settings.calling_window), flow.timezone),
        ]
        if not may_call(invite.number, parties, invite.wall_at):
            yield Breach(
                "nobody is called in a closed window", f"{invite.number} at {invite.wall_at:.1f}"
            )
