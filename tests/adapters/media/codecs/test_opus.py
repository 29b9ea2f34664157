"""Opus: what libopus makes of our prompts, and what of it goes through the plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from adapters.media import control
from adapters.media.codecs.g711 import ULAW
from adapters.media.codecs.opus import SILENCE, OpusDecoder, OpusEncoder, encode_opus
from adapters.media.codecs.voices import NARROW, VOICES
from adapters.media.prompts.library import PromptLibrary
from adapters.media.wire.dtmf import EventClock, make_script
from adapters.media.wire.rtp import Header
from tests.adapters.media.codecs.test_voices import Samples, likeness, payloads_of, speech
from tests.adapters.media.planes import (
    WAYS,
    Board,
    Peer,
    hear_packets,
    open_board,
    open_peers,
    write_prompt,
)

OPUS, EVENT = 111, 110
THEIRS = 96
STEP = 960
"""20 ms of the clock of Opus."""


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


def decode_wide(packets: list[bytes]) -> Samples:
    """What FFmpeg's own decoder, which is not libopus, makes of packets: every sixth sample."""
    decoder = av.CodecContext.create("opus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    sound = [
        frame.to_ndarray()[0] for packet in packets for frame in decoder.decode(av.Packet(packet))
    ]
    return (np.concatenate(sound)[::6] * 32_767).astype(np.int16)


class Speaker:
    """A callee that speaks Opus by the clock of Opus, under a number of its own."""

    def __init__(self, board: Board, peer: Peer, port: int, payload_type: int = OPUS) -> None:
        self.board, self.peer, self.port = board, peer, port
        self.payload_type = payload_type
        self.sequence, self.timestamp = 65_500, 0xFFFF_FFFF - 5_000

    def send(self, payload: bytes, step: int = STEP) -> None:
        header = Header(self.payload_type, self.sequence & 0xFFFF, self.timestamp & 0xFFFF_FFFF, 9)
        self.peer.send(self.port, header, payload)
        self.sequence += 1
        self.timestamp += step

    def press(self, digits: str, payload_type: int, clock: EventClock) -> None:
        """Keys as events."""
        script = make_script(digits, clock=clock)
        first = self.timestamp
        packets = {packet.tick: packet for packet in script.packets}
        for tick in range(script.ticks):
            if tick in packets:
                packet = packets[tick]
                at = first + packet.timestamp & 0xFFFF_FFFF
                header = Header(payload_type, self.sequence & 0xFFFF, at, 9, packet.marker)
                self.peer.send(self.port, header, packet.payload)
                self.sequence += 1
            self.timestamp += STEP
            self.board.run(20)


def test_silence_is_what_libopus_makes_of_it_and_every_decoder_of_it() -> None:
    assert {OpusEncoder().encode(np.zeros(160, np.int16))} == {SILENCE}
    decoder = OpusDecoder()
    decoder.decode(encode_opus(speech(0.02)).tobytes())
    for _ in range(3):
        heard = decoder.decode(SILENCE)
    assert (len(heard), int(np.abs(heard).max())) == (160, 0)
    assert not decode_wide([SILENCE] * 3).any()


def test_frames_of_20_ms_have_160_octets_whatever_is_said() -> None:
    noise = np.random.default_rng(1).normal(0, 8_000, 8_000).clip(-32_768, 32_767)
    encoder = OpusEncoder()
    frames = noise.astype(np.int16).reshape(-1, 160)
    assert {len(encoder.encode(frame)) for frame in frames} == {160}


@pytest.mark.parametrize("octets", [b"", b"\xff", b"\x98", b"\x03", bytes(600), b"\xff" * 600])
def test_packets_that_are_broken_say_at_most_something_and_the_next_is_heard(
    octets: bytes,
) -> None:
    decoder = OpusDecoder()
    assert len(decoder.decode(octets)) <= 960
    assert len(decoder.decode(SILENCE)) == 160


