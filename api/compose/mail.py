"""What mails go through: those that bring lists, and letters that go out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from adapters.mail.mailbox import ImapMailbox
from adapters.mail.mailbox_wire import MailboxSettings
from adapters.mail.receiver import run_receiver
from adapters.mail.receiver_settings import ReceiverSettings
from adapters.mail.smarthost import SmarthostSettings, SmtpSmarthost
from adapters.mail.spool import FolderSpool, make_spool
from api.config import Config, Imap, Mail
from api.data_folder import MAIL_KEY, SPOOL
from api.mail_key import find_mail_key
from engine.control.activating import Activations
from engine.control.administration import DEFAULT_ACCOUNT
from engine.ids import IdSource
from engine.mail.address import address_of, plus_address_of
from engine.mail.desk import ActivationDesk, DeskServices
from engine.mail.door import MailDoor, MailServices, MailSettings
from engine.mail.fetcher import MailFetcher
from engine.ports.clock import Randomness, WallClock
from engine.ports.store import Store
from engine.ports.workers import Workers
from engine.post.postman import Postman
from engine.runtime import Engine

PRIVATE_FILE: Final = 0o600
IMAPS_PORT: Final = 993
IMAP_PORT: Final = 143

Service = tuple[str, Callable[..., Awaitable[None]]]
"""A name, and what the supervisor runs."""


class MailRoom(Struct, frozen=True):
    """Who deals with mails."""

    postman: Postman
    door: MailDoor | None
    """None where no mail is taken."""
    receiver: ReceiverSettings | None
    """None where none is taken over SMTP."""
    activations: Activations
    fetcher: MailFetcher | None
    """None where none is fetched out of a mailbox."""
    find_address: Callable[[str], str | None]
    """Of a flow, by its id."""

    @property
    def services(self) -> tuple[Service, ...]:
        """What the supervisor is to run."""
        services: list[Service] = [
            ("letters", self.postman.run),
            ("activations", self.activations.run),
        ]
        if self.door is None:
            return tuple(services)
        services.append(("mails", self.door.run))
        if self.receiver is not None:
            services.append(("mail receiver", partial(run_receiver, self.receiver, self.door.wake)))
        if self.fetcher is not None:
            services.append(("mailbox", self.fetcher.run))
        return tuple(services)

    @property
    def failing(self) -> int:
        """Mailboxes whose last session went wrong."""
        return 0 if self.fetcher is None else self.fetcher.failing


def open_mail_room(
    config: Config,
    data: Path,
    store: Store,
    engine: Engine,
    workers: Workers,
    clock: WallClock,
    chance: Randomness,
) -> MailRoom:
    """What the configuration wants of it; blocks for a moment. Raises OSError where the data folder cannot be
    written."""
    mail, ids = config.mail, IdSource(clock, chance)
    postman = Postman(store, _find_smarthost(mail), clock, ids, chance)
    activations = Activations(
        store=store, clock=clock, postman=postman, on_flow_changed=engine.changes.note_flow
    )
    domain = mail.domain
    if domain is None or (mail.bind is None and mail.imap is None):
        return MailRoom(postman, None, None, activations, None, lambda flow: None)
    # What reads signatures and asks nameservers is imported only where mails are taken.
    from adapters.mail.proof import DkimProof, find_text

    activation = None if mail.activation is None else f"{mail.activation}@{domain}"
    secret = find_mail_key(data / MAIL_KEY)
    make_spool(data / SPOOL)
    nameservers = tuple((server.host, server.port) for server in config.sip.nameservers)
    proof = DkimProof(workers, partial(find_text, nameservers=nameservers))
    desk = None
    if activation is not None:
        at_desk = DeskServices(store, clock, ids, workers, postman, proof)
        desk = ActivationDesk(at_desk, activation, DEFAULT_ACCOUNT)
    spool = FolderSpool(data / SPOOL)
    services = MailServices(store, engine.intake, clock, ids, workers, spool, postman, proof)
    door = MailDoor(services, MailSettings(domain, secret), desk)
    engine.changes.flow_listeners.append(door.note_flow)
    taking = _Taking(domain, secret, str((data / SPOOL).absolute()), activation)
    fetcher = None
    if mail.imap is not None:
        fetcher = MailFetcher(
            ImapMailbox(_mailbox_settings(mail.imap, taking)),
            *(store, clock, chance, mail.imap.every_s, door.wake),
        )
    # What is taken over SMTP is the domain's; without it, what the mailbox gets.
    mailbox = mail.imap.address if mail.imap is not None and mail.bind is None else None
    return MailRoom(
        postman,
        door,
        _find_receiver(mail, taking),
        activations,
        fetcher,
        partial(_address_of, secret, domain, mailbox),
    )


class _Taking(Struct, frozen=True):
    """What mails are taken for, however they come."""

    domain: str
    secret: bytes
    folder: str
    """Of the spool."""
    activation: str | None
    """The address for requests to activate a listener."""


def _find_receiver(config: Mail, taking: _Taking) -> ReceiverSettings | None:
    if config.bind is None:
        return None
    return ReceiverSettings(
        host=config.bind.host,
        port=config.bind.port,
        domain=taking.domain,
        secret=taking.secret,
        spool=taking.folder,
        certificate=config.tls_cert,
        key=config.tls_key,
        peer_mails_max=config.mails_per_minute,
        activation=taking.activation,
    )


def _mailbox_settings(config: Imap, taking: _Taking) -> MailboxSettings:
    return MailboxSettings(
        host=config.host,
        port=config.port or (IMAPS_PORT if config.tls == "on" else IMAP_PORT),
        user=config.user,
        spool=taking.folder,
        domain=taking.domain,
        secret=taking.secret,
        password=config.password,
        password_file=config.password_file,
        tls=config.tls,
        tls_ca=config.tls_ca,
        folder=config.folder,
        taken=config.taken,
        taken_folder=config.taken_folder,
        address=config.address,
        activation=taking.activation,
    )


def _address_of(secret: bytes, domain: str, mailbox: str | None, flow: str) -> str:
    if mailbox is not None:
        return plus_address_of(secret, flow, mailbox)
    return address_of(secret, flow, domain)


def _find_smarthost(config: Mail) -> SmtpSmarthost | None:
    if config.smarthost is None or config.domain is None:
        return None
    return SmtpSmarthost(
        SmarthostSettings(
            config.smarthost.host,
            config.smarthost.port,
            config.domain,
            config.smarthost_encryption,
            config.smarthost_username,
            config.smarthost_password,
        )
    )
