"""How a long-running command is stopped from outside."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Where nobody says what else SIGHUP is for."""


@asynccontextmanager
async def open_stoppable_nursery(
    on_stop: Callable[[], None] = lambda: None,
    on_hangup: Callable[[], None] | None = None,
) -> AsyncIterator[trio.Nursery]:
    """A nursery that is cancelled by the first signal that asks to end; `on_stop` is called before. SIGHUP is
    one of those, unless there is an `on_hangup`, which is then called at each.

    Later signals change nothing, until the process ends: what is being finished then is bounded already,
    and calls that are up still want their BYE.
    """
    with _deaf_once_stopped() as note_stop, trio.open_signal_receiver(*STOP_SIGNALS) as signals:
        # The one who listens is outside of what is cancelled. A receiver that closed with it would give
        # the signals back to the system, and the second one would kill.
        async with trio.open_nursery() as listening:

            async def listen() -> None:
                async for number in signals:
                    if number != signal.SIGHUP or on_hangup is None:
                        break
                    on_hangup()
                note_stop()
                on_stop()
                nursery.cancel_scope.cancel()
                async for _ in signals:
                    pass

            async with trio.open_nursery() as nursery:
                listening.start_soon(listen)
                yield nursery
            listening.cancel_scope.cancel()


@contextmanager
def _deaf_once_stopped() -> Iterator[Callable[[], None]]:
    """Restores what was done with the signals before, unless what it gives has been called: then they
    are ignored from here on, since nothing is left to do but to end."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    stopped = False

    def note_stop() -> None:
        nonlocal stopped
        stopped = True

    try:
        yield note_stop
    finally:
        if not stopped:
            for number, handler in before.items():
                signal.signal(number, handler)
