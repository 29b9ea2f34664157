"""One server of a trunk, and the weighted chance by which servers share the load (RFC 2782)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from msgspec import Struct

from adapters.sip.wire.hop import Hop
from engine.ports.clock import Randomness

SERVERS_MAX: Final = 32
"""Servers of one trunk; of more, the best are kept."""


class Server(Struct, frozen=True):
    """One place where a trunk can be reached."""

    hop: Hop
    priority: int = 0
    """Servers of a higher number are used only while none of a lower one can be. It is a rank over
    everything that was found, not the number of the SRV record."""
    weight: int = 0
    """The share of the requests among servers of the same priority."""


def pick(servers: Sequence[Server], randomness: Randomness) -> Server:
    """One of some servers of the same priority, by weight.

    As RFC 2782 has it, all servers of weight 0 together get one part beside the sum of the weights;
    they share it evenly, so that servers without any weights share everything evenly.
    """
    if len(servers) == 1:
        return servers[0]
    light = [server for server in servers if server.weight <= 0]
    heavy = [server for server in servers if server.weight > 0]
    ticket = _below(sum(server.weight for server in heavy) + bool(light), randomness)
    for server in heavy:
        ticket -= server.weight
        if ticket < 0:
            return server
    return light[_below(len(light), randomness)]


def in_order(servers: Sequence[Server], randomness: Randomness) -> tuple[Server, ...]:
    """By priority, and in each priority by weighted chance, as RFC 2782 orders them."""
    ordered: list[Server] = []
    by_priority = sorted(servers, key=lambda server: server.priority)
    for _, group in groupby(by_priority, key=lambda server: server.priority):
        left = list(group)
        while left:
            chosen = pick(left, randomness)
            left.remove(chosen)
            ordered.append(chosen)
    return tuple(ordered)


def _below(bound: int, randomness: Randomness) -> int:
    """A whole number from 0 to below `bound`; the product may round up to it."""
    return min(int(randomness.random() * bound), bound - 1)
