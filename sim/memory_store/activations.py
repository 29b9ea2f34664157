"""Requests to activate listeners, and what became of them."""

from __future__ import annotations

import trio

from adapters.sqlite.cursors import ID_CURSOR, cursor_of, read_cursor
from adapters.sqlite.refusals import activation_pending, too_many_activations
from engine.model.activation import PENDING_MAX, Activation, ActivationStatus, Decide, Decision
from engine.ports.stored import Page
from sim.memory_store.paging import page_of
from sim.memory_store.tables import Tables


class MemoryActivations:
    """The methods of `engine.ports.activations.ActivationStore`."""

    _tables: Tables

    async def add_activation(self, made: Decision) -> bool:
        """Keep a new request. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        new, tables = made.activation, self._tables
        tables.the_account(new.account)
        others = [one for one in tables.activations.values() if one.account == new.account]
        if any(one.mail == new.mail for one in others):
            return False
        pending = [one for one in others if one.status == "pending"]
        if new.status == "pending":
            for one in pending:
                if one.flow == new.flow:
                    raise activation_pending(one.id)
            if len(pending) >= PENDING_MAX:
                raise too_many_activations()
        tables.activations[new.id] = new
        self._tell(made)
        return True

    async def get_activation(self, account: str, activation: str) -> Activation | None:
        """One request of the account."""
        await trio.lowlevel.checkpoint()
        return self._find_activation(account, activation)

    async def decide_activation(
        self, account: str, activation: str, decide: Decide
    ) -> Activation | None:
        """Replace a request by what `decide` says."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        present = self._find_activation(account, activation)
        if present is None:
            return None
        flow = None
        if present.flow is not None and present.flow not in tables.deleted_flows:
            flow = tables.flows.get(present.flow)
        dids = [tables.dids.get(number) for number in present.numbers]
        owned = frozenset(did.number for did in dids if did and did.account == account)
        decision = decide(present, flow, owned)
        if decision.flow is not None:
            tables.flows[decision.flow.id] = decision.flow
        tables.activations[activation] = decision.activation
        self._tell(decision)
        return decision.activation

    async def list_activations(
        self, account: str, status: ActivationStatus | None, limit: int, cursor: str | None
    ) -> Page[Activation]:
        """The newest first."""
        await trio.lowlevel.checkpoint()
        kept = sorted(self._tables.activations.values(), key=lambda one: one.id, reverse=True)
        before = None if cursor is None else read_cursor(cursor, ID_CURSOR)[0]
        shown = [
            one
            for one in kept
            if one.account == account
            and status in (None, one.status)
            and (before is None or one.id < before)
        ]
        return page_of(shown, None, limit, lambda one: one.id, lambda one: cursor_of(one.id))

    async def activations_to_expire(self, until: float, limit: int) -> list[Activation]:
        """Pending ones whose time is over."""
        await trio.lowlevel.checkpoint()
        over = [
            one
            for one in self._tables.activations.values()
            if one.status == "pending" and one.expires_at <= until
        ]
        return sorted(over, key=lambda one: (one.expires_at, one.id))[:limit]

    async def clear_activations(self, before: float, limit: int) -> int:
        """Forget requests that were decided."""
        await trio.lowlevel.checkpoint()
        kept = self._tables.activations
        old = [
            one.id
            for one in kept.values()
            if one.decided_at is not None and one.decided_at < before
        ][:limit]
        for activation in old:
            del kept[activation]
        return len(old)

    def _find_activation(self, account: str, activation: str) -> Activation | None:
        found = self._tables.activations.get(activation)
        return found if found is not None and found.account == account else None

    def _tell(self, decision: Decision) -> None:
        tables, letter = self._tables, decision.letter
        if letter is not None:
            tables.add_letter(letter)
        tables.tell((decision.event,))
        tables.commit()
