"""Bridges between streams, on one plane or on two.

Two streams of one process are bridged by it alone. Streams of two processes are joined over a further
stream on each: `a ~ a'` on one and `b' ~ b` on the other are bridged, and a' and b' send to each other
over this machine's own network, as any two callees would. They last as long as the bridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, Protocol

import trio

from adapters.media import control
from adapters.media.types import Remote

JOIN_EVENT: Final = 101
"""The payload type of telephone events between two planes: keys go through as such, whatever becomes
of them at the ends."""


class Bridgeable(Protocol):
    """A stream, as far as a bridge has to know it."""

    is_bridged: bool

    @property
    def number(self) -> int:
        """What its plane calls it."""

    @property
    def port(self) -> int:
        """Where it is heard on this machine."""

    @property
    def home(self) -> Home:
        """The process that it lives on."""

    @property
    def post(self) -> Callable[[control.Command], None]:
        """Sends a command to its plane."""

    @property
    def is_playing(self) -> bool:
        """Whether a prompt plays."""

    def connect_certainly(self, remote: Remote) -> None:
        """Connect to another stream of this machine."""

    async def wait_over(self) -> None:
        """Return when the plane has the stream no longer, whatever the reason."""


class Home(Protocol):
    """The process that a stream lives on, as far as a bridge has to know it."""

    @property
    def join_host(self) -> str:
        """The address at which its streams are reached by those of other planes of this machine."""

    async def take_stream(self) -> Bridgeable:
        """A further stream. Raises `PlaneUnavailable`."""


async def bridge(stream: Bridgeable, other: Bridgeable) -> None:
    """Relay between two streams until either is over; cancelling it parts them.

    Raises `ValueError` for one stream twice, `trio.BusyResourceError` where one of them plays or is
    bridged, and `PlaneUnavailable` where two planes cannot be joined.
    """
    if stream is other:
        raise ValueError("a stream cannot be bridged to itself")
    both = (stream, other)
    if any(one.is_playing or one.is_bridged for one in both):
        raise trio.BusyResourceError("a stream that plays or is bridged cannot be bridged")
    with ExitStack() as stack:
        for one in both:
            stack.enter_context(_claimed(one))
        if stream.home is other.home:
            stack.enter_context(_relayed(stream, other))
            ends: tuple[Bridgeable, ...] = both
        else:
            near, far = await _take_streams(stream.home, other.home, stack)
            near.connect_certainly(Remote(other.home.join_host, far.port, 0, JOIN_EVENT))
            far.connect_certainly(Remote(stream.home.join_host, near.port, 0, JOIN_EVENT))
            stack.enter_context(_relayed(stream, near))
            stack.enter_context(_relayed(other, far))
            ends = (*both, near, far)
        async with trio.open_nursery() as nursery:
            for one in ends:
                nursery.start_soon(_cancel_when_over, one, nursery.cancel_scope)


async def _take_streams(home: Home, other: Home, stack: ExitStack) -> tuple[Bridgeable, Bridgeable]:
    """A stream of each of two processes, both asked for at once, that `stack` closes. Raises
    `PlaneUnavailable`."""
    taken: dict[Home, Bridgeable] = {}
    faults: list[Exception] = []
    async with trio.open_nursery() as nursery:

        async def take(home: Home) -> None:
            # Caught inside, so that it leaves as it is and not as a group of one.
            try:
                taken[home] = stack.enter_context(_closed_at_last(await home.take_stream()))
            except Exception as fault:
                faults.append(fault)
                nursery.cancel_scope.cancel()

        nursery.start_soon(take, home)
        nursery.start_soon(take, other)
    if faults:
        raise faults[0]
    return taken[home], taken[other]


async def _cancel_when_over(stream: Bridgeable, scope: trio.CancelScope) -> None:
    await stream.wait_over()
    scope.cancel()


@contextmanager
def _claimed(stream: Bridgeable) -> Iterator[None]:
    stream.is_bridged = True
    try:
        yield
    finally:
        stream.is_bridged = False


@contextmanager
def _relayed(stream: Bridgeable, other: Bridgeable) -> Iterator[None]:
    """Relay between two streams of one plane for as long as the block lasts."""
    stream.post(control.Bridge(stream.number, other.number))
    try:
        yield
    finally:
        stream.post(control.Part(stream.number, other.number))


@contextmanager
def _closed_at_last(stream: Bridgeable) -> Iterator[Bridgeable]:
    """A stream that is closed in the end, without waiting for the plane's last word of it."""
    try:
        yield stream
    finally:
        stream.post(control.Close(stream.number))
