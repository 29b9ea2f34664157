"""DKIM over trio: signatures are read and checked in workers, and keys are looked up between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver
import structlog
import trio

from adapters.mail.signatures import Candidate, check_candidates, find_candidates
from engine.ports.proofs import Proof
from engine.ports.workers import Workers

LOOK_UP_S_MAX: Final = 10.0
"""For all keys of a mail, which are looked up at once."""

log = structlog.get_logger(__name__)


class LookUpFailed(Exception):
    """No name server could say whether there is such a record."""


FindText = Callable[[str], Awaitable[bytes | None]]
"""The TXT record of a name, its strings put together; None where there is none. Raises `LookUpFailed`."""


class DkimProof:
    """Implements `engine.ports.proofs.SenderProof`."""

    def __init__(self, workers: Workers, find_text: FindText) -> None:
        self._workers = workers
        self._find_text = find_text

    async def prove(self, content: bytes, sender: str) -> Proof:
        """See the port."""
        candidates = await self._workers.run(find_candidates, content, sender)
        domain = sender.rpartition("@")[2]
        if not candidates:
            detail = f"It has no DKIM signature of {domain} that stands for all of it."
            return Proof("unsigned", detail)
        records, failed = await self._find_all(candidates)
        verdict = await self._workers.run(check_candidates, content, candidates, records)
        if verdict == "proven":
            return Proof(verdict, "")
        if failed:
            return Proof("undecided", f"The key of {domain} could not be looked up just now.")
        return Proof("bad_signature", f"Its DKIM signature of {domain} does not hold.")

    async def _find_all(self, candidates: tuple[Candidate, ...]) -> tuple[dict[str, bytes], int]:
        """(records by name, how many look-ups failed)"""
        records: dict[str, bytes] = {}
        names = {candidate.key for candidate in candidates}
        answered: set[str] = set()

        async def find(name: str) -> None:
            try:
                record = await self._find_text(name)
            except LookUpFailed as failed:
                log.warning("a DKIM key was not looked up", name=name, reason=str(failed))
                return
            answered.add(name)
            if record is not None:
                records[name] = record

        with trio.move_on_after(LOOK_UP_S_MAX):
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(find, name)
        return records, len(names - answered)


async def find_text(name: str, nameservers: tuple[tuple[str, int], ...] = ()) -> bytes | None:
    """See `FindText`.

    Args:
        name: of the record.
        nameservers: (IP address, port) of who is asked; none asks the system's.
    """
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    resolver.cache = None
    if nameservers:
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers
        ]
    try:
        answer = await resolver.resolve(
            dns.name.from_text(f"{name}."),
            dns.rdatatype.TXT,
            lifetime=LOOK_UP_S_MAX,
            search=False,
            backend=dns.asyncbackend.get_backend("trio"),
        )
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except (dns.exception.DNSException, OSError) as error:
        raise LookUpFailed(str(error) or type(error).__name__) from error
    texts = [_join(record) for record in answer]
    # More than one record for a key has no meaning (RFC 6376 §3.6.2.2).
    return texts[0] if len(texts) == 1 else None


def _join(record: Any) -> bytes:
    return b"".join(record.strings)
