"""The part of the composition that mails go through: those that bring lists, and letters that go out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from adapters.mail.receiver import run_receiver
from adapters.mail.receiver_settings import ReceiverSettings
from adapters.mail.smarthost import SmarthostSettings, SmtpSmarthost
from adapters.mail.spool import FolderSpool, make_spool
from api.config import Mail
from api.data_folder import MAIL_KEY, SPOOL
from api.mail_key import find_mail_key
from engine.activating import Activations
from engine.administration import DEFAULT_ACCOUNT
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.mail.address import address_of
from engine.mail.desk import ActivationDesk, DeskServices
from engine.mail.door import MailDoor, MailServices, MailSettings
from engine.ports.clock import Randomness, WallClock
from engine.ports.store import Store
from engine.ports.workers import Workers
from engine.post.postman import Postman

PRIVATE_FILE: Final = 0o600

Service = tuple[str, Callable[..., Awaitable[None]]]
"""A name, and what the supervisor runs."""


class MailRoom(Struct, frozen=True):
    """Who deals with mails."""

    postman: Postman
    door: MailDoor | None
    """None where no mail is taken."""
    receiver: ReceiverSettings | None
    activations: Activations
    find_address: Callable[[str], str | None]
    """Of a flow, by its id."""

    @property
    def services(self) -> tuple[Service, ...]:
        """What the supervisor is to run."""
        services: list[Service] = [
            ("letters", self.postman.run),
            ("activations", self.activations.run),
        ]
        if self.door is not None and self.receiver is not None:
            services.append(("mails", self.door.run))
            services.append(("mail receiver", partial(run_receiver, self.receiver, self.door.wake)))
        return tuple(services)


def open_mail_room(
    config: Mail,
    data: Path,
    store: Store,
    intake: Intake,
    workers: Workers,
    clock: WallClock,
    chance: Randomness,
    nameservers: tuple[tuple[str, int], ...],
    on_flow_changed: Callable[[str, str], None],
) -> MailRoom:
    """What the configuration wants of it; blocks for a moment. Raises OSError where the data folder cannot be
    written."""
    ids = IdSource(clock, chance)
    postman = Postman(store, _find_smarthost(config), clock, ids, chance)
    activations = Activations(
        store=store, clock=clock, postman=postman, on_flow_changed=on_flow_changed
    )
    domain, bind = config.domain, config.bind
    if domain is None or bind is None:
        return MailRoom(postman, None, None, activations, lambda flow: None)
    # What reads signatures and asks nameservers is imported only where mails are taken.
    from adapters.mail.proof import DkimProof, find_text

    activation = None if config.activation is None else f"{config.activation}@{domain}"
    secret = find_mail_key(data / MAIL_KEY)
    make_spool(data / SPOOL)
    receiver = ReceiverSettings(
        host=bind.host,
        port=bind.port,
        domain=domain,
        secret=secret,
        spool=str((data / SPOOL).absolute()),
        certificate=config.tls_cert,
        key=config.tls_key,
        peer_mails_max=config.mails_per_minute,
        activation=activation,
    )
    spool = FolderSpool(data / SPOOL)
    proof = DkimProof(workers, partial(find_text, nameservers=nameservers))
    services = MailServices(store, intake, clock, ids, workers, spool, postman, proof)
    desk = None
    if activation is not None:
        at_desk = DeskServices(store, clock, ids, workers, postman, proof)
        desk = ActivationDesk(at_desk, activation, DEFAULT_ACCOUNT)
    door = MailDoor(services, MailSettings(domain, secret), desk)
    return MailRoom(postman, door, receiver, activations, partial(_address_of, secret, domain))


def _address_of(secret: bytes, domain: str, flow: str) -> str:
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
