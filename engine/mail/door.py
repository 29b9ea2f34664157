"""The door for mails: takes each out of the spool once, hands its lists to the intake, and answers.

A mail stays in the spool until each of its files was taken or refused, and each answer is written down.
What a crash interrupts is done again: a file is known by the pick-up that was written with its list, and
a letter by its key, so that neither comes twice.
"""

from __future__ import annotations

import hashlib
from typing import Final

import structlog
import trio
from msgspec import Struct, structs

from engine.control.all_flows import go_through_flows
from engine.ids import IdSource
from engine.intake.answer import write_receipt, write_refusal
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.intake.rejected_file import write_rejected_file
from engine.intake.submission import Intake
from engine.mail.address import flow_of
from engine.mail.desk import ActivationDesk
from engine.mail.proving import PutOff, find_doubt
from engine.mail.reading import Mail, MailedFile, read_mail, unpack_mail
from engine.model import Flow
from engine.model.letter import Attachment
from engine.model.pickup import FileMark, Pickup, file_refused, mail_refused
from engine.ports.clock import WallClock
from engine.ports.mails import MailSpool, SpooledMail
from engine.ports.proofs import SenderProof
from engine.ports.store import Store
from engine.ports.stored import Conflict, PickedUp, StoreUnavailable
from engine.ports.workers import WorkerFailed, Workers, WorkersBusy
from engine.post.postman import Postman

LOOK_EVERY_S: Final = 30.0
"""Beside each time that the receiver says that there is something new."""
RETRY_S: Final = 5.0
"""After a mail could not be dealt with just now."""
BATCH: Final = 100
READINGS_MAX: Final = 3
"""How often a mail is begun with over which a worker, or we ourselves, break; then it is set aside."""
READ_RETRY_S: Final = 60.0
"""After the disk did not give a mail. Other mails go on meanwhile."""
PROOF_RETRY_S: Final = 60.0
"""After the key of a sender's domain could not be looked up. Other mails go on meanwhile."""
ANSWERS_MAX: Final = 100
"""Letters to one sender in `ANSWERS_S`; what comes beyond is taken and not answered."""
ANSWERS_S: Final = 3_600.0

log = structlog.get_logger(__name__)


class MailSettings(Struct, frozen=True):
    """Whose mails these are."""

    domain: str
    secret: bytes
    """Of the flows' addresses."""


class MailServices(Struct, frozen=True):
    """What the door works with."""

    store: Store
    intake: Intake
    clock: WallClock
    ids: IdSource
    workers: Workers
    spool: MailSpool
    postman: Postman
    proof: SenderProof


