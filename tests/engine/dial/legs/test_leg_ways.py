"""What it costs a second leg to look for a DID, of the many that its flow may have."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from trio.testing import MockClock

from engine.dial.limits.party import Block, Limits
from engine.ports.stored import Conflict
from tests.engine.dial.office import answering, dialer, office
from tests.engine.made import did


async def test_a_leg_that_waits_for_its_trunk_asks_the_trunk_and_not_each_did(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[Limits] = Counter()
    blocked_by = Limits.blocked_by

    def count(limits: Limits, now: float) -> Block | None:
        asked[limits] += 1
        return blocked_by(limits, now)

    dids = [did(number=f"+1415555{n:04d}") for n in range(50)]
    many = msgspec.structs.replace(dialer(), dids=tuple(one.number for one in dids))
    async with office(answering(), many, dids=dids) as one:
        [agent] = await one.hire(1)
        operation = one.world.engine._operation
        [trunk] = operation.trunks.values()
        trunk.limits.channels = 0
        monkeypatch.setattr(Limits, "blocked_by", count)
        with pytest.raises(Conflict, match="could not be called: The trunk"):
            await one.set_presence(agent, "available")
        assert asked[trunk.limits] > 1, "it looks again and again"
        assert max(asked.values()) < 50
        assert not any(asked[actor.limits] for actor in operation.actors.values())
