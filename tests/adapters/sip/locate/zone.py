"""A DNS made of a dictionary, which answers the questions of `locate_servers`."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.sip.locate.records import (
    Failed,
    Found,
    Located,
    Naptr,
    Question,
    Srv,
    locate_servers,
)
from adapters.sip.locate.target import Family, TrunkTarget
from engine.ports.clock import Randomness
from tests.adapters.sip.dice import Dice

Zone = Mapping[tuple[str, str], Found | Failed]


def addresses(*texts: str, ttl_s: float = 300.0) -> Found:
    return Found(texts, ttl_s)


def srv(*records: tuple[int, int, int, str], ttl_s: float = 300.0) -> Found:
    """Priority, weight, port and target of each, as in a zone file."""
    return Found(tuple(Srv(*record) for record in records), ttl_s)


def naptr(*records: tuple[int, int, str, str], ttl_s: float = 300.0) -> Found:
    """Order, preference, service and replacement of each."""
    return Found(
        tuple(
            Naptr(order, preference, b"s", service.encode(), b"", replacement)
            for order, preference, service, replacement in records
        ),
        ttl_s,
    )


class Asked:
    """Locates by a zone and remembers what was asked."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.rounds: list[list[tuple[str, str]]] = []

    def locate(
        self,
        target: TrunkTarget,
        families: tuple[Family, ...] = (4,),
        randomness: Randomness | None = None,
    ) -> Located:
        steps = locate_servers(target, families, randomness or Dice())
        try:
            questions = next(steps)
            while True:
                self.rounds.append([(question.name, question.kind) for question in questions])
                questions = steps.send({one: self._answer(one) for one in questions})
        except StopIteration as end:
            located: Located = end.value
            return located

    def _answer(self, question: Question) -> Found | Failed:
        return self.zone.get((question.name, question.kind), Found())
