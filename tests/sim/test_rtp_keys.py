"""Keys that simulated callees press."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.media.codecs.g711 import LAWS
from adapters.media.listening.goertzel import DigitTable
from adapters.media.types import Remote
from adapters.media.wire.dtmf import EventReceiver
from adapters.media.wire.rtp import parse_packet
from sim.rtp import FRAME_S, Streams

EVENT = 101
GREETING_S = 0.4


def packets(remote: Remote, count: int) -> list[bytes]:
    streams = Streams(1)
    stream = streams.open(remote)
    streams.greet(stream, GREETING_S, "12#")
    return [stream.next_packet() for _ in range(count)]


def test_keys_are_events_where_they_were_agreed_and_the_sound_goes_on_between_them() -> None:
    receiver = EventReceiver()
    pressed, sequences, first = "", [], None
    for number, octets in enumerate(packets(Remote("192.0.2.1", 4000, 0, EVENT), 100)):
        parsed = parse_packet(octets)
        assert parsed is not None
        header, payload = parsed
        sequences.append(header.sequence)
        if header.payload_type == EVENT:
            first = number if first is None else first
            pressed += "".join(receiver.take(header, payload))
        else:
            assert (header.timestamp, len(payload)) == (160 * number, 160)
    assert (pressed, first) == ("12#", round(GREETING_S / FRAME_S))
    assert sequences == list(range(100))


@pytest.mark.parametrize("payload_type", [0, 8])
def test_keys_are_in_the_sound_where_no_events_were_agreed(payload_type: int) -> None:
    digits = DigitTable(1)
    pressed = ""
    for octets in packets(Remote("192.0.2.1", 4000, payload_type), 100):
        sound = LAWS[payload_type].decode(np.frombuffer(octets[12:], np.uint8))
        pressed += "".join(one.digit for one in digits.hear(np.array([0]), sound[np.newaxis]))
    assert pressed == "12#"
