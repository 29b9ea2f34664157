"""What one call said on the wire, as it is kept: bounded, in order, and without credentials.

How it works. Whoever carries a call's messages hands each to the call's `CallTrace` as it comes or goes.
What would let somebody log in is masked before anything is stored, so that no copy of it is ever there
to leak. Of a call with very many messages the first and the last are kept, because that is where calls
begin to differ and where they end.

This stands in the path of every message, so a message that holds no credential, as nearly all, costs
one copy in lower case, one search in that, and one object.
"""

from __future__ import annotations

import re
from collections import deque

from msgspec import Struct

from adapters.sip.wire.hop import Hop

MESSAGES_MAX = 128
"""Messages that are kept of one call: half of them its first, half its last."""
BYTES_MAX = 64 * 1024
"""Bytes of messages that are kept of one call, shared out in the same way."""

_HINT = b"auth"
"""What stands in the name of every header that carries a credential."""
_KEY_HINT = b"inline:"
_OTHER_KEY_HINT = b"key-mgmt:"
"""One of the two stands before every key that SDP carries."""
_KEY = re.compile(rb"(inline:|key-mgmt:[^\s]*[ \t]+)([^\s|;]++)", re.IGNORECASE)
"""The keys of SRTP: those of `a=crypto` (RFC 4568) up to their lifetime, and whole messages of MIKEY
(RFC 4567)."""
_CREDENTIAL = re.compile(
    rb"((?:\A|[\r\n])[^\s:]*(?:authorization|authentication-info)[^\s:]*[ \t]*:[ \t]*)"
    rb"((?:[^\r\n]++|(?:\r\n|[\r\n])[ \t])*+)",
    re.IGNORECASE,
)
"""A header up to its value, and the value with the lines that it is folded over. Authorization and
Proxy-Authorization answer a challenge; what Authentication-Info holds is made from the password as well
(RFC 3261 §20.6), and tokens go in P-Media-Authorization (RFC 3313)."""
_KEYS_HINT = b"application/dtmf"
_KEYS_TYPE = re.compile(rb"[\r\n](?:content-type|c)[ \t]*:[ \t]*application/dtmf", re.IGNORECASE)
"""A body that says what a callee presses, as some networks send it beside the telephone events: it may be a
PIN."""
_SIGN = re.compile(rb"[^\r\n]")
_SCHEME = re.compile(rb"(?:Digest|Basic|Bearer)(?=[ \t\r\n])", re.IGNORECASE)
"""The first word of a credential that is none itself. Others may be, and are masked."""


class TracedMessage(Struct, frozen=True, array_like=True, gc=False):
    """One message on the wire."""

    at: float
    """When it was handed over or came in; seconds since the Unix epoch."""
    sent: bool
    """Whether it went out; else it came in."""
    local: Hop
    """Our own end."""
    remote: Hop
    """The other one."""
    data: bytes
    """As it was on the wire, byte for byte, but for credentials, which are masked at their length."""


class KeptTrace(Struct, frozen=True, array_like=True):
    """All that is kept of one call."""

    attempt: str
    call_id: str
    messages: tuple[TracedMessage, ...]
    """In the order in which they came and went."""
    gap_at: int = 0
    """The index of the message that follows what was left out."""
    messages_left_out: int = 0
    """How many there were between the first and the last that are kept."""
    bytes_left_out: int = 0


def mask_credentials(data: bytes) -> bytes:
    """A message with every credential in its headers, and in headers that its body quotes, every key of its
    SDP, and what its body says is pressed turned into asterisks. Its length stays: it decides between UDP
    and TCP, and Content-Length counts the body."""
    lowered = data.lower()
    # From the right, because that search is the cheaper one in CPython.
    if lowered.rfind(_KEY_HINT) >= 0 or lowered.rfind(_OTHER_KEY_HINT) >= 0:
        data = _KEY.sub(_mask_key, data)
    if lowered.rfind(_KEYS_HINT) >= 0:
        data = _mask_pressed(data)
    if lowered.rfind(_HINT) < 0:
        return data
    return _CREDENTIAL.sub(_mask, data)


