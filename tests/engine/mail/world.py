"""A flow with an address, a spool on disk, and a plug that can be pulled at every step."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec import structs

from adapters.mail.spool import Envelope, FolderSpool, make_spool, write_mail
from adapters.workers import InlineWorkers
from engine.control.activating import Activations
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.mail.address import address_of
from engine.mail.desk import ActivationDesk, DeskServices
from engine.mail.door import MailDoor, MailServices, MailSettings
from engine.model.events import StoredEvent
from engine.model.letter import Letter
from engine.ports.letters import NotSent
from engine.ports.proofs import Proof
from engine.post.postman import Postman
from sim.memory_store import MemoryStore
from tests.contract.store_samples import ACME, FixedClock, a_flow, furnish
from tests.engine.plug import Plug, Plugged

FLOW = "flw_0123456789abcdef0123456789ab"
CALLS = "lst_0123456789abcdef0123456789ab"
SENDER = "ada@example.com"
OWN_ACCOUNT = "own"
"""Name of the account that the installation's own letters are kept with."""
DOMAIN = "lists.example.net"
SECRET = bytes(32)
GOOD = b"tel1\n+14155550100\n+14155550101\nnonsense\n"
OTHER = b"tel1\n+14155550102\n"
ACTIVATE = f"activate@{DOMAIN}"
STORE_STEPS = ("accept_list", "keep_refusal", "keep_letter", "note_letter", "add_activation")
SPOOL_STEPS = ("remove_mail",)


class NoSmarthost:
    """Lets letters lie: the outbox is what a test looks at."""

    async def send(self, letter: Letter) -> None:
        raise NotSent("nobody is there", is_final=False)


class MailWorld:
    """All of it. Made by `open_world`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_spool(folder)
        self.clock = FixedClock()
        self.told: list[StoredEvent] = []
        self.store = MemoryStore(self.told.extend, self.clock)
        self.plug = Plug()
        self.proofs: list[Proof] = []
        """What is found of mails, in turn; with none left they are proven."""
        self.workers: Any = InlineWorkers()
        self.changed: list[tuple[str, str]] = []
        self.door = self.start()

    def start(self) -> MailDoor:
        """A new process over what is on disk."""
        plugged: Any = Plugged(self.store, STORE_STEPS, self.plug)
        spool: Any = Plugged(FolderSpool(self.folder), SPOOL_STEPS, self.plug)
        ids = IdSource(self.clock, Random(len(self.plug.steps)))
        intake = Intake(
            store=plugged,
            clock=self.clock,
            ids=ids,
            workers=self.workers,
            destinations=("+1",),
            on_accepted=lambda *_: None,
        )
        postman = Postman(plugged, NoSmarthost(), self.clock, ids, Random(2))
        services = MailServices(
            plugged, intake, self.clock, ids, self.workers, spool, postman, proof=self
        )
        desk = ActivationDesk(
            DeskServices(plugged, self.clock, ids, self.workers, postman, proof=self),
            ACTIVATE,
            OWN_ACCOUNT,
        )
        self.door = MailDoor(services, MailSettings(DOMAIN, SECRET), desk)
        self.activations = Activations(
            store=plugged,
            clock=self.clock,
            postman=postman,
            on_flow_changed=lambda account, flow: self.changed.append((account, flow)),
        )
        self.door.note_flow(ACME, FLOW)
        return self.door

    async def prove(self, content: bytes, sender: str) -> Proof:
        """As `SenderProof`."""
        return self.proofs.pop(0) if self.proofs else Proof("proven", "")

    def drop(
        self, message: EmailMessage | bytes, mail_from: str = SENDER, address: str = ""
    ) -> str:
        """Put a mail into the spool as the receiver does, for the flow or another address; its id."""
        content = message if isinstance(message, bytes) else message.as_bytes()
        to = (address or address_of(SECRET, FLOW, DOMAIN),)
        return write_mail(
            self.folder, Envelope("192.0.2.1", mail_from, to, self.clock.now()), content
        )

    def spooled(self, place: str = "new") -> list[str]:
        """Mails that are there."""
        return sorted(path.name for path in (self.folder / place).iterdir())

    async def change_settings(self, **settings: Any) -> None:
        """Give the flow other settings."""
        await self.store.change_flow(
            ACME,
            FLOW,
            lambda flow: structs.replace(
                flow, settings=structs.replace(flow.settings, **settings), listener_active=True
            ),
        )

    async def lists(self) -> list[str]:
        """Names of the lists that came by mail."""
        page = await self.store.list_lists(ACME, FLOW, 100, None)
        return sorted(one.name for one in page.items if one.source == "email")

    async def letters(self) -> list[Letter]:
        """All letters, the oldest first, with what is attached."""
        return await self.store.due_letters(self.clock.now(), 100)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one.body)["data"] for one in self.told if one.type == kind]


async def open_world(folder: Path) -> MailWorld:
    """A world with its accounts and flows, whose flow hears `SENDER`."""
    world = MailWorld(folder)
    await furnish(world.store)
    await world.store.add_flow(a_flow(FLOW, ACME, CALLS))
    await world.change_settings(email_senders=(SENDER,))
    world.told.clear()
    return world


def make_mail(
    files: dict[str, bytes] | None = None,
    change: Callable[[EmailMessage], None] = lambda message: None,
) -> EmailMessage:
    """A mail with these files, or with one good list."""
    message = EmailMessage()
    message["From"] = f"Ada <{SENDER}>"
    message["To"] = address_of(SECRET, FLOW, DOMAIN)
    message["Subject"] = "today"
    message["Message-ID"] = "<1@example.com>"
    message.set_content("Here you are.")
    for name, data in ({"people.csv": GOOD} if files is None else files).items():
        message.add_attachment(data, maintype="text", subtype="csv", filename=name)
    change(message)
    return message
