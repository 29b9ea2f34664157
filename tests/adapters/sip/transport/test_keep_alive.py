from __future__ import annotations

from math import inf

from adapters.sip.transport.keep_alive import KeepAlive, Patience

TRUNK = Patience(inf, ping_after_s=30.0, pong_s=10.0)


def deeds(keep_alive: KeepAlive, until: float) -> list[tuple[float, str]]:
    """What is judged at each of its moments."""
    found: list[tuple[float, str]] = []
    while (now := keep_alive.next_wake()) <= until:
        verdict = keep_alive.judge(now)
        found.append((now, verdict))
        if verdict in ("mute", "idle"):
            break
    return found


def test_a_peer_that_never_ponged_is_pinged_for_ever() -> None:
    assert deeds(KeepAlive(TRUNK, 100.0), 200.0) == [
        (130.0, "ping"),
        (160.0, "ping"),
        (190.0, "ping"),
    ]


def test_a_peer_that_ponged_and_goes_mute_is_given_up_ten_seconds_behind_the_ping() -> None:
    keep_alive = KeepAlive(TRUNK, 0.0)
    assert keep_alive.judge(30.0) == "ping"
    keep_alive.hear(31.0, messages=0, pongs=1)
    assert deeds(keep_alive, 999.0) == [(61.0, "ping"), (71.0, "mute")]


def test_a_peer_that_says_anything_is_alive_without_a_pong() -> None:
    keep_alive = KeepAlive(TRUNK, 0.0)
    keep_alive.hear(0.0, messages=0, pongs=1)
    assert keep_alive.judge(30.0) == "ping"
    keep_alive.hear(39.0, messages=0, pongs=1)
    assert keep_alive.next_wake() == 69.0
    assert keep_alive.judge(40.0) == "wait"


def test_what_is_heard_puts_the_ping_off_and_what_is_sent_does_not() -> None:
    keep_alive = KeepAlive(TRUNK, 0.0)
    keep_alive.hear(20.0, messages=1, pongs=0)
    keep_alive.send(40.0)
    assert keep_alive.next_wake() == 50.0


def test_without_pings_a_connection_is_idle_when_no_message_went_either_way() -> None:
    keep_alive = KeepAlive(Patience(60.0), 0.0)
    keep_alive.send(10.0)
    keep_alive.hear(20.0, messages=1, pongs=0)
    keep_alive.hear(30.0, messages=0, pongs=0)
    assert deeds(keep_alive, 999.0) == [(90.0, "idle")]


def test_where_pings_do_not_count_only_whole_messages_prolong() -> None:
    keep_alive = KeepAlive(Patience(60.0, pings_count=False), 0.0)
    keep_alive.hear(20.0, messages=1, pongs=0)
    keep_alive.hear(70.0, messages=0, pongs=0)
    assert deeds(keep_alive, 999.0) == [(80.0, "idle")]
