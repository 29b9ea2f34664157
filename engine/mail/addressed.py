"""The headers of a mail in a mailbox → whom it was for, and where it came from.

Who delivers into a mailbox notes the address that the mail was for in one of several headers; where nobody
did, To and Cc are what is left. Somebody could write any address there: those of flows cannot be guessed.
"""

from __future__ import annotations

import re
from typing import Final

NAMES: Final = (
    b"delivered-to",
    b"x-original-to",
    b"envelope-to",
    b"x-envelope-to",
    b"to",
    b"cc",
    b"resent-to",
)
RETURN_PATH: Final = b"return-path"
FROM: Final = b"from"
HEAD_OCTETS_MAX: Final = 64 * 1024
"""Of headers that are looked at."""
ADDRESSES_MAX: Final = 200
"""Of one mail."""

_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_ADDRESS: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,189}")


def find_addresses(head: bytes) -> tuple[str, ...]:
    """All that a mail may have been for, in small letters, each once."""
    found: dict[str, None] = {}
    for name, value in _headers(head):
        if name in NAMES:
            for address in _ADDRESS.findall(value):
                if len(found) >= ADDRESSES_MAX:
                    return tuple(found)
                found[address.decode("ascii").lower()] = None
    return tuple(found)


def find_return_path(head: bytes) -> str:
    """Where the mail came from; empty where it wants no answer. Where nobody noted that, its sender."""
    headers = _headers(head)
    for wanted in (RETURN_PATH, FROM):
        for name, value in headers:
            if name == wanted:
                address = _ADDRESS.search(value)
                return "" if address is None else address[0].decode("ascii")
    return ""


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = _FOLD.sub(b" ", head[:HEAD_OCTETS_MAX]).split(b"\n")
    pairs = [line.partition(b":") for line in lines]
    return [(name.strip().lower(), value) for name, colon, value in pairs if colon]
