"""Where SIP messages begin and end in a stream of bytes (RFC 3261 §18.3), pure.

How it works. The framer keeps what has come of the message that is arriving, and how far it has been
searched for the blank line, so that each byte is looked at once however it is delivered. Behind the
blank line the Content-Length says how much is still to come. It is found by the rules of
`adapters.sip.wire.message.parse`: whatever that accepts ends where this ends it. Whether the rest of
a message makes sense is not asked here.

Line ends between messages are passed over and are keep-alives (RFC 5626 §3.5.1, §4.4.1): two in a
row are a ping, one alone is the pong to a ping of ours. Where a ping of the peer's and its pong can
be taken for each other they are paired by what came together, since some peers ping and never pong.
"""

from __future__ import annotations

import re

from adapters.sip.wire.fields import SipParseError, read_number
from adapters.sip.wire.message import BODY_BYTES_MAX, HEAD_BYTES_MAX

PING = b"\r\n\r\n"
"""What asks a peer for a sign of life."""
PONG = b"\r\n"
"""The sign of life."""

_BLANK = b"\r\n\r\n"
_CR = 0x0D
_HEAD_AND_BLANK_BYTES_MAX = HEAD_BYTES_MAX + len(_BLANK)
_CONTENT_LENGTH = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:((?:[^\r]|\r(?!\n)|\r\n[ \t])*+)", re.IGNORECASE
)
_LINE_ENDS = re.compile(rb"[\r\n]++")


class FramingError(SipParseError):
    """From here on nobody can say where messages begin: the connection is to be closed."""

    def __init__(self, reason: str, messages: list[bytes]) -> None:
        super().__init__(reason)
        self.messages = messages
        """Those that had ended before it."""


class StreamFramer:
    """One direction of one connection. It never holds more than the longest message and one feed."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """How many bytes of the message are known not to begin the blank line."""
        self._length = 0
        """Of the message that is arriving, with its body; 0 while its head is not whole."""
        self._fault: str | None = None
        self._unpaired = 0
        """0 or 1: line ends of the present run that are not part of a ping."""
        self._is_pong_awaited = False
        self._pings = 0
        self._pongs = 0

    @property
    def bytes_held(self) -> int:
        """Of a message whose end has not come, or that broke the stream."""
        return len(self._buffer)

    @property
    def pongs(self) -> int:
        """Pongs that came since the beginning."""
        return self._pongs

    def expect_pong(self) -> None:
        """A ping leaves: the next lone line end is its pong."""
        self._is_pong_awaited = True

    def take_pings(self) -> int:
        """Pings that came since this was last asked: each wants a pong."""
        pings, self._pings = self._pings, 0
        return pings

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; returns the messages that have become whole.

        Raises `FramingError` for a head without exactly one Content-Length that can be read, or for
        a head or body above its bound, and then at each further call.
        """
        if self._fault is not None:
            raise FramingError(self._fault, [])
        buffer = self._buffer
        buffer += data
        messages: list[bytes] = []
        begin = 0
        try:
            while self._is_whole(begin := self._pass_line_ends(begin)):
                end = begin + self._length
                messages.append(bytes(buffer[begin:end]))
                begin = end
                self._searched = self._length = 0
        except SipParseError as error:
            self._fault = error.reason
            raise FramingError(error.reason, messages) from None
        finally:
            del buffer[:begin]
            self._settle_pong()
        return messages

    def _is_whole(self, begin: int) -> bool:
        buffer = self._buffer
        held = len(buffer) - begin
        if self._length == 0:
            blank = buffer.find(_BLANK, begin + self._searched, begin + _HEAD_AND_BLANK_BYTES_MAX)
            if blank < 0:
                if held >= _HEAD_AND_BLANK_BYTES_MAX:
                    raise SipParseError("head too long")
                self._searched = max(0, held - len(_BLANK) + 1)
                return False
            body_length = read_content_length(bytes(buffer[begin:blank]))
            self._length = blank + len(_BLANK) - begin + body_length
        return held >= self._length

    def _pass_line_ends(self, begin: int) -> int:
        """The place behind the line ends at `begin`, where the next message begins."""
        buffer = self._buffer
        run = _LINE_ENDS.match(buffer, begin)
        end = begin
        if run is not None:
            end = run.end()
            if end == len(buffer) and buffer.endswith(b"\r"):
                # Its other half is still on the way.
                end -= 1
            line_ends = buffer.count(b"\r\n", begin, end) + self._unpaired
            pings, self._unpaired = divmod(line_ends, 2)
            self._pings += pings
        if self._unpaired and end < len(buffer) and buffer[end] != _CR:
            # A message begins, and no line end behind it belongs to this run.
            self._settle_pong()
            self._unpaired = 0
        return end

    def _settle_pong(self) -> None:
        if self._unpaired and self._is_pong_awaited:
            self._is_pong_awaited = False
            self._unpaired = 0
            self._pongs += 1


def read_content_length(head: bytes) -> int:
    """The length of the body behind a head, which comes without its blank line.

    Raises `SipParseError` when there is no Content-Length, more than one, or one that cannot be read.
    """
    values = _CONTENT_LENGTH.findall(head)
    if len(values) != 1:
        raise SipParseError("repeated Content-Length" if values else "no Content-Length")
    unfolded = b" ".join(line.strip(b" \t") for line in values[0].split(b"\r\n"))
    return read_number(unfolded.strip(b" \t"), BODY_BYTES_MAX)
