"""How a bridge over two planes takes its streams, without any plane."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from adapters.media import control
from adapters.media.bridging import bridge
from adapters.media.types import PlaneUnavailable, Remote


class SlowHome:
    """A plane that takes its time for a stream, or has none in the end."""

    def __init__(self, takes_s: float, *, has_any: bool = True) -> None:
        self.join_host = "127.0.0.1"
        self.given: list[PlainStream] = []
        self._takes_s = takes_s
        self._has_any = has_any

    async def take_stream(self) -> PlainStream:
        await trio.sleep(self._takes_s)
        if not self._has_any:
            raise PlaneUnavailable("no stream is free")
        self.given.append(PlainStream(self, len(self.given) + 1))
        return self.given[-1]


class PlainStream:
    """A stream that notes what its plane is told of it."""

    is_playing = False

    def __init__(self, home: SlowHome, number: int = 0, lasts_s: float = math.inf) -> None:
        self.home = home
        self.number = number
        self.port = 20_000 + number
        self.is_bridged = False
        self.told: list[control.Command] = []
        self.remotes: list[Remote] = []
        self.post: Callable[[control.Command], None] = self.told.append
        self._lasts_s = lasts_s

    def connect_certainly(self, remote: Remote) -> None:
        self.remotes.append(remote)

    async def wait_over(self) -> None:
        await trio.sleep(self._lasts_s)


async def test_a_bridge_over_two_planes_takes_its_streams_at_once(
    autojump_clock: MockClock,
) -> None:
    near, far = SlowHome(1.0), SlowHome(0.9)
    await bridge(PlainStream(near, lasts_s=1.5), PlainStream(far))
    assert trio.current_time() == pytest.approx(1.0 + 1.5)
    [joins_near], [joins_far] = near.given, far.given
    assert joins_near.remotes[0].port == joins_far.port
    assert joins_far.remotes[0].port == joins_near.port
    assert joins_near.told[-1] == control.Close(joins_near.number)


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_bridge_that_one_plane_has_no_stream_for_closes_that_of_the_other(
    autojump_clock: MockClock, is_first: bool
) -> None:
    full, other = SlowHome(0.5, has_any=False), SlowHome(0.1)
    streams = [PlainStream(full), PlainStream(other)]
    with pytest.raises(PlaneUnavailable, match="no stream is free"):
        await bridge(*(streams if is_first else reversed(streams)))
    assert [one.told for one in other.given] == [[control.Close(1)]]
    assert not any(one.is_bridged for one in streams)
