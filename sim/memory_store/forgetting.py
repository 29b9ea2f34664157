"""Lets a store forget contacts that are done with. It is not part of the port: it is for worlds with so many
contacts that they would not find room, and in which nobody asks for one again that was completed."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from sim.memory_store.tables import Tables


class Forgetting:
    """Takes contacts out of what a store holds, with all that belongs to them. Counts, limits by day and the
    do-not-call list stay."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._gone: Counter[str] = Counter()
        """By list: how many were forgotten that its rows still name."""

    def forget(self, contact_id: str) -> None:
        """Forget a contact that is completed; does nothing to any other."""
        tables = self._tables
        contact = tables.contacts.get(contact_id)
        if contact is None or contact.state != "completed":
            return
        del tables.contacts[contact_id]
        for attempt in tables.attempts_of_contact.pop(contact_id, ()):
            self._forget_attempt(attempt)
        self._gone[contact.list] += 1
        entry = tables.lists[contact.list]
        if self._gone[contact.list] * 2 > len(entry.contacts):
            # Half of them at once: so what it costs is a few steps for each contact.
            entry.contacts = [one for one in entry.contacts if one in tables.contacts]
            entry.urgent = [one for one in entry.urgent if one in tables.contacts]
            entry.due = sorted({due for due in entry.due if due[1] in tables.contacts})
            del self._gone[contact.list]

    def _forget_attempt(self, attempt_id: str) -> None:
        tables = self._tables
        attempt = tables.attempts.pop(attempt_id)
        of_account = tables.attempts_of_account[attempt.account]
        del of_account[bisect_left(of_account, attempt_id)]
        on = tables.attempts_on[attempt.account, attempt.number]
        on.remove(attempt_id)
        if not on:
            del tables.attempts_on[attempt.account, attempt.number]
        reached = tables.reached.get((attempt.list, attempt.number))
        if reached is not None:
            reached.discard(attempt.contact)
            if not reached:
                del tables.reached[attempt.list, attempt.number]
