"""A call's messages as a ladder in plain text: who said what to whom, and when.

What peers wrote is hostile until proven otherwise: it is shown so that a terminal obeys none of it, and
where whole messages are shown each of their lines is indented, so that none can pass for one of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

from adapters.sip.trace.record import BYTES_MAX, MESSAGES_MAX, KeptTrace, TracedMessage
from adapters.sip.wire.fields import SipParseError
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.inspection import SDP_TYPE
from adapters.sip.wire.message import Request, parse

REMOTES_MAX = 4
"""Columns for peers; those that come later share the last one."""

_MARGIN = 18
"""Characters left of our own lifeline: the time, and a gap."""
_SPAN = 56
"""Characters from our own lifeline to the first peer's."""
_LABEL_MAX = _SPAN - 9
"""Characters on an arrow, so that some of it is seen on both sides."""
_NEXT_SPAN = 28
"""Characters from one peer's lifeline to the next's."""
_OTHERS = "others"


class _Said(Struct, frozen=True):
    """One message as the ladder tells it."""

    label: str
    note: str


def draw_ladder(trace: KeptTrace) -> str:
    """The ladder of a call, a line for each message."""
    return "\n".join((*_head(trace), *_rungs(trace), ""))


def draw_full_ladder(trace: KeptTrace) -> str:
    """The ladder, and every message in full below it."""
    return "\n".join((*_head(trace), *_rungs(trace), *_messages(trace), ""))


def show_hop(hop: Hop) -> str:
    """`host:port` for reading."""
    host = f"[{hop.host}]" if ":" in hop.host else hop.host
    return f"{host}:{hop.port}"


def show_bytes(data: bytes) -> str:
    """Foreign bytes as text on one line that a terminal can only print: whatever is not printable
    UTF-8 is written as an escape such as `\\x1b`."""
    text = data.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _head(trace: KeptTrace) -> Iterator[str]:
    yield f"Attempt   {show_bytes(trace.attempt.encode())}"
    yield f"Call-ID   {show_bytes(trace.call_id.encode())}"
    messages = trace.messages
    if not messages:
        yield "Messages  none yet"
        return
    size = sum(len(message.data) for message in messages)
    yield f"From      {_time(messages[0].at):%Y-%m-%d %H:%M:%S.%f} UTC"
    yield f"To        {_time(messages[-1].at):%Y-%m-%d %H:%M:%S.%f} UTC"
    yield f"Messages  {len(messages):,}, {size:,} bytes; credentials are masked"
    yield f"Local     {', '.join(dict.fromkeys(_end(message.local) for message in messages))}"
    yield ""
    columns = _columns(trace)
    names = [show_hop(hop) if hop else _OTHERS for hop in dict.fromkeys(columns.values())]
    transports = [hop.transport if hop else "" for hop in dict.fromkeys(columns.values())]
    yield _write({0: "callwheel", **dict(enumerate(names, 1))})
    yield _write({0: "", **dict(enumerate(transports, 1))})


def _rungs(trace: KeptTrace) -> Iterator[str]:
    columns = _columns(trace)
    places = {hop: place for place, hop in enumerate(dict.fromkeys(columns.values()), 1)}
    seen: set[tuple[bool, Hop, bytes]] = set()
    for index, message in enumerate(trace.messages):
        if index == trace.gap_at and trace.messages_left_out:
            yield _gap(trace)
        said = _say(message)
        notes = [said.note] if said.note else []
        what = (message.sent, _peer(message), message.data)
        if what in seen:
            notes.append("retransmission")
        seen.add(what)
        column = columns[_peer(message)]
        if column is None:
            notes.append(_end(message.remote))
        since = _since(message, trace.messages[0])
        yield _rung(since, message.sent, said.label, places[column], len(places), ", ".join(notes))
    if trace.messages_left_out and trace.gap_at >= len(trace.messages):
        yield _gap(trace)


