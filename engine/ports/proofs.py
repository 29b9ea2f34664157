"""Who a mail is really from."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

ProofCode = Literal["proven", "unsigned", "bad_signature", "undecided"]
"""`unsigned` is also a mail whose signatures do not stand for its sender's domain, or not for all of it.
`undecided` may be asked again: the domain's key could not be looked up just now."""


class Proof(Struct, frozen=True):
    """What became of the question."""

    code: ProofCode
    detail: str
    """One sentence for a person; empty where it is proven."""


class SenderProof(Protocol):
    """Tells whether the domain in From answers for a mail (DKIM, RFC 6376)."""

    async def prove(self, content: bytes, sender: str) -> Proof:
        """What is to be made of a mail. Raises `WorkerFailed`.

        Args:
            content: the mail as it came.
            sender: the one address in its From.
        """
