"""The latest calls of the installation and of each trunk, as far as caps count them: for caps that are new,
whose windows know of none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from engine.model import Cap
from engine.ports.dial_store import RecentStart


class RecentCalls:
    """Collects when calls began, seconds since the epoch, oldest first. Of no party more are kept than its
    largest cap counts."""

    def __init__(self, of_trunk: Mapping[str, Sequence[Cap]], of_all: Sequence[Cap]) -> None:
        self._of_trunk = {name: _room(caps) for name, caps in of_trunk.items()}
        self._of_all = _room(of_all)
        windows = [cap.per_s for caps in (*of_trunk.values(), of_all) for cap in caps]
        self.looks_back_s = max(windows, default=0.0)
        """How long ago the oldest call began that any of the caps counts."""

    def add(self, starts: Iterable[RecentStart]) -> None:
        """Calls that began later than those before."""
        for start in starts:
            self._of_all.append(start.initiated_at)
            if start.trunk in self._of_trunk:
                self._of_trunk[start.trunk].append(start.initiated_at)

    @property
    def of_all(self) -> list[float]:
        """Those of the installation."""
        return [*self._of_all]

    @property
    def of_trunk(self) -> dict[str, list[float]]:
        """Those of each trunk, by its name."""
        return {name: [*starts] for name, starts in self._of_trunk.items()}


def _room(caps: Sequence[Cap]) -> deque[float]:
    return deque(maxlen=max((cap.calls for cap in caps), default=0))
