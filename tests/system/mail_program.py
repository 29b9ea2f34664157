"""A process that deals with mails and sends letters, over a real store and a real spool, until it is killed
at a step that it was told.

python -m tests.system.mail_program FOLDER SMARTHOST_PORT is a program of `tests.system.lives`.
"""

from __future__ import annotations

import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from adapters.mail.smarthost import SmarthostSettings, SmtpSmarthost
from adapters.mail.spool import FolderSpool, make_spool
from adapters.sqlite.store import open_sqlite_store
from adapters.workers import InlineWorkers
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.mail.desk import ActivationDesk, DeskServices
from engine.mail.door import MailDoor, MailServices, MailSettings
from engine.model import FlowSettings
from engine.ports.proofs import SenderProof
from engine.post.postman import Postman
from tests.contract.store_samples import ACME, a_did, a_flow, furnish
from tests.system.lives import SystemClock, Watched, methods_of, serve_lives

DOMAIN: Final = "lists.example.net"
SECRET: Final = b"\7" * 32
SENDER: Final = "ada@example.com"
ID: Final = f"flw_{1:028x}"
"""Of the flow that mails are for."""
HOLDER: Final = "acme@example.com"
"""Of the account."""
ACTIVATE: Final = f"activate@{DOMAIN}"
ASKING_STEPS: Final = (
    *("before list_mails", "after list_mails", "before read_mail", "after read_mail"),
    *("before add_activation", "after add_activation", "before remove_mail", "after remove_mail"),
    *("before send", "after send", "before note_letter", "after note_letter"),
)
"""Of a mail that asks to activate a listener."""
ASKED_FLOWS: Final = tuple(f"flw_{number:028x}" for number in range(100, 100 + len(ASKING_STEPS)))
"""Whose listeners are off."""
NUMBER: Final = "+911140000001"
LIFE_S_MAX: Final = 60.0
STEPS: Final = (
    *("before list_mails", "after list_mails", "before read_mail", "after read_mail"),
    *("before accept_list", "after accept_list", "before keep_refusal", "after keep_refusal"),
    *("before keep_letter", "after keep_letter", "before remove_mail", "after remove_mail"),
    *("before send", "after send", "before note_letter", "after note_letter"),
)
"""At which it can be told to be killed."""

_WATCHED: Final = methods_of(STEPS + ASKING_STEPS)


class NobodyProves:
    """Where no flow asks for proof."""

    async def prove(self, content: bytes, sender: str) -> Any:
        raise AssertionError("no flow asks for it")


async def main(folder: Path, port: int, kill_at: str) -> None:
    clock, chance = SystemClock(), secrets.SystemRandom()
    async with open_sqlite_store(folder / "callwheel.db", lambda _: None, clock) as store:
        if await store.get_account(ACME) is None:
            await furnish(store)
            settings = FlowSettings(email_senders=(SENDER,))
            await store.add_flow(a_flow(ID, ACME, "lst_calls_of_mails", settings=settings))
            await store.add_did(a_did(NUMBER))
            for flow in ASKED_FLOWS:
                calls = flow.replace("flw", "lst")
                await store.add_flow(a_flow(flow, ACME, calls, listener_active=False, dids=()))
        watched: Any = Watched(store, kill_at, _WATCHED)
        ids = IdSource(clock, chance)
        intake = Intake(
            store=watched,
            clock=clock,
            ids=ids,
            workers=InlineWorkers(),
            destinations=("+1",),
            on_accepted=lambda *_: None,
        )
        smarthost: Any = Watched(
            SmtpSmarthost(SmarthostSettings("127.0.0.1", port, DOMAIN)), kill_at, _WATCHED
        )
        spool: Any = Watched(FolderSpool(folder / "spool"), kill_at, _WATCHED)
        postman = Postman(watched, smarthost, clock, ids, chance)
        proof: SenderProof = NobodyProves()
        services = MailServices(watched, intake, clock, ids, InlineWorkers(), spool, postman, proof)
        at_desk = DeskServices(watched, clock, ids, InlineWorkers(), postman, proof)
        desk = ActivationDesk(at_desk, ACTIVATE, "other")
        door = MailDoor(services, MailSettings(DOMAIN, SECRET), desk)
        door.note_flow(ACME, ID)
        with trio.fail_after(LIFE_S_MAX):
            async with trio.open_nursery() as nursery:
                await nursery.start(postman.run)
                while True:
                    done = await door.deal_with_due()
                    if not kill_at and not done and await store.next_letter_at() is None:
                        break
                    # Nobody tells this loop that a letter was sent.
                    await trio.sleep(0.02)
                nursery.cancel_scope.cancel()


if __name__ == "__main__":
    make_spool(Path(sys.argv[1]) / "spool")
    serve_lives(partial(main, Path(sys.argv[1]), int(sys.argv[2])))
