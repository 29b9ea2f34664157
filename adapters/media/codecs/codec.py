"""The codecs that calls can be held in, and how SDP and RTP name them (RFC 3551 §6, RFC 7587).

Each of them takes 160 octets for 20 ms, which is what lets one arena of equal frames hold the sound of
all: G.711 and G.722 by their nature, Opus as it is asked for here, 64 kbit/s at a constant rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

CodecName = Literal["PCMU", "PCMA", "G722", "opus"]
"""As SDP and the configuration spell them."""

FRAMES_PER_S: Final = 50


class Codec(Struct, frozen=True):
    """One codec, as SDP and RTP see it."""

    name: CodecName
    payload_type: int
    """The number under which our offers list it; inside it stands for the codec. Static, but for Opus."""
    clock_hz: int
    """What RTP timestamps count. G.722's is half its sample rate, by an old mistake (RFC 3551 §4.5.2)."""
    channels: str = ""
    """What follows the clock in an rtpmap."""
    parameters: str = ""
    """The fmtp with which we describe what we want to receive; empty for none."""

    @property
    def rtpmap(self) -> str:
        """`PCMU/8000`, and the like."""
        return f"{self.name}/{self.clock_hz}{self.channels}"

    @property
    def timestamp_step(self) -> int:
        """What a packet of 20 ms adds to the timestamp."""
        return self.clock_hz // FRAMES_PER_S

    @property
    def ticks_per_ms(self) -> int:
        """What a millisecond adds."""
        return self.clock_hz // 1_000

    @property
    def is_static(self) -> bool:
        """Whether its number means it in every session (RFC 3551 §6)."""
        return self.payload_type < DYNAMIC_MIN


DYNAMIC_MIN: Final = 96
"""From here on a payload type means what an rtpmap says."""
OPUS_BIT_RATE: Final = 64_000
"""What 160 octets in 20 ms come to."""

PCMU: Final = Codec("PCMU", 0, 8_000)
PCMA: Final = Codec("PCMA", 8, 8_000)
G722: Final = Codec("G722", 9, 8_000)
OPUS: Final = Codec(
    "opus",
    111,
    48_000,
    "/2",
    # Always two channels in the rtpmap, whatever is sent (RFC 7587 §7). A constant rate tells who
    # overhears an encrypted call nothing of what is said (RFC 6562).
    f"maxplaybackrate=8000;stereo=0;maxaveragebitrate={OPUS_BIT_RATE};cbr=1",
)
CODECS: Final[Mapping[CodecName, Codec]] = MappingProxyType(
    {codec.name: codec for codec in (PCMU, PCMA, G722, OPUS)}
)
"""All of them, by name."""
CODECS_BY_NUMBER: Final[Mapping[int, Codec]] = MappingProxyType(
    {codec.payload_type: codec for codec in CODECS.values()}
)
"""All of them, by the number that stands for each inside."""
DEFAULT_CODECS: Final[tuple[CodecName, ...]] = ("PCMU", "PCMA")
"""What a trunk speaks that does not say otherwise, in order of preference."""