def _mask_key(found: re.Match[bytes]) -> bytes:
    return found[1] + b"*" * len(found[2])


def _mask_pressed(data: bytes) -> bytes:
    head, between, body = data.partition(b"\r\n\r\n")
    return head + between + _SIGN.sub(b"*", body) if _KEYS_TYPE.search(head) else data


def _mask(found: re.Match[bytes]) -> bytes:
    name, value = found.groups()
    scheme = _SCHEME.match(value)
    # Wireshark takes a value of one word for malformed, and shows nothing of what follows it.
    words = (b"*" if scheme is None else scheme[0]) + b" "
    return name + words.ljust(len(value), b"*")[: len(value)]


class CallTrace:
    """Collects the messages of one call.

    Args:
        attempt: the id of the attempt that the call is.
        call_id: the call's SIP Call-ID.
        epoch_s: what makes seconds since the Unix epoch of the caller's `now`. It is fixed for a call,
            so that no clock which is set meanwhile disorders its messages.
    """

    __slots__ = (
        "_bytes_left_out",
        "_epoch_s",
        "_first",
        "_first_bytes",
        "_last",
        "_last_bytes",
        "_messages_left_out",
        "attempt",
        "call_id",
        "is_sealed",
    )

    def __init__(self, attempt: str, call_id: str, epoch_s: float) -> None:
        self.attempt = attempt
        self.call_id = call_id
        self.is_sealed = False
        """Whether the trace takes no more messages; those that still come are not kept."""
        self._epoch_s = epoch_s
        self._first: list[TracedMessage] = []
        self._first_bytes = 0
        self._last: deque[TracedMessage] | None = None
        """There once the first half is full."""
        self._last_bytes = 0
        self._messages_left_out = 0
        self._bytes_left_out = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of the messages that are kept."""
        return self._first_bytes + self._last_bytes

    def keep_sent(self, data: bytes, local: Hop, remote: Hop, now: float) -> None:
        """Keep a message that goes out, at `now` in the owner's seconds."""
        at, data = self._epoch_s + now, mask_credentials(data)
        self._keep(TracedMessage(at, True, local, remote, data))

    def keep_received(self, data: bytes, local: Hop, remote: Hop, now: float) -> None:
        """Keep a message that came in, at `now` in the owner's seconds."""
        at, data = self._epoch_s + now, mask_credentials(data)
        self._keep(TracedMessage(at, False, local, remote, data))

    def snapshot(self) -> KeptTrace:
        """What is kept at this moment."""
        return KeptTrace(
            self.attempt,
            self.call_id,
            (*self._first, *(self._last or ())),
            len(self._first),
            self._messages_left_out,
            self._bytes_left_out,
        )

    def seal(self) -> KeptTrace:
        """Take no more messages; what was kept."""
        self.is_sealed = True
        return self.snapshot()

    def let_go(self) -> None:
        """Take no more messages, and hold those that were kept no longer: the call may still linger
        for half a minute, and need not do so with all that it has said."""
        self.is_sealed = True
        self._first, self._last = [], None
        self._first_bytes = self._last_bytes = 0

    def _keep(self, message: TracedMessage) -> None:
        if self.is_sealed:
            return
        if self._last is None:
            size = self._first_bytes + len(message.data)
            if len(self._first) < MESSAGES_MAX // 2 and size <= BYTES_MAX // 2:
                self._first.append(message)
                self._first_bytes = size
                return
            self._last = deque()
        self._last.append(message)
        self._last_bytes += len(message.data)
        while len(self._last) > MESSAGES_MAX // 2 or self._last_bytes > BYTES_MAX // 2:
            gone = len(self._last.popleft().data)
            self._last_bytes -= gone
            self._messages_left_out += 1
            self._bytes_left_out += gone