@pytest.mark.parametrize("duration_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_what_callees_say_in_opus_of_any_kind_is_heard_at_8_khz(
    duration_ms: int, rate_hz: int
) -> None:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate_hz, "mono", "s16"
    encoder.bit_rate = 32_000
    encoder.options = {"frame_duration": str(duration_ms), "application": "voip"}
    encoder.open()
    said = speech(2.4)
    wide = np.repeat(said, rate_hz // 8_000)
    heard, decoder, step = [], OpusDecoder(), rate_hz * duration_ms // 1_000
    for frame in wide.reshape(-1, step):
        sound = av.AudioFrame.from_ndarray(frame[np.newaxis], format="s16", layout="mono")
        sound.sample_rate = rate_hz
        for packet in encoder.encode(sound):
            heard.append(decoder.decode(bytes(packet)))
            assert len(heard[-1]) == 8 * duration_ms
    assert likeness(np.concatenate(heard), said, OPUS) > 0.95


def test_a_prompt_is_heard_as_it_was_by_another_decoder_in_the_numbers_of_opus(
    board: Board, tmp_path: Path
) -> None:
    sound = write_prompt(tmp_path, "hello", 50, seed=3, kinds=(0, OPUS))
    with open_peers(1) as (callee,):
        board.open(callee, OPUS, EVENT, numbered=THEIRS)
        board.board.obey(control.Play(1, 1, "hello"))
        board.run(1_200)
        packets = [packet for packet in hear_packets(callee) if packet[0].payload_type == THEIRS]
    first = packets[0][0]
    assert [header for header, _ in packets] == [
        Header(
            THEIRS,
            first.sequence + n & 0xFFFF,
            first.timestamp + STEP * n & 0xFFFF_FFFF,
            first.ssrc,
            int(n == 0),
        )
        for n in range(60)
    ]
    heard = b"".join(payload for _, payload in packets)
    assert heard == sound[OPUS] + SILENCE * 10
    decoded = decode_wide([payload for _, payload in packets])
    original = ULAW.decode(np.frombuffer(sound[0], np.uint8))
    assert likeness(decoded[: len(original)], original, OPUS) > 0.99
    assert [type(event) for event in board.take_events()] == [control.PlayEnded]


def test_prompts_are_kept_in_opus_where_a_trunk_speaks_it(tmp_path: Path) -> None:
    PromptLibrary(tmp_path).add_samples("p", speech(), 8_000)
    library = PromptLibrary(tmp_path, codecs=["opus", "PCMU"])
    assert not library.is_complete()
    assert (library.complete(), library.complete()) == (1, 0)
    assert library.is_complete()
    made = NARROW.decode(np.frombuffer((tmp_path / "p.opus").read_bytes(), np.uint8))
    original = ULAW.decode(np.frombuffer((tmp_path / "p.ulaw").read_bytes(), np.uint8))
    assert likeness(made, original, OPUS) > 0.99
    library.discard("p")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", [0, 8, 9])
def test_bridged_callees_hear_each_other_across_clocks(board: Board, other: int) -> None:
    with open_peers(2) as (callee, agent):
        ports = board.open(callee, OPUS, EVENT, numbered=THEIRS), board.open(agent, other)
        board.board.obey(control.Bridge(1, 2))
        speaker = Speaker(board, callee, ports[0], THEIRS)
        frames = np.frombuffer(encode_opus(speech()).tobytes(), np.uint8).reshape(-1, 160)
        answers = VOICES[other].encode(speech(hz=700)).reshape(-1, 160)
        for number, (frame, answer) in enumerate(zip(frames, answers, strict=True)):
            speaker.send(frame.tobytes())
            agent.send(ports[1], Header(other, number, 160 * number, 5), answer.tobytes())
            board.run(20)
        to_agent = [packet for packet in hear_packets(agent) if packet[0].payload_type == other]
        to_callee = [packet for packet in hear_packets(callee) if packet[0].payload_type == THEIRS]
    for packets, step in ((to_agent, 160), (to_callee, STEP)):
        first = packets[0][0]
        assert [header.sequence - first.sequence & 0xFFFF for header, _ in packets] == list(
            range(len(packets))
        )
        assert [header.timestamp - first.timestamp & 0xFFFF_FFFF for header, _ in packets] == [
            step * n for n in range(len(packets))
        ]
    heard = VOICES[other].decode(np.frombuffer(b"".join(p for _, p in to_agent), np.uint8))
    assert likeness(heard[-6_400:], speech()[-6_400:], OPUS) > 0.95
    answered = decode_wide([payload for _, payload in to_callee])
    assert likeness(answered[-6_400:], speech(hz=700)[-6_400:], OPUS) > 0.95


@pytest.mark.parametrize("step", [80, 240, 480])
def test_packets_of_other_lengths_become_frames_of_opus(board: Board, step: int) -> None:
    with open_peers(2) as (callee, agent):
        board.open(callee, OPUS, EVENT)
        port = board.open(agent)
        board.board.obey(control.Bridge(1, 2))
        octets = ULAW.encode(speech(0.96))
        for number in range(len(octets) // step):
            part = octets[step * number : step * (number + 1)].tobytes()
            agent.send(port, Header(0, number, step * number, 5), part)
            board.run(step / 8)
        packets = [packet for packet in hear_packets(callee) if packet[0].payload_type == OPUS]
    numbers = [header.sequence - packets[0][0].sequence & 0xFFFF for header, _ in packets]
    assert numbers == list(range(len(packets)))
    times = {
        later.timestamp - sooner.timestamp & 0xFFFF_FFFF
        for (sooner, _), (later, _) in zip(packets[-20:], packets[-19:], strict=False)
    }
    assert times == {STEP}
    sound = decode_wide([payload for _, payload in packets])
    assert likeness(sound[-4_800:], speech(0.96)[-4_800:], OPUS) > 0.95


def test_two_who_speak_opus_hear_each_other_octet_by_octet(board: Board) -> None:
    with open_peers(2) as (callee, agent):
        port = board.open(callee, OPUS, EVENT, numbered=THEIRS)
        board.open(agent, OPUS, EVENT)
        board.board.obey(control.Bridge(1, 2))
        speaker = Speaker(board, callee, port, THEIRS)
        said = [bytes([0x98, n]) * (40 + n) for n in range(20)]
        for payload in said:
            speaker.send(payload)
            board.run(20)
        assert [payload for payload in payloads_of(agent) if payload != SILENCE] == said


@pytest.mark.parametrize("clock", [EventClock(STEP, STEP), EventClock(STEP, 160)])
def test_keys_beside_opus_are_read_by_either_clock(board: Board, clock: EventClock) -> None:
    event_clock_hz = None if clock.durations == STEP else 8_000
    with open_peers(1) as (callee,):
        port = board.open(callee, OPUS, EVENT, event_clock_hz=event_clock_hz)
        Speaker(board, callee, port).press("1199#", EVENT, clock)
        digits = [one.digit for one in board.take_events() if isinstance(one, control.DigitHeard)]
    assert digits == ["1", "1", "9", "9", "#"]


@pytest.mark.parametrize("clock", [EventClock(STEP, STEP), EventClock(STEP, 160)])
def test_keys_that_we_press_beside_opus_count_by_the_clock_that_was_agreed(
    board: Board, clock: EventClock
) -> None:
    event_clock_hz = None if clock.durations == STEP else 8_000
    with open_peers(1) as (callee,):
        board.open(callee, OPUS, EVENT, event_clock_hz=event_clock_hz)
        board.run(60)
        hear_packets(callee)
        board.board.obey(control.Press(1, 1, "7#"))
        board.run(400)
        heard = [packet for packet in hear_packets(callee) if packet[0].payload_type == EVENT]
    script = make_script("7#", clock=clock).packets
    start = heard[0][0].timestamp
    assert [
        (header.marker, header.timestamp - start & 0xFFFF_FFFF, payload)
        for header, payload in heard
    ] == [(packet.marker, packet.timestamp, packet.payload) for packet in script]


def test_keys_cross_a_bridge_of_two_clocks(board: Board) -> None:
    """Durations are told by the listener's clock, and who takes no events hears tones as long."""
    with open_peers(2) as (callee, agent):
        port = board.open(callee, OPUS, EVENT)
        board.open(agent, 0, 101)
        board.board.obey(control.Bridge(1, 2))
        speaker = Speaker(board, callee, port)
        speaker.press("5", EVENT, EventClock(STEP, STEP))
        heard = [payload for header, payload in hear_packets(agent) if header.payload_type == 101]
    assert heard == [packet.payload for packet in make_script("5").packets]
