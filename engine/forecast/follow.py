"""What follows a call, by `engine.schedule.retry`, asked once for all contacts that stand alike."""

from __future__ import annotations

from typing import Final

from engine.forecast.case import Cohort, Rules
from engine.model import Contact, Flow, FlowSettings
from engine.model.disposition import Disposition, Outcome
from engine.schedule.retry import CONGESTION_WAIT_S, after_attempt

DONE: Final = -1
"""In place of a standing: the contact is completed."""
STANDINGS_MAX: Final = 100_000
"""Standings that are told apart. Whoever would come to a further one, as few do, is taken for done."""


class Follower:
    """The standings of one flow's contacts: numbers, tries and budget, each by its own integer."""

    def __init__(self, rules: Rules) -> None:
        settings = FlowSettings(
            attempts_max=rules.attempts_max,
            retry=rules.retry,
            declined="stop" if rules.declined_stops else "next",
        )
        self._flow = Flow(
            id="",
            account="",
            name="",
            kind="multicast",
            timezone=rules.timezone,
            definition={},
            settings=settings,
            version=1,
            listener_active=True,
            dids=(),
            calls_list="",
            created_at=0.0,
        )
        self._contacts: list[Contact] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._after: dict[tuple[int, Disposition], tuple[int, float]] = {}

    def standing_of(self, cohort: Cohort) -> int:
        """How the contacts of a cohort stand."""
        return self._note(
            Contact(
                id="",
                account="",
                list="",
                flow="",
                row=1,
                tel=("+",) * cohort.tels,
                variables={},
                starttime=0.0,
                reference=None,
                state="open",
                due_at=0.0,
                wait_code="starttime",
                tel_index=cohort.tel_index,
                spent=cohort.spent,
                tries=cohort.tries,
            )
        )

    def after(self, standing: int, disposition: Disposition) -> tuple[int, float]:
        """(standing, seconds to wait) of a contact whose call ended so; `DONE` where that was the last."""
        found = self._after.get((standing, disposition))
        if found is None:
            contact = self._contacts[standing]
            after = after_attempt(
                contact, self._flow, Outcome(disposition), 0.0, kept_wait_s=CONGESTION_WAIT_S
            )
            is_done = after.state == "completed" or len(self._contacts) >= STANDINGS_MAX
            found = (DONE, 0.0) if is_done else (self._note(after), after.due_at)
            self._after[standing, disposition] = found
        return found

    def spent(self, standing: int) -> int:
        """How many calls that count a contact has had."""
        return self._contacts[standing].spent

    def _note(self, contact: Contact) -> int:
        key = (
            len(contact.tel),
            contact.tel_index,
            contact.spent,
            *sorted((what, count) for what, count in contact.tries.items() if count),
        )
        standing = self._known.get(key)
        if standing is None:
            standing = self._known[key] = len(self._contacts)
            self._contacts.append(contact)
        return standing