def _columns(trace: KeptTrace) -> dict[Hop, Hop | None]:
    """The peers in the order of their first message, each with the column that it stands in; None for
    the one that several share."""
    remotes = list(dict.fromkeys(_peer(message) for message in trace.messages))
    own = remotes if len(remotes) <= REMOTES_MAX else remotes[: REMOTES_MAX - 1]
    return {hop: hop if hop in own else None for hop in remotes}


def _peer(message: TracedMessage) -> Hop:
    """The other end, whether or not a name for its certificate was known when the message came."""
    return message.remote._replace(name="")


def _rung(since: str, sent: bool, label: str, place: int, places: int, note: str) -> str:
    line = list(_write(dict.fromkeys(range(places + 1), "|"), since))
    begin, end = _MARGIN + 1, _x(place)
    line[begin:end] = "-" * (end - begin)
    line[end - 1 if sent else begin] = ">" if sent else "<"
    line[begin + 3 : begin + 5 + len(label)] = f" {label} "
    return "".join(line) + ("  " + note if note else "")


def _write(texts: dict[int, str], left: str = "") -> str:
    """A line with texts at its lifelines, and one before them."""
    line = left.rjust(_MARGIN - 2)
    for place, text in sorted(texts.items()):
        line = line.ljust(_x(place)) + text
    return line.rstrip()


def _x(place: int) -> int:
    """The character at which a lifeline stands; the first, 0, is ours."""
    return _MARGIN if place == 0 else _MARGIN + _SPAN + (place - 1) * _NEXT_SPAN


def _say(message: TracedMessage) -> _Said:
    try:
        parsed = parse(message.data)
        cseq = parsed.cseq
    except SipParseError as error:
        first = message.data.lstrip(b"\r\n").partition(b"\r\n")[0]
        return _Said(_label(show_bytes(first)), f"cannot be read: {error}")
    sdp = " (SDP)" if parsed.body and parsed.content_type == SDP_TYPE else ""
    if isinstance(parsed, Request):
        label = _label(show_bytes(parsed.method + b" " + parsed.uri), sdp)
        return _Said(label, f"CSeq {cseq.number}")
    label = _label(f"{parsed.status} {show_bytes(parsed.reason)}".rstrip(), sdp)
    return _Said(label, f"CSeq {cseq.number} {show_bytes(cseq.method)}")


def _label(text: str, mark: str = "") -> str:
    """A text that fits on an arrow, with a mark that is never cut."""
    room = _LABEL_MAX - len(mark)
    return (text if len(text) <= room else text[: room - 1] + "…") + mark


def _gap(trace: KeptTrace) -> str:
    left_out = f"{trace.messages_left_out:,} messages of {trace.bytes_left_out:,} bytes"
    bounds = f"{MESSAGES_MAX:,} messages and {BYTES_MAX:,} bytes"
    return (
        f"{'…':>{_MARGIN - 2}}  {left_out} are left out here: of one call at most {bounds} are kept"
    )


def _messages(trace: KeptTrace) -> Iterator[str]:
    count = len(trace.messages)
    for number, message in enumerate(trace.messages, 1):
        way = "sent to" if message.sent else "received from"
        yield ""
        yield (
            f"--- {number} of {count}: {way} {_end(message.remote)} at {_time(message.at):%H:%M:%S.%f},"
            f" {len(message.data):,} bytes"
        )
        for line in message.data.rstrip(b"\r\n").split(b"\r\n"):
            yield f"    {show_bytes(line)}".rstrip()


def _end(hop: Hop) -> str:
    name = f" as {show_bytes(hop.name.encode())}" if hop.name else ""
    return f"{show_hop(hop)} over {hop.transport}{name}"


def _since(message: TracedMessage, first: TracedMessage) -> str:
    """The time of the first message, and how much later than that another is."""
    if message is first:
        return f"{_time(message.at):%H:%M:%S.%f}"
    return f"+{(message.at - first.at) * 1000:.1f} ms"


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
