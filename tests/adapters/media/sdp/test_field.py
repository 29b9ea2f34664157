"""Descriptions in the manner of what is met in the field, whole, and what is made of each."""

from __future__ import annotations

import pytest

from adapters.media.sdp import (
    KEY_BYTES,
    MediaTerms,
    SdpError,
    build_answer,
    read_answer,
    read_later_answer,
)
from adapters.media.types import Remote, SrtpKeys, SuiteName

KEYS = {suite: bytes([at]) * length for at, (suite, length) in enumerate(KEY_BYTES.items())}
OPTIONAL = MediaTerms(srtp="optional", keys=KEYS)
REQUIRED = MediaTerms(srtp="required", keys=KEYS)
WIDE = MediaTerms(("opus", "G722", "PCMU", "PCMA"))

KEY = bytes(range(30))
INLINE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
GCM_KEY = bytes(range(28))
GCM_INLINE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
SHA1_80: SuiteName = "AES_CM_128_HMAC_SHA1_80"

ASTERISK = """\
v=0
o=- 1846329572 1846329574 IN IP4 198.51.100.7
s=Asterisk
c=IN IP4 198.51.100.7
t=0 0
m=audio 11424 RTP/SAVP 8 0 101
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:140
a=sendrecv
"""
FREESWITCH = """\
v=0
o=FreeSWITCH 1700000000 1700000001 IN IP4 198.51.100.7
s=FreeSWITCH
c=IN IP4 198.51.100.7
t=0 0
m=audio 24710 RTP/SAVP 102 9 0 101 110
a=rtpmap:102 opus/48000/2
a=fmtp:102 useinbandfec=1; maxaveragebitrate=30000; maxplaybackrate=48000; ptime=20; minptime=10
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtpmap:110 telephone-event/48000
a=fmtp:110 0-15
a=silenceSupp:off - - - -
a=ptime:20
a=sendrecv
a=rtcp:24711 IN IP4 198.51.100.7
a=crypto:1 AEAD_AES_256_GCM inline:{key}{key}
a=crypto:2 AEAD_AES_128_GCM inline:{gcm}
"""
CISCO = """\
v=0
o=CiscoSystemsSIP-GW-UserAgent 5178 3463 IN IP4 198.51.100.7
s=SIP Call
c=IN IP4 198.51.100.7
t=0 0
m=audio 17414 RTP/AVP 18 0 8 100
c=IN IP4 198.51.100.8
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:100 X-NSE/8000
a=fmtp:100 192-194
a=ptime:30
m=image 17416 udptl t38
"""
SIPP = """\
v=0
o=user1 53655765 2353687637 IN IP4 198.51.100.7
s=-
c=IN IP4 198.51.100.7
t=0 0
m=audio 6000 RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""
WEBRTC_GATEWAY = """\
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZgzz
a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35
a=setup:actpass
a=mid:0
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=audio 40000 RTP/SAVPF 111 9 0 8 126
c=IN IP4 198.51.100.7
a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31|1:1
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:126 telephone-event/8000
"""
TWO_OFFERS_IN_ONE = """\
v=0
o=- 1 1 IN IP4 198.51.100.7
s=-
c=IN IP4 198.51.100.7
t=0 0
m=audio 5000 RTP/SAVP 0
a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{key}|2^20
m=audio 5002 RTP/AVP 0
"""
BARE = "v=0\no=- 1 1 IN IP4 198.51.100.7\ns=-\nc=IN IP4 198.51.100.7\nt=0 0\nm=audio 4000 RTP/AVP 8 0\n"
MANY = BARE + "m=video 0 RTP/AVP 96\nm=application 0 UDP/BFCP *\nm=message 0 TCP/MSRP *\n" * 4


def field(text: str, newline: str = "\r\n") -> bytes:
    filled = text.replace("{key}", INLINE).replace("{gcm}", GCM_INLINE)
    return filled.replace("\n", newline).encode()


AT = "198.51.100.7"
SECURE_80 = SrtpKeys(SHA1_80, KEYS[SHA1_80], KEY)
NO_PLAIN = "the description has no audio over RTP/AVP with a port"
NO_KEY = "the description has no audio over SRTP with a key we can use"

READ: list[tuple[str, bytes, MediaTerms, Remote | str]] = [
    ("asterisk", field(ASTERISK), MediaTerms(), NO_PLAIN),
    ("asterisk, secure", field(ASTERISK), REQUIRED, Remote(AT, 11424, 8, 101, srtp=SECURE_80)),
    ("asterisk, optional", field(ASTERISK), OPTIONAL, Remote(AT, 11424, 8, 101, srtp=SECURE_80)),
    (
        "asterisk, without keys",
        field(ASTERISK.replace("a=crypto", "a=other").replace("SAVP", "AVP")),
        OPTIONAL,
        Remote(AT, 11424, 8, 101),
    ),
    (
        "asterisk, without the keys that are required",
        field(ASTERISK.replace("a=crypto", "a=other").replace("SAVP", "AVP")),
        REQUIRED,
        NO_KEY,
    ),
    (
        "asterisk, opportunistic",
        field(ASTERISK.replace("SAVP", "AVP")),
        OPTIONAL,
        Remote(AT, 11424, 8, 101, srtp=SECURE_80),
    ),
    (
        "freeswitch, whose Opus wants less than we send, with a suite beyond ours",
        field(FREESWITCH),
        MediaTerms(WIDE.codecs, "required", KEYS),
        Remote(
            AT,
            24710,
            9,
            101,
            rtcp_port=24711,
            srtp=SrtpKeys("AEAD_AES_128_GCM", KEYS["AEAD_AES_128_GCM"], GCM_KEY),
        ),
    ),
    (
        "freeswitch, whose Opus takes what we send",
        field(FREESWITCH.replace("30000", "64000").replace("SAVP", "AVP")),
        WIDE,
        Remote(AT, 24710, 111, 110, rtcp_port=24711, numbered=102, heard_numbered=111),
    ),
    ("cisco", field(CISCO), MediaTerms(), Remote("198.51.100.8", 17414, 0, None, 30)),
    ("sipp", field(SIPP), OPTIONAL, Remote(AT, 6000, 0)),
    ("a gateway of WebRTC", field(WEBRTC_GATEWAY), MediaTerms(), NO_PLAIN),
    (
        "a gateway of WebRTC, whose first key has an identifier",
        field(WEBRTC_GATEWAY),
        MediaTerms(WIDE.codecs, "optional", KEYS),
        Remote(AT, 40000, 111, 126, heard_event=101, event_clock_hz=8_000, srtp=SECURE_80),
    ),
    (
        "two offers in one, secure",
        field(TWO_OFFERS_IN_ONE),
        REQUIRED,
        Remote(
            AT,
            5000,
            0,
            srtp=SrtpKeys("AES_CM_128_HMAC_SHA1_32", KEYS["AES_CM_128_HMAC_SHA1_32"], KEY),
        ),
    ),
    ("two offers in one, open", field(TWO_OFFERS_IN_ONE), MediaTerms(), Remote(AT, 5002, 0)),
    ("bare line feeds", field(BARE, "\n"), MediaTerms(), Remote(AT, 4000, 8)),
    ("many media", field(MANY), MediaTerms(), Remote(AT, 4000, 8)),
]


@pytest.mark.parametrize(
    ("body", "terms", "found"), [case[1:] for case in READ], ids=[c[0] for c in READ]
)
def test_an_answer_of_the_field_gives_a_remote_or_a_reason(
    body: bytes, terms: MediaTerms, found: Remote | str
) -> None:
    if isinstance(found, Remote):
        assert read_answer(body, terms) == read_later_answer(body, terms) == found
        return
    with pytest.raises(SdpError) as caught:
        read_answer(body, terms)
    assert caught.value.reason == found


def test_an_answer_to_keys_repeats_tag_and_suite_with_a_key_of_our_own() -> None:
    body, remote = build_answer(field(TWO_OFFERS_IN_ONE), "192.0.2.1", 20000, 5, 2, REQUIRED)
    assert remote.srtp is not None
    assert body.decode().split("\r\n")[5:] == [
        "m=audio 20000 RTP/SAVP 0",
        "a=rtpmap:0 PCMU/8000",
        "a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC",
        "a=ptime:20",
        "a=sendrecv",
        "m=audio 0 RTP/AVP 0",
        "",
    ]


def test_an_answer_speaks_the_codec_that_the_trunk_prefers() -> None:
    offer = field(BARE + "a=rtpmap:96 opus/48000/2\na=maxptime:10\n").replace(b"8 0", b"8 0 9 96")
    answered = {
        codecs: build_answer(offer, "192.0.2.1", 20000, 5, 2, MediaTerms(codecs))[1].payload_type
        for codecs in (("PCMU", "PCMA"), ("PCMA", "PCMU"), ("G722", "PCMU"), ("opus", "PCMA"))
    }
    # Opus in packets of 10 ms is more than we can give.
    assert list(answered.values()) == [0, 8, 9, 8]


def test_an_answer_in_opus_says_what_we_take_and_keeps_their_number() -> None:
    offer = field(FREESWITCH.replace("30000", "64000").replace("SAVP", "AVP"))
    body, remote = build_answer(offer, "192.0.2.1", 20000, 5, 2, WIDE)
    assert remote == Remote(AT, 24710, 111, 110, rtcp_port=24711, numbered=102)
    assert remote.wire_type == 102
    assert body.decode().split("\r\n")[5:-1] == [
        "m=audio 20000 RTP/AVP 102 110",
        "a=rtpmap:102 opus/48000/2",
        "a=fmtp:102 maxplaybackrate=8000;stereo=0;maxaveragebitrate=64000;cbr=1",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]
