"""Requests to activate listeners, from when they wait: an operator confirms or refuses each, and what nobody
decides expires.

Confirming attaches the numbers and activates the listener in the transaction that decides the request, so
that no crash leaves the one without the other. Whether it is possible is asked twice: when the mail comes,
for a clear answer, and at the confirmation, as flows and numbers may be others by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog
import trio
from msgspec import Struct, structs

from engine.control import activation_words
from engine.control.activation_words import Words
from engine.form import Invalid, Mistake
from engine.model import Account, Flow, audit
from engine.model.activation import (
    KEPT_S,
    REASON_LENGTH_MAX,
    Activation,
    Decision,
    activation_told,
)
from engine.model.caller_series import find_series_problem, list_some
from engine.model.letter import Letter
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import Conflict, StoreUnavailable
from engine.post.postman import Postman

LOOK_EVERY_S: Final = 60.0
"""How often it is looked for requests whose time is over."""
BATCH: Final = 100
CLEAR_CHUNK: Final = 1_000

log = structlog.get_logger(__name__)


class Obstacle(Struct, frozen=True):
    """Why a flow cannot be activated as somebody asks."""

    code: str
    detail: str


def find_obstacle(
    account: Account, flow: Flow, numbers: Sequence[str], owned: Collection[str]
) -> Obstacle | None:
    """What is in the way of activating a flow with just these numbers, of which the account has `owned`."""
    if flow.listener_active:
        detail = "The flow's listener is active already. Its numbers are changed on its page."
        return Obstacle("already_active", detail)
    if not numbers:
        return Obstacle("no_dids", "The flow has no DID to call from, and your mail names none.")
    foreign = [number for number in numbers if number not in owned]
    if foreign:
        return Obstacle("unknown_did", f"The account has no DID {list_some(foreign)}.")
    problem = find_series_problem(account, flow.settings, numbers)
    return None if not problem else Obstacle("wrong_number_series", problem)


class Activations:
    """Decides requests. `run` lets those expire that nobody decides."""

    def __init__(
        self,
        *,
        store: Store,
        clock: WallClock,
        postman: Postman,
        on_flow_changed: Callable[[str, str], None],
    ) -> None:
        """`on_flow_changed` is called with (account, flow) after a confirmation is stored."""
        self._store = store
        self._clock = clock
        self._postman = postman
        self._on_flow_changed = on_flow_changed

    async def confirm(self, account: Account, activation: str, by: str) -> Activation | None:
        """The request, confirmed, with its flow active on its numbers; None when there is no such request.
        One that is confirmed stays so. Raises `Conflict`: `activation_decided`, `activation_expired`,
        `flow_deleted`, `dids_changed`, and the other codes of `find_obstacle`.

        Args:
            account: whose request it is.
            activation: its id.
            by: id of the operator's key.
        """
        found = await self._store.get_activation(account.id, activation)
        if found is None or found.status == "confirmed":
            return found
        flow = await self._find_flow(found)
        now = self._clock.now()
        name = "" if flow is None else flow.name
        letter = self._write(found, activation_words.request_confirmed(found, name))

        def decide(one: Activation, flow: Flow | None, owned: frozenset[str]) -> Decision:
            _require_pending(one)
            if one.expires_at <= now:
                raise Conflict(
                    "activation_expired", "The request is too old; its sender has to write again."
                )
            if flow is None:
                raise Conflict("flow_deleted", "The flow was deleted; refuse the request.")
            obstacle = find_obstacle(account, flow, one.numbers, owned)
            if obstacle is not None:
                # Where it was the account's when the mail came, it has gone meanwhile.
                code = "dids_changed" if obstacle.code == "unknown_did" else obstacle.code
                raise Conflict(code, obstacle.detail)
            decided = structs.replace(one, status="confirmed", decided_at=now, decided_by=by)
            active = structs.replace(flow, dids=one.numbers, listener_active=True)
            return Decision(decided, active, activation_told(decided, active), letter)

        decided = await self._decide(found, decide)
        if decided is not None and decided.flow is not None:
            self._on_flow_changed(account.id, decided.flow)
        return decided

    async def refuse(
        self, account: Account, activation: str, reason: str, by: str
    ) -> Activation | None:
        """The request, refused with a reason that its sender is told; as `confirm`. Raises `Invalid`, and
        `Conflict("activation_decided")`."""
        if len(reason) > REASON_LENGTH_MAX:
            detail = f"A reason has at most {REASON_LENGTH_MAX} characters."
            raise Invalid("invalid_body", detail, (Mistake("/reason", "value_too_long", detail),))
        found = await self._store.get_activation(account.id, activation)
        if found is None or found.status == "refused":
            return found
        flow = await self._find_flow(found)
        now = self._clock.now()
        name = None if flow is None else flow.name
        letter = self._write(found, activation_words.request_refused(found, name, reason))

        def decide(one: Activation, flow: Flow | None, owned: frozenset[str]) -> Decision:
            _require_pending(one)
            decided = structs.replace(
                one, status="refused", reason=reason, decided_at=now, decided_by=by
            )
            return Decision(decided, None, activation_told(decided, flow), letter)

        return await self._decide(found, decide)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let requests expire, and forget old ones, until cancelled."""
        task_status.started()
        while True:
            try:
                while await self.expire_due() == BATCH:
                    pass
                before = self._clock.now() - KEPT_S
                while await self._store.clear_activations(before, CLEAR_CHUNK) == CLEAR_CHUNK:
                    pass
            except StoreUnavailable as error:
                log.error("cannot let requests expire", error=str(error))
            await trio.sleep(LOOK_EVERY_S)

    async def expire_due(self) -> int:
        """Let those expire whose time is over, up to `BATCH`; how many. Raises `StoreUnavailable`."""
        now = self._clock.now()
        over = await self._store.activations_to_expire(now, BATCH)
        for found in over:
            await self._expire(found, now)
        return len(over)

    async def _expire(self, found: Activation, now: float) -> None:
        flow = await self._find_flow(found)
        name = None if flow is None else flow.name
        letter = self._write(found, activation_words.request_expired(found, name))

        def decide(one: Activation, flow: Flow | None, owned: frozenset[str]) -> Decision:
            _require_pending(one)
            expired = structs.replace(one, status="expired", decided_at=now)
            return Decision(expired, None, activation_told(expired, flow), letter)

        try:
            await self._decide(found, decide)
        except Conflict:
            log.info("a request was decided as it was about to expire", activation=found.id)

    async def _decide(
        self,
        found: Activation,
        decide: Callable[[Activation, Flow | None, frozenset[str]], Decision],
    ) -> Activation | None:
        # A client that hangs up must not keep what was decided from being heard of.
        with trio.CancelScope(shield=True):
            if found.flow is not None:
                audit.note(found.flow)
            decided = await self._store.decide_activation(found.account, found.id, decide)
        self._postman.wake()
        return decided

    async def _find_flow(self, found: Activation) -> Flow | None:
        return None if found.flow is None else await self._store.get_flow(found.account, found.flow)

    def _write(self, one: Activation, words: Words) -> Letter | None:
        subject, text = words
        return self._postman.write(
            one.account,
            f"{one.id}/decided",
            one.sender,
            subject,
            text,
            in_reply_to=one.message_id,
        )


def _require_pending(one: Activation) -> None:
    if one.status != "pending":
        raise Conflict("activation_decided", f"The request is {one.status} already.")
