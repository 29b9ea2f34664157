"""The courier: brings what happened to the webhooks of flows.

Each hook that has something to be sent has a task of its own, which ends when nothing is left. What waits is
in the store; a task holds a handful, so that a receiver that is down costs no memory. One that is slow holds
its own turns, and its account's, and nobody else's.

What is due, and how long a hook is left alone, goes by a clock that is never set back; what its receiver and
people are told of a delivery goes by the wall clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
import trio

from engine.model.events import StoredEvent
from engine.model.webhook import DueDelivery, Outcome, Try, Webhook
from engine.notify.pace import HookPace, is_expired, next_try_at
from engine.notify.steady import SteadyClock
from engine.ports.clock import Randomness, WallClock
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable
from engine.ports.webhooks import Notifier

log = structlog.get_logger(__name__)

BATCH: Final = 32
"""Deliveries of one hook in memory, whose outcomes are kept in one transaction."""
ACCOUNT_AT_ONCE_MAX: Final = 32
"""Requests of one account that go on at once."""
AT_ONCE_MAX: Final = 256
"""Requests of all that go on at once."""
GIVE_UP_CHUNK: Final = 1_000
CLEAR_CHUNK: Final = 1_000
"""Deliveries that are given up, or forgotten, in one transaction."""
KEPT_S: Final = 30 * 86_400.0
"""How long a delivery that is done can be looked up."""
CLEAR_EVERY_S: Final = 3_600.0
STORE_RETRY_S: Final = 1.0


class _Post:
    """The task of one hook."""

    def __init__(self) -> None:
        self.pace = HookPace()
        self.woken = trio.Event()


class Courier:
    """Delivers to webhooks what the store has for them. `run` is its life."""

    def __init__(
        self, store: Store, notifier: Notifier, clock: WallClock, randomness: Randomness
    ) -> None:
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._steady: SteadyClock
        """There once it runs."""
        self._randomness = randomness
        self._posts: dict[tuple[str, str], _Post] = {}
        self._new: dict[tuple[str, str], None] = {}
        self._changed = trio.Event()
        self._at_once = trio.CapacityLimiter(AT_ONCE_MAX)
        self._at_once_of: dict[str, trio.CapacityLimiter] = {}

    def note(self, events: Sequence[StoredEvent]) -> None:
        """Hear of what one commit brought. Never blocks and never raises."""
        for event in events:
            if event.has_delivery:
                self.wake(event.account, event.flow)

    def wake(self, account: str, flow: str) -> None:
        """There may be something to be sent for this flow, or its hook has changed."""
        post = self._posts.get((account, flow))
        if post is not None:
            post.woken.set()
            return
        self._new[account, flow] = None
        self._changed.set()

    @property
    def busy_hooks(self) -> int:
        """Webhooks for which something waits."""
        return len(self._posts)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled. What was being sent then is sent again by the next run."""
        self._posts.clear()
        self._steady = SteadyClock(self._clock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._clear)
            await self._find_left(nursery)
            task_status.started()
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                for hook in tuple(self._new):
                    self._begin(hook, nursery)
                self._new.clear()

    def _begin(self, hook: tuple[str, str], nursery: trio.Nursery) -> None:
        if hook in self._posts:
            self._posts[hook].woken.set()
            return
        self._posts[hook] = _Post()
        nursery.start_soon(self._serve, hook, name=f"webhook {hook[1]}")

    async def _find_left(self, nursery: trio.Nursery) -> None:
        """Go on with what an earlier run left."""
        while True:
            try:
                left = await self._store.hooks_with_deliveries()
            except StoreUnavailable as error:
                log.error("cannot look for deliveries", error=str(error))
                await trio.sleep(STORE_RETRY_S)
                continue
            for hook in left:
                self._begin(hook, nursery)
            return

    async def _serve(self, key: tuple[str, str]) -> None:
        """Deliver for one flow until nothing is left."""
        post = self._posts[key]
        while True:
            try:
                wake_at = await self._deliver_some(*key, post.pace)
            except StoreUnavailable as error:
                log.error("cannot keep deliveries", flow=key[1], error=str(error))
                await trio.sleep(STORE_RETRY_S)
                continue
            now = self._steady.now()
            if wake_at is not None and wake_at <= now:
                await trio.lowlevel.checkpoint()
                continue
            if wake_at is None and not post.woken.is_set():
                # Between the look that found nothing and this line nobody else has run.
                del self._posts[key]
                self._forget_account(key[0])
                return
            with trio.move_on_after(0 if wake_at is None else wake_at - now):
                await post.woken.wait()
            post.woken = trio.Event()

    async def _deliver_some(self, account: str, flow: str, pace: HookPace) -> float | None:
        """One round; when the next is due, or None when nothing is left."""
        hook = await self._find_hook(account, flow)
        if isinstance(hook, Try):
            given_up = await self._store.give_up_deliveries(
                flow, hook.code, hook.detail, self._clock.now(), GIVE_UP_CHUNK
            )
            return self._steady.now() if given_up else None
        now = self._steady.now()
        due: list[DueDelivery] = []
        if pace.rests_until <= now:
            due = await self._store.due_deliveries(flow, now, BATCH if not pace.failures else 1)
        if not due:
            next_at = await self._store.next_delivery_at(flow)
            return None if next_at is None else max(next_at, pace.rests_until)
        outcomes = await self._send_all(hook, due, pace)
        await self._store.note_tries(outcomes, self._clock.now())
        gone = next((one for one in outcomes if one.last.code == "gone"), None)
        if gone is not None:
            await self._store.disable_hook(
                account, flow, hook.url, self._clock.now(), gone.last.detail
            )
        return self._steady.now()

    async def _find_hook(self, account: str, flow: str) -> Webhook | Try:
        """The flow's hook, or why nothing can be sent to it."""
        found = await self._store.get_flow(account, flow)
        hook = found.settings.webhook if found is not None else None
        now = self._clock.now()
        if hook is None:
            return Try(now, "no_webhook", "The flow has no webhook any more.")
        state = await self._store.hook_state(account, flow)
        if state.disabled_at is not None:
            return Try(now, "gone", "The webhook is disabled: its receiver said that it is gone.")
        return hook

    async def _send_all(
        self, hook: Webhook, due: Sequence[DueDelivery], pace: HookPace
    ) -> list[Outcome]:
        """Send what is due, a few at once; what follows for each. When one fails, those that have not been
        sent yet are left as they are."""
        outcomes: list[Outcome] = []
        turns = trio.Semaphore(pace.at_once)

        async def send(one: DueDelivery) -> None:
            async with turns:
                if not pace.failures or one is due[0]:
                    outcomes.append(await self._send(hook, one, pace))

        async with trio.open_nursery() as nursery:
            for one in due:
                nursery.start_soon(send, one)
        return outcomes

    async def _send(self, hook: Webhook, due: DueDelivery, pace: HookPace) -> Outcome:
        delivery, began_at = due.delivery, self._clock.now()
        if is_expired(delivery, began_at):
            detail = "It was due for three days and was never taken."
            last = Try(began_at, "expired", detail)
            return Outcome(delivery, "given_up", last, tries=delivery.tries)
        async with self._limiter_of(delivery.account), self._at_once:
            began_at = self._clock.now()
            posted = await self._notifier.post(
                hook, delivery.id, due.body, began_at, delivery.account
            )
        now, tries = self._clock.now(), delivery.tries + 1
        last = Try(now, posted.code, posted.detail, posted.status, now - began_at)
        if posted.code == "ok":
            pace.note_success()
            return Outcome(delivery, "delivered", last, tries=tries)
        pace.note_failure(self._steady.now(), posted.retry_after_s)
        again_at = next_try_at(delivery, tries, now, self._randomness.random())
        if posted.code == "gone" or again_at is None:
            return Outcome(delivery, "given_up", last, tries=tries)
        return Outcome(delivery, "pending", last, again_at + self._steady.behind_s, tries)

    def _limiter_of(self, account: str) -> trio.CapacityLimiter:
        found = self._at_once_of.get(account)
        if found is None:
            found = self._at_once_of[account] = trio.CapacityLimiter(ACCOUNT_AT_ONCE_MAX)
        return found

    def _forget_account(self, account: str) -> None:
        if not any(of == account for of, _ in self._posts):
            self._at_once_of.pop(account, None)

    async def _clear(self) -> None:
        """Forget what was done long ago, now and then."""
        while True:
            try:
                before = self._clock.now() - KEPT_S
                while await self._store.clear_deliveries(before, CLEAR_CHUNK) == CLEAR_CHUNK:
                    pass
            except StoreUnavailable as error:
                log.error("cannot forget old deliveries", error=str(error))
            await trio.sleep(CLEAR_EVERY_S)
