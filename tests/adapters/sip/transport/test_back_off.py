from __future__ import annotations

from adapters.sip.transport.back_off import HOPS_MAX, BackOff
from adapters.sip.wire.hop import Hop

PEER = Hop("192.0.2.70", 5060, "tcp")


def waits(back_off: BackOff, failures: int) -> list[float]:
    """How long each failure makes us wait when the next follows as soon as it may."""
    now, found = 100.0, []
    for _ in range(failures):
        back_off.fail(PEER, now)
        wait = next(
            step / 4 for step in range(1000) if not back_off.is_waiting(PEER, now + step / 4)
        )
        found.append(wait)
        now += wait
    return found


def test_the_wait_doubles_up_to_its_bound() -> None:
    assert waits(BackOff(0.5, 4.0), 6) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_a_success_starts_over() -> None:
    back_off = BackOff(0.5, 4.0)
    waits(back_off, 3)
    back_off.succeed(PEER)
    assert not back_off.is_waiting(PEER, 100.0)
    assert waits(back_off, 1) == [0.5]


def test_failures_of_long_ago_are_forgotten() -> None:
    back_off = BackOff(0.5, 4.0)
    waits(back_off, 3)
    back_off.fail(PEER, 200.0)
    assert not back_off.is_waiting(PEER, 200.5)


def test_a_million_failures_are_not_a_number_too_large() -> None:
    back_off = BackOff(0.5, 4.0)
    for _ in range(5000):
        back_off.fail(PEER, 0.0)
    assert back_off.is_waiting(PEER, 3.9)
    assert not back_off.is_waiting(PEER, 4.0)


def test_one_peer_does_not_hold_another_back() -> None:
    back_off = BackOff(0.5, 4.0)
    back_off.fail(PEER, 0.0)
    assert not back_off.is_waiting(PEER._replace(transport="tls"), 0.0)


def test_of_too_many_peers_the_one_that_failed_longest_ago_is_forgotten() -> None:
    back_off = BackOff(0.5, 4.0)
    peers = [Hop("192.0.2.70", port, "tcp") for port in range(1, HOPS_MAX + 2)]
    for peer in (*peers[:HOPS_MAX], peers[0], peers[HOPS_MAX]):
        back_off.fail(peer, 0.0)
    forgotten = [peer for peer in peers if not back_off.is_waiting(peer, 0.1)]
    assert forgotten == [peers[1]]
