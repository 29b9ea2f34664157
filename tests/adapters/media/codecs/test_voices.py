"""G.722 beside the two laws: what is encoded is heard, and goes through the plane as they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from adapters.media import control
from adapters.media.codecs.g711 import ALAW, ULAW
from adapters.media.codecs.voices import G722_SILENCE, VOICES, WIDE, G722Coder, make_translator
from adapters.media.listening.payloads import Decoders, Payloads
from adapters.media.prompts.library import PromptLibrary
from adapters.media.wire.rtp import Header, build_packet, parse_packet
from tests.adapters.media.callee import HOST
from tests.adapters.media.planes import WAYS, Board, Peer, open_board, open_peers, write_prompt

Samples = NDArray[np.int16]
OPUS_LATE_MAX = 80
"""In samples."""


def speech(duration_s: float = 1.0, hz: float = 440.0) -> Samples:
    at_s = np.arange(round(8_000 * duration_s)) / 8_000
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * at_s)
    return (8_000 * swell * np.sin(2 * np.pi * hz * at_s)).astype(np.int16)


def likeness(heard: Samples, said: Samples, payload_type: int = 9) -> float:
    """Correlation; 1 is the same sound. Opus comes some milliseconds later than it was said."""
    count = min(len(heard), len(said)) - OPUS_LATE_MAX
    delays = range(OPUS_LATE_MAX if payload_type == 111 else 1)
    return max(
        float(np.corrcoef(heard[late : late + count], said[:count])[0, 1]) for late in delays
    )


def payloads_of(peer: Peer) -> list[bytes]:
    """What has come to a peer, without RTCP."""
    payloads: list[bytes] = []
    while True:
        try:
            packet = peer.endpoint.recv(2_000)
        except BlockingIOError:
            return payloads
        parsed = parse_packet(packet)
        assert parsed is not None
        if not 192 <= packet[1] <= 223:
            assert parsed[0].payload_type in VOICES
            payloads.append(parsed[1])


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


@pytest.mark.parametrize("payload_type", VOICES)
def test_what_is_encoded_is_heard(payload_type: int) -> None:
    voice = VOICES[payload_type]
    octets = voice.encode(speech())
    assert len(octets) == 8_000
    assert likeness(voice.decode(octets), speech(), payload_type) > 0.99


def test_frame_by_frame_is_the_same_as_at_once() -> None:
    encoder, decoder = G722Coder(), G722Coder()
    frames = [encoder.encode(frame) for frame in speech().reshape(-1, 160)]
    octets = np.concatenate(frames)
    assert np.array_equal(octets, WIDE.encode(speech()))
    heard = np.concatenate([decoder.decode(frame) for frame in frames])
    assert np.array_equal(heard, WIDE.decode(octets))


def test_silence_is_silent_whatever_was_before() -> None:
    decoder = G722Coder()
    noise = np.random.default_rng(1).normal(0, 6_000, 8_000).astype(np.int16)
    decoder.decode(WIDE.encode(noise))
    silence = np.full(160, G722_SILENCE, np.uint8)
    decoder.decode(silence)
    assert not decoder.decode(silence).any()


@pytest.mark.parametrize("heard", VOICES)
@pytest.mark.parametrize("spoken", VOICES)
def test_each_codec_becomes_each_other(heard: int, spoken: int) -> None:
    translate = make_translator(heard, spoken).translate
    octets = VOICES[heard].encode(speech()).reshape(-1, 160)
    translated = b"".join(b"".join(translate(frame.tobytes())) for frame in octets)
    sound = VOICES[spoken].decode(np.frombuffer(translated, np.uint8))
    late = 111 if 111 in (heard, spoken) else spoken
    assert likeness(sound, speech(), late) > 0.98


def test_a_prompt_is_played_in_g722_whole_and_between_silences(
    board: Board, tmp_path: Path
) -> None:
    sound = write_prompt(tmp_path, "hello", 25, seed=3)
    with open_peers(1) as (callee,):
        board.open(callee, payload_type=9)
        board.board.obey(control.Play(1, 1, "hello"))
        board.run(700)
        heard = b"".join(payloads_of(callee))
        assert heard[: len(sound[9])] == sound[9]
        assert set(heard[len(sound[9]) :]) == {G722_SILENCE}
        decoded = WIDE.decode(np.frombuffer(heard, np.uint8))
        original = ULAW.decode(np.frombuffer(sound[0], np.uint8))
        assert likeness(decoded[: len(original)], original) > 0.98
        assert [type(event) for event in board.take_events()] == [control.PlayEnded]


def test_a_callee_that_changes_its_codec_hears_the_prompt_go_on(
    board: Board, tmp_path: Path
) -> None:
    sound = write_prompt(tmp_path, "hello", 20, seed=3)
    with open_peers(1) as (callee,):
        board.open(callee)
        board.board.obey(control.Play(1, 1, "hello"))
        board.run(200)
        board.connect(1, callee.port, 9)
        board.run(200)
        assert b"".join(payloads_of(callee)) == sound[0][:1600] + sound[9][1600:]


@pytest.mark.parametrize("other", [0, 8, 9])
def test_bridged_callees_hear_each_other_whatever_they_speak(board: Board, other: int) -> None:
    with open_peers(2) as (callee, agent):
        port, agent_port = board.open(callee, 9), board.open(agent, other)
        board.board.obey(control.Bridge(1, 2))
        voices = {9: VOICES[9].encode(speech()), other: VOICES[other].encode(speech(hz=700))}
        first = voices[9] if other != 9 else VOICES[9].encode(speech())
        for number in range(50):
            part = slice(160 * number, 160 * number + 160)
            for peer, at, kind, octets in (
                (callee, port, 9, first),
                (agent, agent_port, other, voices[other]),
            ):
                packet = build_packet(Header(kind, number, 160 * number, 5), octets[part].tobytes())
                peer.endpoint.sendto(packet, (HOST, at))
            board.run(20)
        heard = {
            peer: VOICES[kind].decode(np.frombuffer(b"".join(payloads_of(peer)), np.uint8))
            for peer, kind in ((callee, 9), (agent, other))
        }
    assert likeness(heard[agent][-6_400:], speech()[-6_400:]) > 0.9
    assert likeness(heard[callee][-6_400:], speech(hz=700)[-6_400:]) > 0.9


def test_a_prompt_from_before_g722_gets_its_sound_in_it(tmp_path: Path) -> None:
    plain = PromptLibrary(tmp_path).add_samples("old", speech(), 8_000)
    assert {path.name for path in tmp_path.iterdir()} == {"old.ulaw", "old.alaw"}
    library = PromptLibrary(tmp_path, codecs=["PCMU", "G722"])
    kept = library.add_samples("new", speech(), 8_000)
    assert (plain.size_bytes, kept.size_bytes) == (16_000, 24_000)
    whole = (tmp_path / "new.g722").read_bytes()
    library.discard("new")
    assert not library.is_complete()
    assert (library.complete(), library.complete()) == (1, 0)
    assert library.is_complete()
    made = WIDE.decode(np.frombuffer((tmp_path / "old.g722").read_bytes(), np.uint8))
    assert likeness(made, WIDE.decode(np.frombuffer(whole, np.uint8))) > 0.99
    assert ALAW.name in {path.suffix[1:] for path in tmp_path.iterdir()}
    library.discard("old")
    assert list(tmp_path.iterdir()) == []


def test_what_callees_say_in_g722_is_heard_in_order_of_its_packets() -> None:
    decoders = Decoders(4)
    for row, kind in enumerate((9, 0, 9)):
        decoders.expect(row, kind)
    said = [speech(), speech(hz=500), speech(hz=900)]
    octets = [VOICES[kind].encode(one) for kind, one in zip((9, 0, 9), said, strict=True)]
    heard: list[list[Samples]] = [[], [], []]
    for at in range(0, 8_000, 160):
        frames = np.stack([one[at : at + 160] for one in octets])
        for spoken in decoders.decode(np.arange(3), Payloads(np.arange(3), frames)):
            for place, samples in zip(spoken.places.tolist(), spoken.samples, strict=True):
                heard[place].append(samples)
        # A refresh of the session says the same again, and loses nothing.
        decoders.expect(0, 9)
    for row in range(3):
        assert likeness(np.concatenate(heard[row]), said[row]) > 0.99
