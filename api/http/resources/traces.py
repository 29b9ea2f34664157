"""What an attempt said on the wire: a ladder to be read, or a capture for Wireshark."""

from __future__ import annotations

from typing import Final

from api.http.exchange import Answer, Exchange
from api.http.problem import Problem, not_found

TEXT_TYPE: Final = "text/plain"
PCAP_TYPE: Final = "application/vnd.tcpdump.pcap"
FORMATS: Final = {"text": TEXT_TYPE, "pcap": PCAP_TYPE}
"""What `?format=` may say."""


async def get_trace(exchange: Exchange) -> Answer:
    """GET /v1/attempts/{attempt}/trace"""
    wanted = _choose_type(exchange)
    is_full = exchange.parameters.read_flag("full")
    attempt = await exchange.store.get_attempt(exchange.account.id, exchange.path["attempt"])
    if attempt is None:
        raise not_found("attempt", exchange.path["attempt"])
    traces = exchange.front.traces
    if traces is None:
        raise _not_kept(attempt.id)
    if wanted == PCAP_TYPE:
        capture = await traces.pcap(attempt.id)
        if capture is None:
            raise _not_kept(attempt.id)
        headers = {"Content-Disposition": f'attachment; filename="{attempt.id}.pcap"'}
        return Answer(200, capture, PCAP_TYPE, headers)
    draw = traces.full_ladder if is_full else traces.ladder
    ladder = await draw(attempt.id)
    if ladder is None:
        raise _not_kept(attempt.id)
    return Answer(200, ladder.encode(), f"{TEXT_TYPE}; charset=utf-8")


def _choose_type(exchange: Exchange) -> str:
    """What the address asks for, else what the header Accept prefers. Raises the problem
    `invalid_parameter`."""
    named = exchange.parameters.read_text("format")
    if named is None:
        return exchange.accepted.best_match(FORMATS.values(), TEXT_TYPE)
    if named not in FORMATS:
        raise Problem("invalid_parameter", f"`format` is one of: {', '.join(FORMATS)}.")
    return FORMATS[named]


def _not_kept(attempt: str) -> Problem:
    detail = (
        f"There are no messages of {attempt} (any more): the configuration's `[sip] trace_keep_s` says"
        " how long they are kept, and `trace_bytes_max` how many."
    )
    return Problem("trace_not_kept", detail)
