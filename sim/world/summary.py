"""How much happened in a run, counted as it goes on."""

from __future__ import annotations

from collections import Counter

from sim.world.tape import Entry, Happened, Invite, Told, read_fact


class Summary:
    """Reads along."""

    def __init__(self) -> None:
        self.attempts = 0
        self.legs = 0
        """Calls to agents, beside these."""
        self.codes: Counter[int] = Counter()
        """INVITEs, by the final response that was meant for them."""
        self.dispositions: Counter[str | None] = Counter()
        """Contacts that were completed."""
        self.happened: Counter[str] = Counter()

    @property
    def completed(self) -> int:
        """Contacts that were."""
        return self.dispositions.total()

    def read(self, entry: Entry) -> None:
        """The next thing that was seen."""
        match entry:
            case Told(type="attempt.initiated"):
                self.attempts += 1
            case Told(type="leg.initiated"):
                self.legs += 1
            case Told(type="contact.completed"):
                self.dispositions[read_fact(entry).data.disposition] += 1
            case Invite():
                self.codes[entry.code] += 1
            case Happened():
                self.happened[entry.what] += 1
