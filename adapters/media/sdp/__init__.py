"""SDP offer and answer for one audio stream with telephone-event (RFC 8866, RFC 3264, RFC 4733, RFC 4568).

It reads what the field sends, not only what the grammar allows: bare LF, a session-level or a
media-level `c=`, several `m=` lines, static payload types without their rtpmap, dynamic numbers for
PCMU. It is bounded in bytes and lines, linear in time, and raises `SdpError` alone.

What a callee on hold means here:

- `a=sendonly` or `a=inactive` with a usable address is accepted, and we go on sending. Nobody plays
  those packets, but they keep address translations and a carrier's media timers alive, and a prompt
  ends when it should. `build_answer` answers with the matching direction.
- The address 0.0.0.0 (RFC 3264 §8.4, the hold of RFC 2543) is not usable in an answer to our first
  offer: there is nowhere to send. Later, in an offer or an answer, it is accepted: the `Remote`
  carries 0.0.0.0, and a stream that is connected to it pauses until it is connected to an address
  again.

Which codec is spoken: in an offer of the callee's, the first of our own order that it lists; in an
answer to ours, the first that it lists, as RFC 3264 §7 wants. A codec with a static number (RFC 3551
§6) that is listed under a dynamic one is recognised, but sent under its static number, which means it
in every session; a static number in the list is preferred for that reason.

A ptime other than 20 is reported and not followed: packets of 20 ms are sent whatever is asked for.
RFC 8866 §6.4 calls it a recommendation, and RFC 3551 §4.2 has every receiver take 0 to 200 ms of sound
in a packet. Packets of 10 to 60 ms are taken.

RTP and RTCP share a port (RFC 5761) where an offer asks us for it. Our own offers do not: the port for
RTCP is open anyway, so that nothing is won, and a carrier that echoes lines which it does not know would
agree to what it does not do.

`text` reads the lines, `crypto` those that carry keys, `choice` picks what is used, `describe` writes.
"""

from adapters.media.codecs.codec import DEFAULT_CODECS, CodecName
from adapters.media.sdp.choice import read_answer, read_later_answer
from adapters.media.sdp.crypto import KEY_BYTES, SUITES
from adapters.media.sdp.describe import build_answer, build_offer
from adapters.media.sdp.terms import PLAIN, MediaTerms, SrtpPolicy, make_terms
from adapters.media.sdp.text import (
    ADDRESS_LENGTH_MAX,
    CRYPTO_LINES_MAX,
    PTIME_MAX_MS,
    PTIME_MIN_MS,
    SDP_BYTES_MAX,
    SDP_LINES_MAX,
    SDP_MEDIA_MAX,
    SdpError,
)

__all__ = [
    "ADDRESS_LENGTH_MAX",
    "CRYPTO_LINES_MAX",
    "DEFAULT_CODECS",
    "KEY_BYTES",
    "PLAIN",
    "PTIME_MAX_MS",
    "PTIME_MIN_MS",
    "SDP_BYTES_MAX",
    "SDP_LINES_MAX",
    "SDP_MEDIA_MAX",
    "SUITES",
    "CodecName",
    "MediaTerms",
    "SdpError",
    "SrtpPolicy",
    "build_answer",
    "build_offer",
    "make_terms",
    "read_answer",
    "read_later_answer",
]
