"""Answers that hold a secret, kept so that nobody but who asked can read them.

A key is shown in one answer, and the store has only its hash. The answer is kept for its Idempotency-Key all
the same, encrypted under what follows from the key that asked, which the store does not have either.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from msgspec import Struct

NONCE_BYTES: Final = 12
_PURPOSE: Final = b"callwheel: an answer that is kept"


class Seal(Struct, frozen=True):
    """Closes and opens the answers to one caller. AES-256-GCM."""

    key: bytes

    def close(self, body: bytes, about: bytes) -> bytes:
        """The body, encrypted.

        Args:
            about: what it is an answer to.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.key).encrypt(nonce, body, about)

    def open(self, closed: bytes, about: bytes) -> bytes | None:
        """The body; None where another caller closed it, or about something else."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self.key).decrypt(closed[:NONCE_BYTES], closed[NONCE_BYTES:], about)
        except (InvalidTag, ValueError):
            return None


def seal_of(bearer: str) -> Seal:
    """The seal of whoever asks with this key."""
    return Seal(hmac.digest(bearer.encode(), _PURPOSE, hashlib.sha256))
