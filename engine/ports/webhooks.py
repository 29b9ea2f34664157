"""Deliveries to webhooks: what the store keeps of them, and who sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from engine.model.webhook import Delivery, DeliveryState, DueDelivery, HookState, Outcome, Webhook
from engine.ports.stored import Page


class WebhookStore(Protocol):
    """Part of `engine.ports.store.Store`; what is said there of transactions, accounts and cursors holds.

    Whatever tells of an event makes its delivery in the same transaction, where the flow's hook wants it and
    is not disabled: due at once, or, while an earlier one of its subject is pending, when that is done.
    """

    async def hooks_with_deliveries(self) -> list[tuple[str, str]]:
        """(account, flow) of every flow that has pending deliveries."""

    async def due_deliveries(self, flow: str, until: float, limit: int) -> list[DueDelivery]:
        """Pending deliveries with `due_at` ≤ until, the earliest first."""

    async def next_delivery_at(self, flow: str) -> float | None:
        """The earliest `due_at` of the flow's pending deliveries; None when there is none."""

    async def note_tries(self, outcomes: Sequence[Outcome], at: float) -> None:
        """Keep what came of tries. The next delivery of a subject is due at `at` when one is done. One that
        is not pending any more is left alone."""

    async def give_up_deliveries(
        self, flow: str, code: str, detail: str, at: float, limit: int
    ) -> int:
        """Give up pending deliveries of the flow, `limit` of them at the most, the later ones of a subject
        before the earlier ones; how many there were."""

    async def disable_hook(self, account: str, flow: str, url: str, at: float, detail: str) -> bool:
        """Send nothing more to this address, with the event `webhook.disabled`. False, and nothing changed,
        where the flow's hook has another address by now, or is disabled."""

    async def enable_hook(self, account: str, flow: str) -> bool:
        """Send again to a hook that was disabled. Whether it was."""

    async def hook_state(self, account: str, flow: str) -> HookState:
        """How the hook of a flow stands."""

    async def list_deliveries(
        self,
        account: str,
        flow: str,
        state: DeliveryState | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Delivery]:
        """The newest first; of one state, or all."""

    async def get_delivery(self, account: str, flow: str, seq: int) -> Delivery | None:
        """One delivery of the flow."""

    async def replay_delivery(
        self, account: str, flow: str, seq: int, at: float
    ) -> Delivery | None:
        """Make a delivery due at `at` as if it had never been sent, whatever became of it; None when there is
        none."""

    async def clear_deliveries(self, before: float, limit: int) -> int:
        """Forget up to `limit` deliveries that were done before; how many."""


class Posted(Struct, frozen=True):
    """What came of a request."""

    code: str
    """`ok` for a status of 200 to 299; else as `engine.model.webhook.Try` has it."""
    detail: str = ""
    status: int | None = None
    retry_after_s: float | None = None
    """How long the receiver asks not to be sent anything."""


class Notifier(Protocol):
    """Sends events to where users want them, and never where it must not."""

    async def post(
        self, hook: Webhook, delivery: str, body: bytes, at: float, account: str = ""
    ) -> Posted:
        """Send one event, and never raise.

        Args:
            delivery: the id of the delivery.
            at: the moment of sending, seconds since the epoch, which is signed as well.
            account: for whom it is: one whose receivers are slow leaves room to the others.
        """
