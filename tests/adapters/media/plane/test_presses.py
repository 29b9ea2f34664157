"""Keys that are pressed on a plane whose clock the test holds, as a callee hears them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.media import control
from adapters.media.plane.arena import Sound, SoundArena, SoundUnavailable
from adapters.media.plane.dtmf_tones import keys_octets
from adapters.media.wire.dtmf import EventReceiver, make_script
from adapters.media.wire.rtp import Header
from tests.adapters.media.callee import SILENCE
from tests.adapters.media.planes import (
    WAYS,
    Board,
    Peer,
    hear_packets,
    open_board,
    open_peers,
    write_prompt,
)

FRAME_MS = 20
EVENT = 101


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


@pytest.fixture
def callee() -> Iterator[Peer]:
    with open_peers(1) as (one,):
        yield one


def press(board: Board, digits: str, number: int = 1) -> None:
    board.board.obey(control.Press(1, number, digits))


def split(packets: list[tuple[Header, bytes]]) -> tuple[list[tuple[Header, bytes]], bytes]:
    """The packets of events, and all sound one after the other; none is out of turn."""
    first = packets[0][0]
    numbers = [(header.sequence - first.sequence) & 0xFFFF for header, _ in packets]
    assert (numbers, {header.ssrc for header, _ in packets}) == (
        list(range(len(packets))),
        {first.ssrc},
    )
    events = [packet for packet in packets if packet[0].payload_type == EVENT]
    sound = [payload for header, payload in packets if header.payload_type != EVENT]
    return events, b"".join(sound)


@pytest.mark.parametrize("payload_type", [0, 8])
def test_keys_are_events_in_place_of_silence(board: Board, callee: Peer, payload_type: int) -> None:
    board.open(callee, payload_type, EVENT)
    board.run(5 * FRAME_MS)
    script = make_script("1#")
    press(board, "1#")
    board.run((script.ticks + 5) * FRAME_MS)
    assert board.take_events() == [control.Pressed(1, 1)]
    packets = hear_packets(callee)
    events, sound = split(packets)
    start = events[0][0].timestamp
    assert [(h.marker, (h.timestamp - start) & 0xFFFF_FFFF, payload) for h, payload in events] == [
        (packet.marker, packet.timestamp, packet.payload) for packet in script.packets
    ]
    assert set(sound) == set(SILENCE[payload_type])
    # One packet every 20 ms all the while, and the count of time goes on through it.
    assert len(packets) == 5 + script.ticks + 5
    assert packets[-1][0].timestamp - packets[0][0].timestamp & 0xFFFF_FFFF == 160 * (
        len(packets) - 1
    )
    assert [header.marker for header, _ in packets if header.payload_type != EVENT] == [1] + [0] * (
        len(packets) - len(events) - 1
    )
    receiver = EventReceiver()
    assert "".join(receiver.take(*event) for event in events) == "1#"


@pytest.mark.parametrize("event_type", [EVENT, None])
def test_a_prompt_waits_for_keys_and_goes_on_where_it_was(
    board: Board, callee: Peer, tmp_path: Path, event_type: int | None
) -> None:
    prompt = write_prompt(tmp_path, "hello", 20, seed=1)[0]
    board.open(callee, 0, event_type)
    board.board.obey(control.Play(1, 1, "hello"))
    board.run(5 * FRAME_MS)
    press(board, "42")
    board.run(60 * FRAME_MS)
    pressed, ended = board.take_events()
    assert pressed == control.Pressed(1, 1)
    assert isinstance(ended, control.PlayEnded)
    assert ended.outcome == "finished"
    events, sound = split(hear_packets(callee))
    if event_type is None:
        # The 20 ms after a sound are always silence.
        keys = keys_octets("42", 0) + b"\xff" * 160
        assert (events, sound.count(keys)) == ([], 1)
        assert prompt + b"\xff" * 160 in sound.replace(keys, b"")
    else:
        assert len(events) == len(make_script("42").packets)
        # The gaps between the keys are silence.
        start = sound.index(prompt[:800])
        before, after = sound[:start], sound[start + 800 :]
        assert set(before) <= {0xFF}
        assert after.lstrip(b"\xff").startswith(prompt[800:].lstrip(b"\xff"))


def test_without_events_keys_are_tones(board: Board, callee: Peer) -> None:
    board.open(callee, 8, None)
    press(board, "0123456789*#ABCD")
    board.run(200 * FRAME_MS)
    assert board.take_events() == [control.Pressed(1, 1)]
    _, sound = split(hear_packets(callee))
    assert sound.strip(b"\xd5") == keys_octets("0123456789*#ABCD", 8).strip(b"\xd5")


@pytest.mark.parametrize("event_type", [EVENT, None])
def test_keys_wait_for_the_callee_to_be_known_and_while_it_is_on_hold(
    board: Board, callee: Peer, event_type: int | None
) -> None:
    board.board.obey(control.Open([1]))
    board.board.open_some()
    board.take_events()
    press(board, "7")
    board.run(200)
    assert board.take_events() == []
    board.connect(1, callee.port, telephone_event=event_type)
    board.run(2 * FRAME_MS)
    board.board.obey(control.Connect(1, "0.0.0.0", callee.port, 0, event_type))
    board.run(500)
    assert board.take_events() == []
    board.connect(1, callee.port, telephone_event=event_type)
    board.run(500)
    assert board.take_events() == [control.Pressed(1, 1)]
    events, sound = split(hear_packets(callee))
    if event_type is None:
        assert keys_octets("7", 0) in sound
    else:
        assert [payload for _, payload in events] == [
            packet.payload for packet in make_script("7").packets
        ]


def test_keys_that_are_cut_off_end_with_the_one_that_is_down(board: Board, callee: Peer) -> None:
    board.open(callee, 0, EVENT)
    press(board, "12345")
    board.run(12 * FRAME_MS)
    board.board.obey(control.CutPress(1, 1))
    # Somebody presses again before that key has come up.
    press(board, "9", 2)
    board.run(60 * FRAME_MS)
    assert board.take_events() == [control.Pressed(1, 1), control.Pressed(1, 2)]
    events, _ = split(hear_packets(callee))
    assert [payload for _, payload in events] == [
        packet.payload for digits in ("12", "9") for packet in make_script(digits).packets
    ]


@pytest.mark.parametrize("event_type", [EVENT, None])
def test_a_prompt_that_begins_while_keys_are_down_begins_after_them(
    board: Board, callee: Peer, tmp_path: Path, event_type: int | None
) -> None:
    prompt = write_prompt(tmp_path, "hello", 10, seed=1)[0]
    board.open(callee, 0, event_type)
    press(board, "1")
    board.run(2 * FRAME_MS)
    board.board.obey(control.Play(1, 1, "hello"))
    board.run(40 * FRAME_MS)
    kinds = [type(event) for event in board.take_events()]
    assert kinds == [control.Pressed, control.PlayEnded]
    _, sound = split(hear_packets(callee))
    assert sound.endswith(prompt.rstrip(b"\xff") + sound[len(sound.rstrip(b"\xff")) :])
    assert prompt.strip(b"\xff") in sound


def test_a_prompt_that_is_stopped_while_keys_are_down_does_not_come_back(
    board: Board, callee: Peer, tmp_path: Path
) -> None:
    write_prompt(tmp_path, "hello", 30, seed=1)
    board.open(callee, 0, None)
    board.board.obey(control.Play(1, 1, "hello"))
    board.run(5 * FRAME_MS)
    press(board, "1")
    board.run(2 * FRAME_MS)
    board.board.obey(control.Stop(1, 1))
    board.run(20 * FRAME_MS)
    assert board.take_events() == [control.Pressed(1, 1)]
    _, sound = split(hear_packets(callee))
    assert sound.endswith(keys_octets("1", 0) + b"\xff" * 14 * 160)


def test_keys_go_before_the_sound_of_a_bridge(board: Board) -> None:
    with open_peers(2) as (speaker, listener):
        port = board.open(speaker)
        board.open(listener)
        board.board.obey(control.Bridge(1, 2))
        board.board.obey(control.Press(2, 1, "6"))
        for number in range(30):
            speaker.send(port, Header(0, number, 160 * number, 5), bytes([number]) * 160)
            board.run(FRAME_MS)
        assert board.take_events() == [control.Pressed(2, 1)]
        packets = hear_packets(listener)
        events, sound = split(packets)
        assert [payload for _, payload in events] == [
            packet.payload for packet in make_script("6").packets
        ]
        assert sound.endswith(b"".join(bytes([number]) * 160 for number in range(15, 30)))


def test_a_stream_that_is_closed_while_keys_are_down_leaves_nothing_behind(
    board: Board, callee: Peer
) -> None:
    board.open(callee, 0, EVENT)
    press(board, "1")
    board.run(2 * FRAME_MS)
    board.close(1)
    callee.count_heard()
    board.run(20 * FRAME_MS)
    assert (board.take_events(), callee.count_heard()) == ([], 0)


def test_no_prompt_has_the_name_of_keys(board: Board, callee: Peer) -> None:
    board.open(callee, 0, None)
    board.board.obey(control.Play(1, 1, "keys:1"))
    board.run(20 * FRAME_MS)
    (ended,) = board.take_events()
    assert isinstance(ended, control.PlayEnded)
    assert ended.outcome == "unknown_prompt"
    _, sound = split(hear_packets(callee))
    assert set(sound) == {0xFF}


def test_keys_for_which_there_is_no_room_are_over_at_once(
    board: Board, callee: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Sound:
        raise SoundUnavailable("the sound arena is full of prompts that are playing")

    monkeypatch.setattr(SoundArena, "hold_made", refuse)
    board.open(callee, 0, None)
    press(board, "1")
    assert board.take_events() == [control.Pressed(1, 1)]
