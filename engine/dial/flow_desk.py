"""A flow in operation: its present version, read, with its limits and its place among others."""

from __future__ import annotations

from typing import Final

from engine.dial.account import AccountDesk
from engine.dial.agents.floor import Floor
from engine.dial.callers import Callers
from engine.dial.limits.callees import CalleeBook, Callees
from engine.dial.limits.party import Limits
from engine.flow.definition import Definition
from engine.flow.presentation import read_presentation
from engine.model import PRIORITIES, Contact, Flow, windows_of
from engine.model.number_series import SeriesRule
from engine.schedule.calling_hours import CallingBook, Party
from engine.schedule.day_budget import DayBudget, budget_of
from engine.schedule.turns import Claimant

SINGLE_CALL_BEST: Final = PRIORITIES.index("high")
"""The best rank that a single call has which names no priority."""


class FlowDesk:
    """A flow in operation: its present version, read, with its limits."""

    def __init__(
        self,
        flow: Flow,
        definition: Definition,
        limits: Limits,
        account: AccountDesk,
        floor: Floor,
        book: CalleeBook,
    ) -> None:
        self.account = account
        self._book = book
        self.callees = Callees(book, flow.account, ())
        """How often one callee may be called."""
        self._parties: tuple[Party, ...] = ()
        self.day_budget: DayBudget | None = None
        self.hours = CallingBook(())
        """When the flow and its account let callees be called."""
        self.callers = Callers((), SeriesRule(), by_prefix=False)
        """The flow's DIDs, for `Router` to choose from."""
        self._callers_made_of: tuple[object, ...] = ()
        self.set_flow(flow, definition)
        self.limits = limits
        self.floor = floor
        self.posted = 0
        """Contacts of the flow that lie in mailboxes."""
        self.holders = 0
        """Who wants no call of the flow to begin for the moment."""

    def set_flow(self, flow: Flow, definition: Definition) -> bool:
        """Take a version of the flow into operation. Whether contacts that were set aside are to be looked
        at again for that."""
        self.flow = flow
        self.definition = definition
        self.day_budget = budget_of(flow)
        self.presentation = read_presentation(flow.settings.presentation)
        return self.set_callers() | self.set_hours() | self.set_callees()

    def set_callees(self) -> bool:
        """Go by the caps on calls of one callee that the flow and its account have now. Whether they are
        others."""
        caps = (*self.account.account.rules.callee_caps, *self.flow.settings.callee_caps)
        if caps == self.callees.caps:
            return False
        self.callees = Callees(self._book, self.flow.account, caps)
        return True

    def set_callers(self) -> bool:
        """Go by the DIDs that the flow has now, and by the number series that its account keeps to. Whether
        some may be called for that who could not."""
        settings = self.flow.settings
        rule = SeriesRule(self.account.account.rules.number_series, settings.purpose)
        made_of = (self.flow.dids, rule, settings.caller_numbers)
        if made_of == self._callers_made_of:
            return False
        self._callers_made_of = made_of
        by_prefix = settings.caller_numbers == "local"
        was_bound = self.callers.rule.series is not None
        self.callers = Callers(self.flow.dids, rule, by_prefix=by_prefix)
        return was_bound

    def set_hours(self) -> bool:
        """Go by the calling windows that the flow and its account have now. Whether they are others."""
        windows = windows_of(self.flow.settings.calling_window)
        parties = (self.account.party, Party(windows, self.flow.timezone))
        if parties == self._parties:
            return False
        self._parties = parties
        self.hours = CallingBook(parties)
        return True

    def claimant_of(self, contact: Contact) -> Claimant:
        """As whom a contact of the flow waits for what it shares with others. Single calls go before lists:
        somebody, or some program, has asked for just this call."""
        settings = self.flow.settings
        rank = PRIORITIES.index(contact.priority or settings.priority)
        if contact.priority is None and contact.list == self.flow.calls_list:
            rank = max(SINGLE_CALL_BEST, rank - 1)
        return Claimant(self.flow.id, rank, settings.weight)

    @property
    def is_active(self) -> bool:
        """Whether the flow may call, as far as it is asked."""
        return self.flow.listener_active and self.flow.paused_at is None and not self.holders

    @property
    def may_call(self) -> bool:
        """Whether nobody has stopped the flow or its account."""
        return self.is_active and not (self.account.is_stopped or self.account.is_paused)

    @property
    def is_full(self) -> bool:
        """Whether calls that are up and contacts in mailboxes take all of the flow's channels."""
        channels = self.limits.channels
        return channels is not None and self.limits.in_use + self.posted >= channels
