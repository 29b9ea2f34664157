"""Requests to activate listeners: what the store keeps of them."""

from __future__ import annotations

from typing import Protocol

from engine.model.activation import Activation, ActivationStatus, Decide, Decision
from engine.ports.stored import Page


class ActivationStore(Protocol):
    """Part of `engine.ports.store.Store`; what is said there of transactions, accounts and cursors holds."""

    async def add_activation(self, made: Decision) -> bool:
        """Keep a new request with its event and its letter; False, with nothing changed, where its mail made
        one already. Of a pending one raises `Conflict` with nothing changed: `activation_pending` where its
        flow has one that is pending, `too_many_activations` where its account has `PENDING_MAX`."""

    async def get_activation(self, account: str, activation: str) -> Activation | None:
        """One request of the account."""

    async def decide_activation(
        self, account: str, activation: str, decide: Decide
    ) -> Activation | None:
        """Replace a request, and perhaps its flow, by what `decide` says, with the event and the letter; the
        request as it is then, or None when there is none. What `decide` raises reaches the caller with
        nothing changed."""

    async def list_activations(
        self, account: str, status: ActivationStatus | None, limit: int, cursor: str | None
    ) -> Page[Activation]:
        """The newest first; those of one status, or all."""

    async def activations_to_expire(self, until: float, limit: int) -> list[Activation]:
        """Pending ones of all accounts whose time is over by `until`."""

    async def clear_activations(self, before: float, limit: int) -> int:
        """Forget up to `limit` requests that were decided before a moment; how many."""
