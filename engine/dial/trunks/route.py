"""A route: trunks by priority, of which each call goes by one that takes it this moment.

A single trunk is a route of one. Whether any trunk takes a call and which one it is come from the same
questions, asked at the same moment; a call that failed on one trunk and goes on to another is a new
attempt, which asks all of them anew.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import trio
from msgspec import Struct

from engine.dial.limits.line import SECOND_LEG, FairLine, Patience, is_long
from engine.dial.limits.party import LEAD_S, Block
from engine.dial.trunks.trunk import Trunk
from engine.schedule.turns import Claimant

CHECK_S: Final = 1.0
"""How often the first in line looks again at the least: a trunk may have come up meanwhile."""
CALL_GUESS_S: Final = 2.0
"""How soon a channel is taken to be free, where trunks are compared; calls end without saying when."""


class RouteSettings(Struct, frozen=True):
    """What the engine must know of a route."""

    name: str
    """Unlike that of any trunk: a DID names either."""
    groups: tuple[tuple[str, ...], ...]
    """Names of trunks, by priority; those of one group are equals."""


class Route:
    """The trunks of a route. All times are `trio.current_time()`."""

    def __init__(self, name: str, groups: Sequence[Sequence[Trunk]]) -> None:
        assert any(groups), "a route has a trunk"
        self.name = name
        self.groups = tuple(tuple(group) for group in groups)
        self.trunks = tuple(trunk for group in self.groups for trunk in group)
        self._turns = dict.fromkeys(self.trunks, 0)
        """When each trunk was chosen last, counted in choices."""
        self._choices = 0
        self._line = FairLine()
        self._is_closed = False
        for trunk in self.trunks:
            trunk.limits.on_change.append(self._look_again)

    @property
    def taken_at(self) -> float:
        """As `engine.dial.limits.party.Line` has it."""
        return max(trunk.limits.taken_at for trunk in self.trunks)

    def blocked_by(self, now: float) -> Block | None:
        """What keeps a call from any of the trunks now, as that trunk says it that seems to be free
        soonest; None where one takes it."""
        soonest: Block | None = None
        for trunk in self.trunks:
            block = trunk.blocked_by(now)
            if block is None:
                return None
            if soonest is None or _rank(block, now) < _rank(soonest, now):
                soonest = block
        assert soonest is not None
        line = None if soonest.line is None else self
        return Block(soonest.code, soonest.until, line, soonest.detail)

    def choose(self, now: float, refused_by: Sequence[str] = ()) -> Trunk:
        """The trunk that the next call goes by, which nothing blocks: of the first group that has one, the
        one with the smallest share of its channels in use; of several, the one whose last turn is the
        longest ago.

        Args:
            refused_by: names of trunks that refused this call before, the latest last. They are taken only
                where no other takes it, and in turn: what one refuses for ever another may take later.
        """
        if len(self.trunks) == 1:
            return self.trunks[0]
        free = [
            (trunk, rank)
            for rank, group in enumerate(self.groups)
            for trunk in group
            if trunk.blocked_by(now) is None
        ]
        refused_at = {name: n for n, name in enumerate(refused_by)}
        chosen, _ = min(
            free,
            key=lambda one: (refused_at.get(one[0].name, -1), one[1], *self._load(one[0])),
        )
        self._choices += 1
        self._turns[chosen] = self._choices
        return chosen

    def has_other(self, avoid: Collection[str], now: float) -> bool:
        """Whether a trunk that is not to be avoided takes a call now."""
        return any(
            trunk.name not in avoid and trunk.blocked_by(now) is None for trunk in self.trunks
        )

    def down_by(self, now: float) -> Block | None:
        """Why no trunk is up; None while one is."""
        blocks = [trunk.down_by(now) for trunk in self.trunks]
        down = [block for block in blocks if block is not None]
        return None if len(down) < len(blocks) else min(down, key=lambda block: block.until)

    async def wait_turn(
        self, patience: Patience | None = None, claimant: Claimant = SECOND_LEG
    ) -> None:
        """As `engine.dial.limits.party.Line` has it. Returns too when no trunk is up."""
        await self._line.wait(claimant, patience or Patience(), self._wait_until)

    async def wait_eased(self, until: float) -> None:
        """As `engine.dial.limits.party.Line` has it. It returns before, as a trunk may have come up."""
        await trio.sleep_until(min(until - LEAD_S, trio.current_time() + CHECK_S))

    def close(self) -> None:
        """Another takes its place: whoever waits here looks where to wait from now on."""
        self._is_closed = True
        for trunk in self.trunks:
            trunk.limits.on_change.remove(self._look_again)
        self._look_again()

    def _wait_until(self, now: float, patience_s: float) -> float | None:
        if self._is_closed:
            return None
        block = self.blocked_by(now)
        if block is None or block.line is None or is_long(block.until, now, patience_s):
            return None
        return min(block.until - LEAD_S, now + CHECK_S)

    def _load(self, trunk: Trunk) -> tuple[float, int]:
        channels = trunk.limits.channels
        assert channels is not None
        return trunk.limits.in_use / channels, self._turns[trunk]

    def _look_again(self) -> None:
        self._line.look_again()


def _rank(block: Block, now: float) -> tuple[bool, float]:
    """By which of several blocks is said to hold a call: that of a trunk that is up, and ends first."""
    is_channel = block.line is not None and math.isinf(block.until)
    return block.line is None, now + CALL_GUESS_S if is_channel else block.until


def make_routes(trunks: Mapping[str, Trunk], settings: Iterable[RouteSettings]) -> dict[str, Route]:
    """By name: each trunk as a route of one, and the routes over several. Raises ValueError for a route
    that has a trunk's name, or another route's, no trunk at all, or one that is not there."""
    several = tuple(settings)
    check_routes(trunks, several)
    routes = {name: Route(name, [[trunk]]) for name, trunk in trunks.items()}
    for one in several:
        routes[one.name] = Route(one.name, [[trunks[name] for name in g] for g in one.groups])
    return routes


def check_routes(trunks: Collection[str], settings: Sequence[RouteSettings]) -> None:
    """Raises as `make_routes`."""
    names = set(trunks)
    for one in settings:
        missing = [name for group in one.groups for name in group if name not in trunks]
        if missing or not any(one.groups):
            raise ValueError(f"the route {one.name} goes over no trunk {' '.join(missing)}".strip())
        if one.name in names:
            raise ValueError(f"there are two trunks or routes named {one.name}")
        names.add(one.name)
