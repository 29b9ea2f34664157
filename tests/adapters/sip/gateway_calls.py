"""Calls of a trunk that are given a server and fail, as tests of a gateway place them."""

from __future__ import annotations

import trio

from adapters.sip.gateway import Gateway
from adapters.sip.pump import Cause
from adapters.sip.trunk import Line, Trunk
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import Ended
from tests.adapters.sip.errand.desk import CREDENTIALS
from tests.adapters.sip.gateway_office import (
    NAME,
    Office,
    Reply,
)

REFUSED = Cause("refused")
SILENT = Cause("timed_out")
PROBED = Trunk("main", NAME, probe_s=10.0)
REGISTERED = Trunk("main", NAME, credentials=CREDENTIALS, registers=True)
GRANTED = Reply(200, ((b"Contact", b"<sip:alice@192.0.2.1>;expires=600"),))
FOR_EVER = Reply(200, ((b"Contact", b"<sip:alice@192.0.2.1>;expires=100000"),))
HOUR_S = 3600.0


def chosen(gateway: Gateway) -> Line:
    line = gateway.choose(trio.current_time())
    assert line is not None
    return line


def hop_of_next_call(gateway: Gateway) -> Hop | None:
    """Where a call would go that is not placed after all."""
    now = trio.current_time()
    line = gateway.choose(now)
    if line is None:
        return None
    gateway.give_back(line, now, now)
    return line.hop


def fail(gateway: Gateway, office: Office, cause: Cause = SILENT) -> Hop:
    """Place a call that gets no response at all."""
    now = trio.current_time()
    line = chosen(gateway)
    office.causes[line.hop] = cause
    gateway.note_failure(line, now, now)
    return line.hop


def fail_together(gateway: Gateway, office: Office, count: int, cause: Cause) -> list[bool]:
    """Place calls that all are under way when the first of them fails: whether another server can take
    each."""
    now = trio.current_time()
    lines = [chosen(gateway) for _ in range(count)]
    for line in lines:
        office.causes[line.hop] = cause
    return [gateway.note_failure(line, now, now) for line in lines]


def refuse(gateway: Gateway, status: int, retry_after_s: float | None = None) -> tuple[Hop, bool]:
    """Place a call that is refused: by which server, and whether the others can take what it leaves."""
    line = chosen(gateway)
    ended = Ended("rejected", status, "No", retry_after_s=retry_after_s)
    return line.hop, gateway.note_refusal(line, ended, trio.current_time())
