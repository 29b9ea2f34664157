"""Addresses of flows: each has one that nobody can guess, and that needs no table to be recognised.

The local part is the flow's id and 80 bits of an HMAC over it (RFC 2104, SHA-256), in letters that survive
mail programs that change their case.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32decode, b32encode
from typing import Final

TOKEN_BYTES: Final = 10
SECRET_BYTES: Final = 32
"""Of the installation's key; with another one all addresses change."""

MAILBOX_LENGTH_MAX: Final = 24
"""Of the part of a mailbox's address before its `@`: with what is added, 64 signs (RFC 5321 §4.5.3.1.1)."""
FLOW_LETTERS: Final = 23
"""That a flow's id becomes, without its prefix."""

_LOCAL: Final = re.compile(r"(flw_[0-9a-f]{28})-([a-z2-7]{16})")
_ADDED: Final = re.compile(r"[a-z2-7]{39}")


def address_of(secret: bytes, flow: str, domain: str) -> str:
    """Where lists for a flow are mailed to."""
    return f"{flow}-{_token(secret, flow)}@{domain}"


def flow_of(secret: bytes, address: str, domain: str) -> str | None:
    """The flow whose address this is, in capitals or not; None where it is nobody's."""
    local, _, host = address.lower().rpartition("@")
    parts = _LOCAL.fullmatch(local)
    if parts is None or host != domain.lower():
        return None
    flow, token = parts.groups()
    return flow if hmac.compare_digest(token, _token(secret, flow)) else None


def plus_address_of(secret: bytes, flow: str, mailbox: str) -> str:
    """Where lists for a flow are mailed to that a mailbox gets: `lists+SOMETHING@example.com`."""
    local, _, host = mailbox.rpartition("@")
    letters = b32encode(bytes.fromhex(flow.removeprefix("flw_"))).decode().rstrip("=").lower()
    return f"{local}+{letters}{_token(secret, flow)}@{host}"


def flow_of_plus(secret: bytes, address: str, mailbox: str) -> str | None:
    """The flow whose address `plus_address_of` made; None where it is nobody's."""
    added = added_to(address, mailbox)
    if added is None or not _ADDED.fullmatch(added):
        return None
    letters, token = added[:FLOW_LETTERS], added[FLOW_LETTERS:]
    flow = f"flw_{b32decode(letters.upper() + '=').hex()}"
    return flow if hmac.compare_digest(token, _token(secret, flow)) else None


def added_to(address: str, mailbox: str) -> str | None:
    """What an address adds to a mailbox's behind a `+`, in small letters; None where it is another's."""
    local, _, host = address.lower().rpartition("@")
    own, _, own_host = mailbox.lower().rpartition("@")
    base, plus, added = local.partition("+")
    return added if plus and (base, host) == (own, own_host) else None


def _token(secret: bytes, flow: str) -> str:
    digest = hmac.digest(secret, flow.encode(), "sha256")
    return b32encode(digest[:TOKEN_BYTES]).decode().lower()
