"""Keys of the configuration's table `mail`."""

from __future__ import annotations

import re
from typing import Final, get_args

from adapters.mail.smarthost import Encryption
from api.config_keys import (
    HOST_NAME,
    Address,
    as_secret,
    as_text,
    number_between,
    number_from_text,
    read_address,
    read_port,
    say,
)
from api.config_source import Key, Refused


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
    text = as_text(raw).lower()
    if not text:
        return None
    if not _LOCAL_PART.fullmatch(text):
        raise Refused(
            "invalid_local_part",
            f"This is up to 64 letters, digits, dots, dashes, plus signs, underscores, not {say(text)}.",
        )
    return text


def _read_mails(raw: object) -> int:
    return int(number_between(1, 100_000)(raw))


_LOCAL_PART: Final = re.compile(r"(?!.{65})[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")
DOMAIN: Final = Key(read_mail_domain)
LOCAL_PART: Final = Key(read_local_part)
SMARTHOST: Final = Key(read_smarthost)
ENCRYPTION: Final = Key(read_encryption)
SECRET: Final = Key(as_secret)
MAILS: Final = Key(_read_mails, number_from_text)
