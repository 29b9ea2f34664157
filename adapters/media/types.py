"""What the SIP room may know of media: a plane that opens streams, and a stream's life."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import MediaStatistics, Recorded

SuiteName = Literal["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_32"]
"""How SRTP encrypts and authenticates, as RFC 4568 and RFC 7714 name it."""


class SrtpKeys(Struct, frozen=True):
    """What a stream's SRTP needs, as negotiated by SDP (RFC 4568). It holds keys, and does not show them."""

    suite: SuiteName
    sent: bytes
    """Master key and salt of what we send."""
    heard: bytes
    """Those of what we receive."""

    def __repr__(self) -> str:
        return f"SrtpKeys({self.suite!r}, …)"


class Remote(Struct, frozen=True):
    """Where a callee wants its RTP, and in which form, as negotiated by SDP (RFC 3264)."""

    host: str
    """IP address in text."""
    port: int
    payload_type: int
    """The codec, by the number in our offers: 0 PCMU, 8 PCMA, 9 G.722, 111 Opus."""
    telephone_event: int | None = None
    """Payload type of RFC 4733 events, None where they were not agreed."""
    ptime_ms: int = 20
    """What the callee would like a packet to hold; it may be passed over (RFC 3551 §4.2)."""
    rtcp_port: int | None = None
    """Where it wants RTCP (RFC 3605); None is the port above `port` (RFC 3550 §11)."""
    is_muxed: bool = False
    """Whether RTCP goes to `port` as well and comes from there (RFC 5761); `rtcp_port` then says nothing."""
    numbered: int | None = None
    """The payload type that we send, where it is not `payload_type`; static numbers always are."""
    heard_numbered: int | None = None
    """The same for what comes, where it is not the one that we send."""
    heard_event: int | None = None
    """The payload type of the events that come, where it is not `telephone_event`."""
    event_clock_hz: int | None = None
    """What events count their durations by, where it is not the clock of the sound beside them."""
    srtp: SrtpKeys | None = None
    """None where RTP is in the clear."""

    @property
    def wire_type(self) -> int:
        """The payload type of the sound that we send."""
        return self.payload_type if self.numbered is None else self.numbered


class StreamLost(Exception):
    """The plane died, or dropped the stream, while something was being done on it."""


class Stream(Protocol):
    """One call's RTP, on a port of its own."""

    @property
    def port(self) -> int:
        """The local RTP port, even; RTCP is the next one."""

    def connect(self, remote: Remote) -> None:
        """Send to, and take from, this remote from now on. Repeating it moves the stream."""

    async def play(self, prompt: str) -> None:
        """Play a prompt by its id, from its first sample to its last. Raises `StreamLost`, or
        `KeyError` when there is no such prompt. Cancelling it stops the sound."""

    async def next_digit(self) -> str:
        """See `engine.ports.telephony.Call`. Raises `StreamLost` when none is left and the stream is over."""

    def forget_digits(self) -> None:
        """See `engine.ports.telephony.Call`."""

    async def send_digits(self, digits: str) -> None:
        """See `engine.ports.telephony.Call`. Raises `StreamLost` and `ValueError`."""

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        """See `engine.ports.telephony.Call`. Raises `StreamLost`."""

    async def wait_for_beep(self) -> None:
        """See `engine.ports.telephony.Call`. Raises `StreamLost`."""

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        """See `engine.ports.telephony.Call`. A stream that is lost ends it, and does not raise."""

    def end_recording(self) -> None:
        """The call is over: what is recorded of this stream ends now, as `call_ended`."""

    async def bridge(self, other: Stream) -> None:
        """Relay between the two until either is over, or this is cancelled."""

    async def wait_lost(self) -> None:
        """Return when the plane has lost this stream (it died); never otherwise."""

    def statistics(self) -> MediaStatistics:
        """What is known so far; final after `close`."""

    async def close(self) -> None:
        """Stop and free the port; the statistics are final afterwards. Never raises for a dead plane."""


class MediaPlane(Protocol):
    """Opens streams."""

    @property
    def address(self) -> str:
        """The IP address that callees send RTP to (`media.advertise`)."""

    async def open_stream(self) -> Stream:
        """Reserve a port. Raises `PlaneUnavailable` when none is free or the plane is restarting."""


class PlaneUnavailable(Exception):
    """No stream can be opened just now."""
