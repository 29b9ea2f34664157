"""Whether a mail is taken for its sender's, where that is asked for."""

from __future__ import annotations

from typing import Final

from engine.ports.clock import WallClock
from engine.ports.mails import SpooledMail
from engine.ports.proofs import SenderProof

PROOF_S_MAX: Final = 86_400.0
"""After which a mail is refused whose sender could not be proven by then."""


class PutOff(Exception):
    """It is not known yet whether a mail is of its sender."""


async def find_doubt(
    proof: SenderProof, clock: WallClock, spooled: SpooledMail, sender: str
) -> str:
    """Why a mail is not taken for its sender's; empty where it is. Raises `PutOff`, and `WorkerFailed`."""
    found = await proof.prove(spooled.content, sender)
    if found.code == "undecided" and clock.now() < spooled.received_at + PROOF_S_MAX:
        raise PutOff
    return found.detail