class MailDoor:
    """Empties the spool while `run` runs."""

    def __init__(
        self,
        services: MailServices,
        settings: MailSettings,
        desk: ActivationDesk | None = None,
    ) -> None:
        """`desk` deals with mails that ask to activate a listener; None where none are taken."""
        self._services = services
        self._desk = desk
        self._store = services.store
        self._settings = settings
        self._accounts: dict[str, str] = {}
        """Of every flow."""
        self._broken: dict[str, int] = {}
        """How often somebody broke over a mail that is in the spool."""
        self._put_off: dict[str, float] = {}
        """Until when mails wait for the keys of their senders; no more of them than the spool holds."""
        self._woken = trio.Event()

    def wake(self) -> None:
        """There is a new mail. Never blocks and never raises."""
        self._woken.set()

    def note_flow(self, account: str, flow: str) -> None:
        """A flow was made or changed."""
        self._accounts[flow] = account

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deal with mails until cancelled."""
        task_status.started()
        await go_through_flows(self._store, lambda flow: self.note_flow(flow.account, flow.id))
        while True:
            self._woken = trio.Event()
            wait_s = LOOK_EVERY_S
            try:
                if await self.deal_with_due() >= BATCH:
                    continue
            except (StoreUnavailable, WorkerFailed, OSError) as error:
                log.error("mails wait in the spool", error=str(error))
                wait_s = RETRY_S
            with trio.move_on_after(wait_s):
                await self._woken.wait()

    async def deal_with_due(self) -> int:
        """Deal with the mails that came first; how many. Raises what leaves the others waiting:
        `StoreUnavailable`, `WorkerFailed` and OSError."""
        mails = await self._services.spool.list_mails(BATCH + len(self._put_off))
        now = self._services.clock.now()
        due = [mail for mail in mails if self._put_off.get(mail, 0.0) <= now]
        for mail in due:
            await self._deal_with(mail)
        return len(due)

    async def _deal_with(self, id_: str) -> None:
        """One mail, to its end. Raises `StoreUnavailable`, `WorkerFailed` and OSError: it is still there."""
        spool = self._services.spool
        try:
            spooled = await spool.read_mail(id_)
        except OSError as error:
            # Of this one, perhaps: the others are not to wait for it.
            log.error("a mail in the spool cannot be read", mail=id_, error=str(error))
            self._put_off[id_] = self._services.clock.now() + READ_RETRY_S
            return
        if spooled is None:
            log.warning("a mail in the spool is damaged", mail=id_)
            await spool.set_aside(id_)
            self._forget(id_)
            return
        try:
            await self._deliver(spooled)
        except PutOff:
            self._put_off[id_] = self._services.clock.now() + PROOF_RETRY_S
            return
        except (StoreUnavailable, WorkersBusy, OSError):
            raise
        except Exception as error:
            await self._note_broken(spooled, error)
            return
        await spool.remove_mail(id_)
        self._forget(id_)

    async def _deliver(self, spooled: SpooledMail) -> None:
        """A mail to all of its flows, and to the desk."""
        if self._desk is not None and self._desk.is_for(spooled):
            await self._desk.take(spooled, self._accounts.get)
        mail = unpack_mail(await self._services.workers.run(read_mail, spooled.content))
        for flow in await self._find_flows_of(spooled):
            await _Delivery(self._services, flow, spooled, mail).run()

    async def _note_broken(self, spooled: SpooledMail, error: Exception) -> None:
        """A mail cannot be dealt with. It is tried again, but must not keep all others waiting for ever."""
        id_ = spooled.id
        self._broken[id_] = self._broken.get(id_, 0) + 1
        log.error("a mail could not be dealt with", mail=id_, exc_info=error)
        if self._broken[id_] < READINGS_MAX:
            raise WorkerFailed(f"the mail {id_} could not be dealt with") from error
        log.error("a mail is set aside, as nobody can deal with it", mail=id_)
        await self._tell_of_broken(spooled)
        await self._services.spool.set_aside(id_)
        self._forget(id_)

    async def _tell_of_broken(self, spooled: SpooledMail) -> None:
        """Its sender heard that it was taken: at least the accounts are to learn that it was not."""
        problem = Mail(problem="It could not be dealt with, and was set aside.")
        try:
            for flow in await self._find_flows_of(spooled):
                await _Delivery(self._services, flow, spooled, problem).run()
        except (StoreUnavailable, OSError):
            raise
        except Exception as error:
            # Whatever it broke over before: it goes.
            log.error("nobody is told of a mail that is set aside", mail=spooled.id, exc_info=error)

    def _forget(self, id_: str) -> None:
        self._broken.pop(id_, None)
        self._put_off.pop(id_, None)

    async def _find_flows_of(self, spooled: SpooledMail) -> list[Flow]:
        """Whom a mail is for, of those that there are."""
        flows: list[Flow] = []
        for id_ in self._flows_of(spooled):
            account = self._accounts.get(id_)
            flow = None if account is None else await self._store.get_flow(account, id_)
            if flow is not None:
                flows.append(flow)
        return flows

    def _flows_of(self, spooled: SpooledMail) -> list[str]:
        found = {
            flow_of(self._settings.secret, address, self._settings.domain): None
            for address in spooled.recipients
        }
        return [flow for flow in found if flow is not None]


class _Delivery:
    """A mail for one flow."""

    def __init__(
        self, services: MailServices, flow: Flow, spooled: SpooledMail, mail: Mail
    ) -> None:
        self._services = services
        self._flow = flow
        self._spooled = spooled
        self._mail = mail

    async def run(self) -> None:
        """Take or refuse all of it, and write the answers down."""
        mail = self._mail
        if mail.problem:
            # Who wrote it is not known, so nobody can be answered.
            await self._refuse_mail("unreadable", mail.problem)
            return
        if mail.sender not in {one.lower() for one in self._flow.settings.email_senders}:
            # Anybody can write any sender: an answer would go to who never wrote.
            detail = "The flow's setting `email_senders` does not name its sender."
            await self._refuse_mail("sender_not_allowed", detail)
            return
        if self._flow.settings.email_dkim:
            detail = await find_doubt(
                self._services.proof, self._services.clock, self._spooled, self._mail.sender
            )
            if detail:
                # It is not known who wrote it: nobody can be answered here, either.
                await self._refuse_mail("dkim_failed", detail)
                return
        why = self._spooled.cut or mail.tangle
        if why:
            await self._refuse_mail("too_large" if self._spooled.cut else "too_tangled", why)
            await self._answer_refusal(why)
            return
        for file in mail.files:
            await self._answer_file(await self._take(file))
        if not mail.files:
            await self._answer_without_files()

    async def _take(self, file: MailedFile) -> Pickup:
        """Hand a file to the intake; what became of it, now or before a crash."""
        digest = hashlib.sha256(file.data).digest()
        mark = FileMark(file.name, len(file.data), 0, digest)
        place = f"mail:{self._spooled.key}"
        flow, services = self._flow, self._services
        earlier = await services.store.find_pickup(flow.account, flow.id, place, mark)
        if earlier is not None:
            return earlier
        made: list[Pickup] = []

        def make(receipt: Receipt) -> Pickup:
            call_list = receipt.call_list
            pickup = structs.replace(
                self._make_pickup(place, mark, write_receipt(receipt, flow.timezone)),
                list=call_list.id,
                rejected=call_list.report.rejected,
            )
            made.append(pickup)
            return pickup

        try:
            await services.intake.submit_file(
                flow, name=mark.name, data=file.data, source="email", pickup_for=make
            )
        except PickedUp as known:
            return known.pickup
        except (Refused, Conflict) as refused:
            report = write_refusal(mark.name, refused)
            pickup = structs.replace(self._make_pickup(place, mark, report), code=refused.code)
            event = file_refused(flow, pickup, refused.detail)
            return await services.store.keep_refusal(pickup, event) or pickup
        return made[-1]

    def _make_pickup(self, place: str, mark: FileMark, report: str) -> Pickup:
        """Its report goes out as a letter, which is written down by itself; its place is never seen again."""
        services, flow = self._services, self._flow
        now = services.clock.now()
        id_ = services.ids.new("pck")
        return Pickup(
            *(id_, flow.account, flow.id, "email", place, mark, now, report),
            reported_at=now,
            told_at=now,
        )

    async def _answer_file(self, pickup: Pickup) -> None:
        text = (
            f"Your mail {self._mail.subject!r} to the flow {self._flow.name!r}\n\n{pickup.report}"
        )
        attachments: tuple[Attachment, ...] = ()
        if pickup.list is not None:
            rejected = await write_rejected_file(
                self._services.store, pickup.account, pickup.list, pickup.rejected
            )
            if rejected is not None:
                text += "\nThe rows that were not taken are attached, with the reason in each.\n"
                attachments = (Attachment("rejected.csv", rejected),)
        what = "was taken" if pickup.list is not None else "was refused"
        await self._answer(pickup.id, f"{pickup.file.name} {what}", text, attachments)

    async def _answer_without_files(self) -> None:
        lines = [
            f"Your mail {self._mail.subject!r} to the flow {self._flow.name!r} has no list attached: a .csv,"
            " .zip or .xlsx file. Nobody is called.",
            *(f"- {name} is none." for name in self._mail.left_out),
        ]
        key = f"{self._flow.id}/{self._spooled.key}"
        await self._answer(key, "No list was attached", "\n".join(lines) + "\n", ())

    async def _answer(
        self, key: str, subject: str, text: str, attachments: tuple[Attachment, ...]
    ) -> None:
        """Write an answer down, where one may be given: never to a machine, which could answer it."""
        mail, services, account = self._mail, self._services, self._flow.account
        if mail.is_automatic or not self._spooled.mail_from:
            return
        since = services.clock.now() - ANSWERS_S
        if await services.store.count_letters(account, mail.sender, since) >= ANSWERS_MAX:
            log.warning("a sender gets no more answers for a while", flow=self._flow.id)
            return
        await services.postman.post(
            account,
            key,
            mail.sender,
            subject,
            text,
            attachments=attachments,
            in_reply_to=mail.message_id,
        )

    async def _answer_refusal(self, why: str) -> None:
        text = (
            f"Your mail {self._mail.subject!r} to the flow {self._flow.name!r} was not looked into."
            f" {why} Nobody is called. Attach the lists to a mail of their own.\n"
        )
        key = f"{self._flow.id}/{self._spooled.key}"
        await self._answer(key, "Your mail was refused", text, ())

    async def _refuse_mail(self, code: str, detail: str) -> None:
        """Keep that a mail was turned away, which the account learns."""
        mark = FileMark("", len(self._spooled.content), 0, b"")
        place = f"mail:{self._spooled.key}"
        pickup = structs.replace(self._make_pickup(place, mark, detail), code=code)
        event = mail_refused(self._flow, pickup, self._mail.sender, detail)
        await self._services.store.keep_refusal(pickup, event)
