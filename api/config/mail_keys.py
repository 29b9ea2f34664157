"""Keys of the configuration's table `mail`."""

from __future__ import annotations

import re
from typing import Final, get_args

from adapters.mail.mailbox_wire import Taken, Tls
from adapters.mail.smarthost import Encryption
from api.config.keys import (
    HOST_NAME,
    PORT_MAX,
    Address,
    as_secret,
    as_text,
    number_between,
    number_from_text,
    read_address,
    read_port,
    say,
)
from api.config.sip_keys import whole_number_between
from api.config.source import Key, Refused
from engine.mail.address import MAILBOX_LENGTH_MAX

FOLDER_LENGTH_MAX: Final = 200
MAILS_MAX: Final = 100_000
"""A minute, of one IP address."""

_LOCAL: Final = re.compile(rf"[a-z0-9._-]{{1,{MAILBOX_LENGTH_MAX}}}")


def read_mail_domain(raw: object) -> str:
    """The part of an address behind its `@`."""
    text = as_text(raw).lower()
    if not HOST_NAME.fullmatch(text):
        raise Refused("invalid_domain", f"{say(text)} is no host name.")
    return text


def read_smarthost(raw: object) -> Address:
    """host:port, where the host may be a name."""
    text = as_text(raw)
    host, colon, port = text.rpartition(":")
    if colon and HOST_NAME.fullmatch(host) and not host.replace(".", "").isdigit():
        return Address(host.lower(), read_port(port))
    return read_address(raw)


def read_encryption(raw: object) -> Encryption:
    """`offered`, `required` or `off`."""
    for known in get_args(Encryption):
        if raw == known:
            return known  # type: ignore[no-any-return]
    raise Refused("invalid_encryption", f"This is offered, required or off, not {say(raw)}.")


def read_local_part(raw: object) -> str | None:
    """What stands before the `@`; an empty text takes no such mails."""
    if raw == "":
        return None
    text = as_text(raw).lower()
    if not _LOCAL_PART.fullmatch(text):
        raise Refused(
            "invalid_local_part",
            f"This is up to 64 letters, digits, dots, dashes, plus signs, underscores, not {say(text)}.",
        )
    return text


_LOCAL_PART: Final = re.compile(r"(?!.{65})[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")


def _read_host(raw: object) -> str:
    text = as_text(raw).lower()
    if not HOST_NAME.fullmatch(text):
        raise Refused("invalid_host", f"{say(text)} is neither a host name nor an IPv4 address.")
    return text


def _read_tls(raw: object) -> Tls:
    for known in get_args(Tls):
        if raw == known:
            return known  # type: ignore[no-any-return]
    raise Refused("invalid_tls", f"This is on, starttls or off, not {say(raw)}.")


def _read_taken(raw: object) -> Taken:
    for known in get_args(Taken):
        if raw == known:
            return known  # type: ignore[no-any-return]
    raise Refused("invalid_taken", f"This is move, flag or delete, not {say(raw)}.")


def _read_folder(raw: object) -> str:
    text = as_text(raw)
    if not 1 <= len(text) <= FOLDER_LENGTH_MAX or not text.isprintable():
        detail = f"A folder's name has 1 to {FOLDER_LENGTH_MAX} signs."
        raise Refused("invalid_folder", detail)
    return text


def read_mailbox(raw: object) -> str:
    """The address of a mailbox, whose part before the `@` leaves room for a flow's."""
    text = as_text(raw).lower()
    local, _, host = text.rpartition("@")
    if not _LOCAL.fullmatch(local) or not HOST_NAME.fullmatch(host):
        detail = (
            f"{say(text)} is no address with at most {MAILBOX_LENGTH_MAX} letters, digits, dots, dashes and"
            " underscores before its `@`."
        )
        raise Refused("invalid_address", detail)
    return text


HOST: Final = Key(_read_host)
PORT: Final = Key(whole_number_between(1, PORT_MAX), number_from_text)
TLS: Final = Key(_read_tls)
TAKEN: Final = Key(_read_taken)
FOLDER: Final = Key(_read_folder)
EVERY_S: Final = Key(number_between(5, 3_600), number_from_text)
MAILBOX: Final = Key(read_mailbox)
DOMAIN: Final = Key(read_mail_domain)
LOCAL_PART: Final = Key(read_local_part)
SMARTHOST: Final = Key(read_smarthost)
ENCRYPTION: Final = Key(read_encryption)
SECRET: Final = Key(as_secret)
MAILS: Final = Key(whole_number_between(1, MAILS_MAX), number_from_text)
