"""`Awaited`: who waits for the first response from which host, so that one whose transport has failed is
found without asking all of them. Pure."""

from __future__ import annotations

from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")


class Awaited(Generic[Waiting]):
    """See the module. It holds nobody who waits for nothing, and no host that nobody waits for."""

    __slots__ = ("_by_host", "_hosts")

    def __init__(self) -> None:
        self._by_host: dict[str, dict[Waiting, None]] = {}
        self._hosts: dict[Waiting, tuple[str, ...]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._hosts)

    def note(self, waiting: Waiting, hosts: tuple[str, ...]) -> None:
        """Somebody waits for these hosts from now on, and for no others."""
        before = self._hosts.get(waiting, ())
        if hosts == before:
            return
        for host in before:
            there = self._by_host.get(host, {})
            there.pop(waiting, None)
            if not there:
                self._by_host.pop(host, None)
        for host in hosts:
            self._by_host.setdefault(host, {})[waiting] = None
        if hosts:
            self._hosts[waiting] = hosts
        else:
            self._hosts.pop(waiting, None)

    def waiting_for(self, host: str) -> tuple[Waiting, ...]:
        """Who waits for a host now, the one that began first to the front."""
        return tuple(self._by_host.get(host, ()))
