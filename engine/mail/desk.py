"""The desk for mails that ask to activate a listener: each makes one request that waits for an operator, or
is refused with the reason, and its sender is told.

Who may ask for a flow: the holder of its account, and whoever its setting `email_senders` lets send lists to
it, since those are the people whom the flow will hear; there is no third list to be kept. Where the flow
wants DKIM for lists it wants it here. Anybody else, and whoever names nothing that goes together, gets one
answer a day, which is the same whatever exists; so nobody can find out with mails what does.

Mails that machines wrote ask for nothing: an absence note that quotes our own answer would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct, structs

from engine.control import activation_words
from engine.control.activating import Obstacle, find_obstacle
from engine.ids import IdSource
from engine.mail.asking import NUMBERS_MAX, Asked, read_asking, unpack_asking
from engine.mail.proving import find_doubt
from engine.model import Account, Flow, audit
from engine.model.activation import LIFE_S, Activation, Decision, activation_told
from engine.model.audit import AuditEntry
from engine.model.letter import Letter
from engine.ports.clock import WallClock
from engine.ports.mails import SpooledMail
from engine.ports.proofs import SenderProof
from engine.ports.store import Store
from engine.ports.stored import Conflict
from engine.ports.workers import Workers
from engine.post.postman import Postman, one_line

ASKED_MAX: Final = 20
"""Requests of one sender in `ASKED_S` that are looked at; what comes beyond is dropped."""
ASKED_S: Final = 3_600.0
LOOKED_BACK_MAX: Final = 500
"""Of an account's last requests, those among which a sender's are counted."""
STRANGER_S: Final = 86_400.0
"""In which a sender whom nobody knows gets one answer at most."""
STRANGERS_MAX: Final = 100
"""Such senders, all together, who are answered in that time."""
SENDER_ACTION: Final = "mail activate"
"""What the audit log has in place of a route."""

log = structlog.get_logger(__name__)


class DeskServices(Struct, frozen=True):
    """What the desk works with."""

    store: Store
    clock: WallClock
    ids: IdSource
    workers: Workers
    postman: Postman
    proof: SenderProof


class ActivationDesk:
    """Deals with mails to one address."""

    def __init__(self, services: DeskServices, address: str, own_account: str) -> None:
        """`address` is the one that such mails are for; the installation's own letters are kept with the
        account named `own_account`."""
        self._services = services
        self._store = services.store
        self._address = address.lower()
        self._own_account = own_account
        self._strangers: deque[float] = deque(maxlen=STRANGERS_MAX)
        """When the last strangers were answered."""

    def is_for(self, spooled: SpooledMail) -> bool:
        """Whether a mail is for this desk, perhaps beside others."""
        return any(address.lower() == self._address for address in spooled.recipients)

    async def take(self, spooled: SpooledMail, account_of: Callable[[str], str | None]) -> None:
        """Deal with a mail; what is to follow of it is durable when this returns. Raises `PutOff`,
        `StoreUnavailable` and `WorkerFailed`.

        Args:
            spooled: the mail.
            account_of: the account of a flow that there is.
        """
        services = self._services
        asked = unpack_asking(await services.workers.run(read_asking, spooled.content))
        mail = asked.mail
        if mail.problem or not mail.sender or mail.is_automatic or not spooled.mail_from:
            # It is not known who wrote it, or no person did.
            log.info("a mail to the activation address is no request", mail=spooled.id)
            return
        account = await self._find_account(asked, account_of)
        if account is None:
            await self._answer_stranger(spooled, asked)
            return
        if await self._asks_too_often(account, mail.sender):
            log.warning("a sender asks too often", account=account.id, mail=spooled.id)
            return
        await self._take_of(account, spooled, asked)

    async def _asks_too_often(self, account: Account, sender: str) -> bool:
        since = self._services.clock.now() - ASKED_S
        page = await self._store.list_activations(account.id, None, LOOKED_BACK_MAX, None)
        lately = [one for one in page.items if one.created_at > since and one.sender == sender]
        return len(lately) >= ASKED_MAX

    async def _find_account(
        self, asked: Asked, account_of: Callable[[str], str | None]
    ) -> Account | None:
        """The account for which its sender may speak: the one that the mail names, or else that of the flow
        that it names, as either may be mistyped."""
        flow = asked.flows[0] if len(asked.flows) == 1 else None
        named = asked.accounts[0] if len(asked.accounts) == 1 else None
        of_flow = None if flow is None else account_of(flow)
        for id_ in dict.fromkeys((named, of_flow)):
            account = None if id_ is None else await self._store.get_account(id_)
            if account is None or account.id != id_:
                continue
            found = None if flow is None else await self._store.get_flow(id_, flow)
            if knows_sender(account, found, asked.mail.sender):
                return account
        return None

    async def _take_of(self, account: Account, spooled: SpooledMail, asked: Asked) -> None:
        services = self._services
        flow, obstacle = await self._look(account, asked)
        if flow is not None and flow.settings.email_dkim:
            doubt = await find_doubt(services.proof, services.clock, spooled, asked.mail.sender)
            if doubt:
                obstacle = Obstacle("dkim_failed", doubt)
        request = self._make_request(account, flow, spooled, asked)
        _begin_audit(request, spooled)
        try:
            await self._keep(request, flow, obstacle)
        finally:
            audit.begin(None)

    async def _keep(
        self, request: Activation, flow: Flow | None, obstacle: Obstacle | None
    ) -> None:
        if obstacle is None:
            assert flow is not None  # or that were the obstacle
            letter = self._write(request, activation_words.request_received(request, flow.name))
            made = Decision(request, None, activation_told(request, flow), letter)
            try:
                await self._add(made)
            except Conflict as conflict:
                obstacle = Obstacle(conflict.code, conflict.detail)
            else:
                return
        refused = structs.replace(
            request,
            status="refused",
            code=obstacle.code,
            reason=obstacle.detail,
            decided_at=request.created_at,
        )
        letter = None
        if obstacle.code != "dkim_failed":  # whom an answer would reach is not known then
            name = None if flow is None else flow.name
            letter = self._write(refused, activation_words.request_turned_away(refused, name))
        await self._add(Decision(refused, None, activation_told(refused, flow), letter))

    async def _add(self, made: Decision) -> None:
        if await self._store.add_activation(made):
            self._services.postman.wake()

    async def _look(self, account: Account, asked: Asked) -> tuple[Flow | None, Obstacle | None]:
        """The flow that is meant, and what is in the way."""
        missing = [
            what
            for what, found in (("account's id", asked.accounts), ("flow's id", asked.flows))
            if not found
        ]
        if missing:
            return None, Obstacle(
                "incomplete", f"Your mail does not say the {' and the '.join(missing)}."
            )
        if len(asked.flows) > 1:
            return None, Obstacle(
                "several_flows", "Your mail names several flows; write one for each."
            )
        flow = await self._store.get_flow(account.id, asked.flows[0])
        if flow is None:
            detail = f"The account {account.id} has no flow {asked.flows[0]}."
            return None, Obstacle("unknown_flow", detail)
        if asked.accounts != (account.id,):
            detail = f"Your mail names another account than the one that the flow {flow.id} is of."
            return flow, Obstacle("unknown_account", detail)
        if asked.damaged:
            shown = ", ".join(repr(one) for one in asked.damaged)
            detail = f"These are no numbers with their country code: {shown}."
            return flow, Obstacle("invalid_number", detail)
        if len(asked.numbers) > NUMBERS_MAX:
            return flow, Obstacle("too_many_dids", f"A mail may name {NUMBERS_MAX} DIDs at most.")
        numbers = asked.numbers or flow.dids
        owned = {did.number for did in await self._store.find_dids(account.id, numbers)}
        return flow, find_obstacle(account, flow, numbers, owned)

    def _make_request(
        self, account: Account, flow: Flow | None, spooled: SpooledMail, asked: Asked
    ) -> Activation:
        services, mail = self._services, asked.mail
        now = services.clock.now()
        numbers = asked.numbers[:NUMBERS_MAX] or (() if flow is None else flow.dids[:NUMBERS_MAX])
        return Activation(
            id=services.ids.new("act"),
            account=account.id,
            mail=spooled.key,
            sender=mail.sender,
            subject=one_line(mail.subject),
            message_id=mail.message_id,
            flow=None if flow is None else flow.id,
            numbers=numbers,
            created_at=now,
            expires_at=now + LIFE_S,
        )

    async def _answer_stranger(self, spooled: SpooledMail, asked: Asked) -> None:
        """Say how one asks, once a day, and to few of those who may be anybody. The letter is the
        installation's own, and so of the account that every installation has."""
        services, sender = self._services, asked.mail.sender
        now = services.clock.now()
        while self._strangers and self._strangers[0] <= now - STRANGER_S:
            self._strangers.popleft()
        own = await self._store.get_account(self._own_account)
        if own is None or len(self._strangers) >= STRANGERS_MAX:
            return
        if await self._store.count_letters(own.id, sender, now - STRANGER_S):
            return
        self._strangers.append(now)
        subject, text = activation_words.nothing_understood()
        await services.postman.post(
            own.id,
            f"activation/{spooled.key}",
            sender,
            subject,
            text,
            in_reply_to=asked.mail.message_id,
        )

    def _write(self, one: Activation, words: activation_words.Words) -> Letter | None:
        subject, text = words
        return self._services.postman.write(
            one.account,
            f"{one.id}/asked",
            one.sender,
            subject,
            text,
            in_reply_to=one.message_id,
        )


def knows_sender(account: Account, flow: Flow | None, sender: str) -> bool:
    """Whether somebody may ask for a flow of an account, or be told what is wrong with the request."""
    if sender == account.email.lower():
        return True
    return flow is not None and sender in {one.lower() for one in flow.settings.email_senders}


def _begin_audit(request: Activation, spooled: SpooledMail) -> None:
    entry = AuditEntry(
        at=request.created_at,
        account=request.account,
        key="",
        role="sender",
        source=request.sender,
        action=SENDER_ACTION,
        targets=tuple(one for one in (request.id, request.flow) if one),
        detail={
            "sent": {"numbers": list(request.numbers), "mail": spooled.id, "peer": spooled.peer}
        },
    )
    audit.begin(entry)
