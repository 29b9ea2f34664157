"""Addresses of flows: each has one that nobody can guess, and that needs no table to be recognised.

The local part is the flow's id and 80 bits of an HMAC over it (RFC 2104, SHA-256), in letters that survive
mail programs that change their case.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from typing import Final

TOKEN_BYTES: Final = 10
SECRET_BYTES: Final = 32
"""Of the installation's key; with another one all addresses change."""

_LOCAL: Final = re.compile(r"(flw_[0-9a-f]{28})-([a-z2-7]{16})")


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


def _token(secret: bytes, flow: str) -> str:
    digest = hmac.digest(secret, flow.encode(), "sha256")
    return b32encode(digest[:TOKEN_BYTES]).decode().lower()
