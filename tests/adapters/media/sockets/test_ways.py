"""What every way into the kernel must do: the same for plain sockets and for io_uring."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from adapters.media.sockets import ring_lines, way
from adapters.media.sockets.receiver import RECEIVE_BATCH_MAX, RECEIVE_BYTES_MAX, Batch, Receiver
from adapters.media.sockets.ring import SLOTS_MAX, RingUnavailable
from adapters.media.sockets.sender import Sender
from adapters.media.sockets.way import PLAIN, RING, Way, choose_way
from tests.adapters.media.planes import WAYS

HOST = "127.0.0.1"
CAPACITY = 8

Bind = Callable[[], socket.socket]


@pytest.fixture
def bind() -> Iterator[Bind]:
    with ExitStack() as stack:

        def open_one() -> socket.socket:
            endpoint = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            endpoint.bind((HOST, 0))
            endpoint.setblocking(False)
            return endpoint

        yield open_one


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def any_way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
def sender(any_way: Way) -> Iterator[Sender]:
    one = any_way.make_sender(CAPACITY)
    yield one
    one.close()


@pytest.fixture
def receiver(any_way: Way) -> Iterator[Receiver]:
    one = any_way.make_receiver(2 * RECEIVE_BATCH_MAX)
    yield one
    one.close()


def take_all(endpoint: socket.socket) -> list[tuple[bytes, int]]:
    """What has come, and from which port."""
    taken: list[tuple[bytes, int]] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            octets, address = endpoint.recvfrom(2_000)
            taken.append((octets, address[1]))
    return taken


def octets_of(text: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(text, np.uint8).copy()


def contents(batch: Batch) -> dict[int, bytes]:
    """The packets by their slots."""
    assert len(set(batch.slots.tolist())) == len(batch.slots) == len(batch.packets)
    return {
        int(slot): packet[:length].tobytes()
        for slot, packet, length in zip(batch.slots, batch.packets, batch.lengths, strict=True)
    }


def test_each_row_goes_out_on_its_own_socket_in_the_order_given(sender: Sender, bind: Bind) -> None:
    sink = bind()
    speakers = [bind() for _ in range(CAPACITY)]
    for row, speaker in enumerate(speakers):
        speaker.connect(sink.getsockname())
        sender.attach(row, speaker, octets_of(b"row %d" % row))
    ports = [speaker.getsockname()[1] for speaker in speakers]
    for rows in ([3, 1, 7], [0, 1, 2, 3, 4, 5, 6, 7], [5]):
        assert sender.send(np.array(rows)) == 0
        assert take_all(sink) == [(b"row %d" % row, ports[row]) for row in rows]


def test_a_packet_is_read_where_it_lies_at_each_send(sender: Sender, bind: Bind) -> None:
    sink, speaker = bind(), bind()
    speaker.connect(sink.getsockname())
    packet = octets_of(b"first")
    sender.attach(2, speaker, packet)
    sender.send(np.array([2]))
    packet[:] = octets_of(b"other")
    sender.send(np.array([2]))
    assert [octets for octets, _ in take_all(sink)] == [b"first", b"other"]


def test_any_number_of_batches_goes_out_whole(sender: Sender, bind: Bind) -> None:
    """The queue between here and the kernel wraps many times."""
    sink, speaker = bind(), bind()
    speaker.connect(sink.getsockname())
    for row in range(CAPACITY):
        sender.attach(row, speaker, octets_of(bytes([row])))
    for size in [3, 5, 8, 7, 1] * 40:
        assert sender.send(np.arange(size)) == 0
        assert [octets[0] for octets, _ in take_all(sink)] == list(range(size))


def test_nothing_to_send_is_sent(sender: Sender) -> None:
    assert sender.send(np.zeros(0, np.intp)) == 0


def test_a_packet_that_meets_an_old_icmp_error_is_sent_again(sender: Sender, bind: Bind) -> None:
    gone, speaker = bind(), bind()
    address = gone.getsockname()
    speaker.connect(address)
    sender.attach(0, speaker, octets_of(b"hello"))
    gone.close()
    sender.send(np.array([0]))
    errors = select.poll()
    errors.register(speaker, 0)
    assert errors.poll(1_000) == [(speaker.fileno(), select.POLLERR)]
    back = bind()
    back.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(address)
        sink.setblocking(False)
        assert sender.send(np.array([0])) == 0
        assert [octets for octets, _ in take_all(sink)] == [b"hello"]


def test_what_is_refused_twice_is_counted_and_harms_no_other(sender: Sender, bind: Bind) -> None:
    sink, speaker, unconnected = bind(), bind(), bind()
    speaker.connect(sink.getsockname())
    sender.attach(0, unconnected, octets_of(b"nowhere"))
    sender.attach(1, speaker, octets_of(b"somewhere"))
    sender.attach(2, unconnected, octets_of(b"nowhere"))
    assert sender.send(np.array([0, 1, 2])) == 2
    assert [octets for octets, _ in take_all(sink)] == [b"somewhere"]


def test_a_row_that_is_attached_again_belongs_to_the_new_socket(sender: Sender, bind: Bind) -> None:
    sink, first, second = bind(), bind(), bind()
    for speaker in (first, second):
        speaker.connect(sink.getsockname())
    sender.attach(0, first, octets_of(b"first"))
    sender.detach(0)
    first.close()
    sender.attach(0, second, octets_of(b"second"))
    assert sender.send(np.array([0])) == 0
    assert take_all(sink) == [(b"second", second.getsockname()[1])]


def test_silent_sockets_give_an_empty_batch(receiver: Receiver, bind: Bind) -> None:
    assert contents(receiver.receive()) == {}
    receiver.attach(0, bind())
    assert contents(receiver.receive()) == {}


def test_each_socket_gives_one_packet_a_batch_in_the_order_of_their_coming(
    receiver: Receiver, bind: Bind
) -> None:
    speaker, listeners = bind(), [bind() for _ in range(4)]
    for slot, listener in enumerate(listeners):
        receiver.attach(10 * slot, listener)
    for slot, texts in {0: [b"a", b"b", b"c"], 2: [b"only"], 3: [b"", b"x" * 200]}.items():
        for text in texts:
            speaker.sendto(text, listeners[slot].getsockname())
    assert contents(receiver.receive()) == {0: b"a", 20: b"only", 30: b""}
    assert contents(receiver.receive()) == {0: b"b", 30: b"x" * 200}
    assert contents(receiver.receive()) == {0: b"c"}
    assert contents(receiver.receive()) == {}


def test_a_packet_is_cut_off_where_its_room_ends(receiver: Receiver, bind: Bind) -> None:
    speaker, listener = bind(), bind()
    receiver.attach(5, listener)
    speaker.sendto(bytes(range(256)) * 20, listener.getsockname())
    assert contents(receiver.receive()) == {5: (bytes(range(256)) * 20)[:RECEIVE_BYTES_MAX]}


def test_more_sockets_than_a_batch_takes_are_served_by_the_next(
    receiver: Receiver, bind: Bind
) -> None:
    speaker = bind()
    count = RECEIVE_BATCH_MAX + 50
    for slot in range(count):
        listener = bind()
        receiver.attach(slot, listener)
        speaker.sendto(b"%d" % slot, listener.getsockname())
    first, second = (contents(receiver.receive()) for _ in range(2))
    assert (len(first), len(second)) == (RECEIVE_BATCH_MAX, 50)
    assert first | second == {slot: b"%d" % slot for slot in range(count)}


def test_a_socket_that_is_detached_is_heard_no_more_and_its_slot_is_free(
    receiver: Receiver, bind: Bind
) -> None:
    speaker, first, second = bind(), bind(), bind()
    receiver.attach(3, first)
    speaker.sendto(b"before", first.getsockname())
    assert contents(receiver.receive()) == {3: b"before"}
    speaker.sendto(b"waiting", first.getsockname())
    receiver.detach(3, first)
    assert contents(receiver.receive()) == {}
    first.close()
    receiver.attach(3, second)
    speaker.sendto(b"after", second.getsockname())
    assert contents(receiver.receive()) == {3: b"after"}


def test_an_icmp_error_is_passed_over_and_the_others_are_heard(
    receiver: Receiver, bind: Bind
) -> None:
    gone, speaker, troubled, listener = bind(), bind(), bind(), bind()
    receiver.attach(0, troubled)
    receiver.attach(1, listener)
    troubled.connect(gone.getsockname())
    gone.close()
    troubled.send(b"to nobody")
    speaker.sendto(b"hello", listener.getsockname())
    assert contents(receiver.receive()) == {1: b"hello"}
    # The error was cleared by being read.
    assert contents(receiver.receive()) == {}


def test_io_uring_is_chosen_where_it_works() -> None:
    chosen = choose_way(64)
    assert chosen == (RING if RING in WAYS else chosen)
    assert chosen.name == WAYS[-1].name


def test_where_io_uring_is_forbidden_plain_sockets_are_chosen_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(slots: int) -> None:
        raise RingUnavailable("Operation not permitted")

    monkeypatch.setattr(ring_lines, "Ring", refuse)
    expected = Way(
        PLAIN.name, PLAIN.make_sender, PLAIN.make_receiver, reason="Operation not permitted"
    )
    assert choose_way(64) == expected


def test_a_ring_that_takes_jobs_but_does_not_do_them_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if RING not in WAYS:
        pytest.skip("this system has no io_uring")
    monkeypatch.setattr(way, "TRIAL_WAIT_MS", 10)
    monkeypatch.setattr(ring_lines, "SEND", 0)  # 0 is the job that does nothing
    assert choose_way(64).reason == "the kernel does not send and receive through io_uring"


def test_more_slots_than_a_ring_has_are_served_by_plain_sockets() -> None:
    assert choose_way(SLOTS_MAX + 1).name == "sockets"
