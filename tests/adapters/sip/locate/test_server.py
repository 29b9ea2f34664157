from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.locate.server import Server, in_order, pick
from adapters.sip.wire.hop import Hop
from engine.ports.clock import Randomness

DRAWS = 4_000


def server(number: int, weight: int, priority: int = 0) -> Server:
    return Server(Hop("192.0.2.1", 5000 + number), priority, weight)


class Stuck:
    """Chance that always comes out the same."""

    def __init__(self, value: float) -> None:
        self._value = value

    def random(self) -> float:
        return self._value

    def getrandbits(self, bits: int, /) -> int:
        return int(self._value * 2**bits)


class Grid:
    """Chance that goes evenly through [0, 1), so that shares come out exactly."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0

    def random(self) -> float:
        self._step += 1
        return ((self._step - 1) % self._steps + 0.5) / self._steps

    def getrandbits(self, bits: int, /) -> int:
        return int(self.random() * 2**bits)


@given(weights=st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_each_server_is_picked_exactly_by_its_weight(weights: list[int]) -> None:
    servers = [server(number, weight) for number, weight in enumerate(weights)]
    total = sum(weights)
    grid = Grid(total)
    picked = Counter(pick(servers, grid).hop for _ in range(total))
    expected = (
        {one.hop: one.weight for one in servers} if len(servers) > 1 else {servers[0].hop: total}
    )
    assert picked == expected


def test_servers_of_weight_0_together_get_one_part_beside_the_sum() -> None:
    servers = [server(0, 0), server(1, 9)]
    grid = Grid(10)

    picked = Counter(pick(servers, grid).hop.port for _ in range(9))
    assert picked == {5001: 9}
    assert pick(servers, grid).hop.port == 5000


def test_servers_without_any_weights_share_evenly() -> None:
    servers = [server(number, 0) for number in range(4)]
    randomness: Randomness = random.Random(4)
    picked = Counter(pick(servers, randomness).hop.port for _ in range(DRAWS))
    assert set(picked) == {5000, 5001, 5002, 5003}
    assert all(abs(count - DRAWS / 4) < DRAWS / 20 for count in picked.values())


@given(
    servers=st.lists(
        st.tuples(st.integers(0, 2**26), st.integers(0, 3)), min_size=1, max_size=8
    ).map(lambda rows: [server(number, *row) for number, row in enumerate(rows)]),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_an_order_holds_every_server_once_and_by_priority(
    servers: list[Server], chance: float
) -> None:
    ordered = in_order(servers, Stuck(chance))
    assert sorted(ordered, key=lambda one: one.hop) == servers
    assert [one.priority for one in ordered] == sorted(one.priority for one in servers)


@pytest.mark.parametrize("first", [0, 1])
def test_who_is_first_in_an_order_is_who_would_be_picked(first: int) -> None:
    servers = [server(0, 30), server(1, 70)]
    chance = Stuck(0.1 if first == 0 else 0.9)
    assert in_order(servers, chance)[0] == servers[first] == pick(servers, chance)
