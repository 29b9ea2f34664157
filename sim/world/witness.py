"""Looks at what waits while the world runs, and whether the reason that is given is true.

A look may fall between two things that belong together. So a reason is taken for a lie only when it does not
hold at several looks, seconds apart.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import trio

from engine.model import Blocker, Contact
from sim.world.moments import ends_then
from sim.world.process import ProcessDied
from sim.world.reasons import holds
from sim.world.tape import Lie
from sim.world.view import View

if TYPE_CHECKING:
    from sim.world.run import World

AGAIN_S: Final = (1.0, 2.5, 5.0)
"""After a look that found a reason not to hold, it is looked again, so much later each time."""
LOOKED_AT_MAX: Final = 200
"""Contacts of one look."""


class Witness:
    """Watches one world."""

    def __init__(self, world: World, view: View) -> None:
        self._world = world
        self._view = view

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await trio.sleep(self._world.plan.look_s)
            await self._look()

    async def _look(self) -> None:
        engine = self._world.engine
        contacts = self._world.store.tables.contacts
        waiting = (one.id for one in contacts.values() if one.state == "open")
        suspects = [*islice(waiting, LOOKED_AT_MAX)]
        lies: list[tuple[Contact, Blocker | None]] = []
        for pause_s in (0.0, *AGAIN_S):
            await trio.sleep(pause_s)
            if engine is None or self._world.engine is not engine or not suspects:
                return
            asked = [contacts[one] for one in suspects if one in contacts]
            self._view.note_intents()
            try:
                reasons = await engine.explain(asked)
            except ProcessDied:
                return
            lies = [
                (contact, reason)
                for contact, reason in zip(asked, reasons, strict=True)
                if _waits(contact)
                and _waits(contacts.get(contact.id))
                and not (reason and self._is_true(reason, contacts[contact.id]))
            ]
            suspects = [contact.id for contact, _ in lies]
        now = trio.current_time()
        for contact, reason in lies:
            code, detail = ("none", "") if reason is None else (reason.code, _say(reason))
            self._world.tape.add(Lie(now, contact.id, code, detail))

    def _is_true(self, reason: Blocker, contact: Contact) -> bool:
        return holds(reason, contact, self._view) and ends_then(reason, contact, self._view)


def _say(reason: Blocker) -> str:
    return reason.detail if reason.until is None else f"{reason.detail} Until {reason.until:.3f}."


def _waits(contact: Contact | None) -> bool:
    return contact is not None and contact.state == "open"
