"""Digest authentication: RFC 2617, 7616 and 8760. The client's half, pure: chance is an argument.

Of several challenges the strongest that we know is answered; RFC 8760 §2.4 leaves that to local
policy, and the order in which a proxy happens to write them is none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from msgspec import Struct

from adapters.sip.wire.fields import SipParseError, is_token, split_outside

_PART = re.compile(
    rb"(?:([A-Za-z0-9.!%*_+`'~-]++)[ \t]++)?([A-Za-z0-9.!%*_+`'~-]++)[ \t]*+=[ \t]*+(.*)\Z",
    re.DOTALL,
)


_ALGORITHMS: dict[bytes, tuple[int, str]] = {
    b"md5": (1, "md5"),
    b"sha-256": (2, "sha256"),
    b"sha-512-256": (3, "sha512_256"),
}
"""By the algorithm's name without `-sess`: its strength, and what hashlib calls it."""


class Credentials(Struct, frozen=True):
    """What a trunk gave us to identify ourselves with. Its repr hides the password."""

    username: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


class Challenge(Struct, frozen=True):
    """One Digest challenge, its values as they came but for the quotes around them."""

    realm: bytes
    nonce: bytes
    algorithm: bytes = b""
    """As spelled by the server; empty where it named none, which means MD5."""
    qop: tuple[bytes, ...] = ()
    """Lower case; empty for the servers of RFC 2069."""
    opaque: bytes | None = None
    stale: bool = False
    """The nonce was too old, the credentials were right."""

    @property
    def strength(self) -> int:
        """Greater is stronger; 0 is one that we cannot answer."""
        strength, name = _ALGORITHMS.get(_base_algorithm(self.algorithm), (0, ""))
        answerable = not self.qop or b"auth" in self.qop or b"auth-int" in self.qop
        # Not every OpenSSL brings SHA-512/256.
        return strength if answerable and name in hashlib.algorithms_available else 0


def _base_algorithm(algorithm: bytes) -> bytes:
    return algorithm.lower().removesuffix(b"-sess") or b"md5"


def read_challenges(raw: bytes) -> list[Challenge]:
    """The Digest challenges of one WWW-Authenticate or Proxy-Authenticate value; other schemes are
    passed over. Raises `SipParseError`."""
    challenges: list[tuple[bytes, dict[bytes, bytes]]] = []
    for part in split_outside(raw, b","):
        if not part:
            continue
        match = _PART.match(part)
        if match is None:
            raise SipParseError("bad challenge")
        scheme, name, value = match.groups()
        if scheme is not None:
            challenges.append((scheme.lower(), {}))
        if not challenges or name.lower() in challenges[-1][1]:
            raise SipParseError("bad challenge")
        challenges[-1][1][name.lower()] = _bare(value)
    return [_challenge(params) for scheme, params in challenges if scheme == b"digest"]


def _bare(value: bytes) -> bytes:
    if value.startswith(b'"'):
        if len(value) < 2 or not value.endswith(b'"'):
            raise SipParseError("bad challenge")
        return value[1:-1]
    if not is_token(value):
        raise SipParseError("bad challenge")
    return value


def _challenge(params: dict[bytes, bytes]) -> Challenge:
    if b"realm" not in params or b"nonce" not in params:
        raise SipParseError("challenge without realm or nonce")
    return Challenge(
        realm=params[b"realm"],
        nonce=params[b"nonce"],
        algorithm=params.get(b"algorithm", b""),
        qop=tuple(
            word.strip().lower() for word in params.get(b"qop", b"").split(b",") if word.strip()
        ),
        opaque=params.get(b"opaque"),
        stale=params.get(b"stale", b"").lower() == b"true",
    )


def strongest(challenges: Iterable[Challenge]) -> Challenge | None:
    """The strongest challenge that can be answered, the first of equals; None without one."""
    best: Challenge | None = None
    for challenge in challenges:
        if challenge.strength > (best.strength if best is not None else 0):
            best = challenge
    return best


def authorize(
    challenge: Challenge,
    credentials: Credentials,
    *,
    method: bytes,
    uri: bytes,
    body: bytes,
    cnonce: bytes,
    nonce_count: int,
) -> bytes:
    """The value of the Authorization or Proxy-Authorization that answers a challenge whose
    `strength` is not 0 (RFC 7616 §3.4).

    `nonce_count` rises by one with each request under the same nonce, from 1.
    """
    hash_name = _ALGORITHMS[_base_algorithm(challenge.algorithm)][1]

    def digest(data: bytes) -> bytes:
        return hashlib.new(hash_name, data, usedforsecurity=False).hexdigest().encode("ascii")

    realm, nonce = challenge.realm, challenge.nonce
    secret = digest(b"%b:%b:%b" % (credentials.username, realm, credentials.password))
    if challenge.algorithm.lower().endswith(b"-sess"):
        secret = digest(b"%b:%b:%b" % (secret, nonce, cnonce))
    qop = _chosen_qop(challenge)
    subject = b"%b:%b" % (method, uri)
    if qop == b"auth-int":
        subject += b":" + digest(body)
    if qop:
        proof = b"%b:%b:%08x:%b:%b:%b" % (secret, nonce, nonce_count, cnonce, qop, digest(subject))
    else:
        proof = b"%b:%b:%b" % (secret, nonce, digest(subject))
    return _written(challenge, credentials.username, uri, digest(proof), qop, cnonce, nonce_count)


def _written(
    challenge: Challenge,
    username: bytes,
    uri: bytes,
    response: bytes,
    qop: bytes,
    cnonce: bytes,
    nonce_count: int,
) -> bytes:
    value = b'Digest username="%b", realm="%b", nonce="%b", uri="%b", response="%b"' % (
        _escaped(username),
        challenge.realm,
        challenge.nonce,
        _escaped(uri),
        response,
    )
    if challenge.algorithm:
        value += b", algorithm=" + challenge.algorithm
    if qop:
        value += b', cnonce="%b", qop=%b, nc=%08x' % (cnonce, qop, nonce_count)
    elif challenge.algorithm.lower().endswith(b"-sess"):
        value += b', cnonce="%b"' % cnonce
    if challenge.opaque is not None:
        value += b', opaque="%b"' % challenge.opaque
    return value


def _chosen_qop(challenge: Challenge) -> bytes:
    """`auth` where it is offered: it costs less, and a proxy that rewrites SDP would break the other."""
    for qop in (b"auth", b"auth-int"):
        if qop in challenge.qop:
            return qop
    return b""


def _escaped(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
