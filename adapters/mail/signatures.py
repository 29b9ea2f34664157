"""Which DKIM signatures of a mail (RFC 6376) stand for its sender, and whether they hold. Runs in workers.

dkimpy checks a signature; what makes one worth something here is checked before:
- `d=` is the sender's domain, or one that it lies in, never one below it. There is no list of public suffixes
  behind that: whoever can publish a key for a domain answers for all below it.
- From is signed, which dkimpy leaves to its caller (§5.4 wants it), and there is one From.
- There is no `l=`: behind the octets that it counts anybody may have added a list.
- The hash is SHA-256 (RFC 8301), and the key is no test key (`t=y`, §3.6.1).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

import dkim
from msgspec import Struct

SIGNATURES_MAX: Final = 10
"""Of a mail that are looked at; each may cost a look-up and a hash of the whole mail."""
SIGNATURE_BYTES_MAX: Final = 8_192
RECORD_BYTES_MAX: Final = 4_096
KEY_BITS_MIN: Final = 1_024
"""As RFC 8301 has it."""
KEY_BITS_MAX: Final = 8_192
"""A larger one costs more than any sender needs."""
ALGORITHMS: Final = frozenset({b"rsa-sha256", b"ed25519-sha256"})

_LABELS: Final = (
    r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)"
)
_SELECTOR: Final = re.compile(rf"{_LABELS}{{0,9}}")
_DOMAIN: Final = re.compile(rf"{_LABELS}{{1,9}}")
_QUIET: Final = logging.getLogger("adapters.mail.signatures.dkim")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

Verdict = Literal["proven", "unsigned", "bad_signature"]


class Candidate(Struct, frozen=True):
    """A signature that stands for the sender, if it holds."""

    index: int
    """Among the mail's signatures, from the top."""
    key: str
    """The name of the key's TXT record, in small letters."""


def find_candidates(content: bytes, sender: str) -> tuple[Candidate, ...]:
    """The signatures that are worth a look-up. No octets raise.

    Args:
        content: the mail.
        sender: the address in its From.
    """
    domain = sender.rpartition("@")[2].lower()
    try:
        headers, _ = dkim.rfc822_parse(content)
    except dkim.DKIMException:
        return ()
    names = [name.strip().lower() for name, _ in headers]
    if names.count(b"from") != 1:
        return ()
    signatures = [value for name, value in headers if name.lower() == b"dkim-signature"]
    found = (
        _read_signature(index, value, domain)
        for index, value in enumerate(signatures[:SIGNATURES_MAX])
    )
    return tuple(candidate for candidate in found if candidate is not None)


def check_candidates(
    content: bytes, candidates: tuple[Candidate, ...], records: Mapping[str, bytes]
) -> Verdict:
    """Whether one of the signatures holds. No octets raise.

    Args:
        content: the mail.
        candidates: what `find_candidates` found in it.
        records: the TXT records of their keys, by name; those that there are.
    """
    if not candidates:
        return "unsigned"
    holds = any(_holds(content, one.index, records.get(one.key)) for one in candidates)
    return "proven" if holds else "bad_signature"


def _read_signature(index: int, value: bytes, domain: str) -> Candidate | None:
    if len(value) > SIGNATURE_BYTES_MAX:
        return None
    tags = dict(_read_tags(value))
    signed = {name.strip().lower() for name in tags.get(b"h", b"").split(b":")}
    if b"l" in tags or b"from" not in signed or tags.get(b"a") not in ALGORITHMS:
        return None
    # Octets of more than seven bits are in no name that can be looked up.
    owner = tags.get(b"d", b"").decode("ascii", "replace").lower()
    selector = tags.get(b"s", b"").decode("ascii", "replace").lower()
    if not _DOMAIN.fullmatch(owner) or not _SELECTOR.fullmatch(selector):
        return None
    if domain != owner and not domain.endswith(f".{owner}"):
        return None
    return Candidate(index, f"{selector}._domainkey.{owner}")


def _holds(content: bytes, index: int, record: bytes | None) -> bool:
    if record is None or len(record) > RECORD_BYTES_MAX:
        return False
    flags = dict(_read_tags(record)).get(b"t", b"").split(b":")
    if b"y" in (flag.strip() for flag in flags):
        return False
    try:
        bits = dkim.evaluate_pk("", record)[1]
        if bits is None or not 0 < bits <= KEY_BITS_MAX:
            return False
        check = dkim.DKIM(content, logger=_QUIET, minkey=KEY_BITS_MIN)
        return bool(check.verify(index, dnsfunc=lambda name, timeout=0.0: record))
    except Exception:
        # Octets of a stranger, in a library that raises whatever they lead to: they prove nothing.
        return False


def _read_tags(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The tags of a list (§3.2), those that it has; a signature with the same tag twice dkimpy refuses."""
    for part in text.split(b";"):
        name, equals, value = part.partition(b"=")
        if equals:
            yield name.strip(), b"".join(value.split())
