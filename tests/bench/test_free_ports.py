"""Ports that are looked for now and taken later."""

from __future__ import annotations

import socket
from itertools import islice
from pathlib import Path

import pytest

from bench import free_ports
from bench.free_ports import PORTS, free_port, is_taken


def test_two_ports_that_are_looked_for_before_they_are_taken_differ() -> None:
    found = [free_port() for _ in range(50)]
    assert len(set(found)) == 50


def test_no_port_is_one_that_the_kernel_gives_away_by_itself() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert PORTS[-1] + 1 < lowest


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("beside", [0, 1])
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_that_somebody_has_is_left_out_and_one_before_it(
    monkeypatch: pytest.MonkeyPatch,
    kind: socket.SocketKind,
    beside: int,
    family: socket.AddressFamily,
    host: str,
) -> None:
    taken, free = free_port(host), free_port(host)
    with socket.socket(family, kind) as somebody:
        somebody.bind((host, taken + beside))
        monkeypatch.setattr(free_ports, "_in_turn", iter([taken, free]))
        assert free_port(host) == free


def test_where_no_port_is_free_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "_is_free", lambda *_: False)
    monkeypatch.setattr(free_ports, "_in_turn", islice(PORTS, len(PORTS)))
    with pytest.raises(OSError, match="no free port from 10000 to 14990"):
        free_port()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_is_taken_once_somebody_has_it_and_may_be_taken_while_it_is_asked_for(
    kind: socket.SocketKind, family: socket.AddressFamily, host: str
) -> None:
    port = free_port(host)
    other = socket.SOCK_STREAM if kind == socket.SOCK_DGRAM else socket.SOCK_DGRAM
    assert not is_taken(port, kind)
    with socket.socket(family, kind) as somebody:
        somebody.bind((host, port))
        if kind == socket.SOCK_STREAM:
            assert not is_taken(port, kind)  # it is not listened to yet
            somebody.listen()
        assert is_taken(port, kind)
        assert not is_taken(port, other)
    assert not is_taken(port, kind)


def test_who_asks_whether_a_port_is_taken_never_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(socket, "socket", None)
    assert not is_taken(port)
