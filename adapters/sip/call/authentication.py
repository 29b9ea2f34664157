"""When a challenge is answered, and when it is taken for a refusal. How, is in `digest`."""

from __future__ import annotations

from msgspec import Struct, field

from adapters.sip.wire.digest import Challenge, Credentials, authorize, read_challenges, strongest
from adapters.sip.wire.fields import SipParseError
from adapters.sip.wire.message import Response

ANSWERS_MAX = 2
"""Most challenges that one request answers: a proxy's and a server's, or one and its stale nonce."""

_HEADERS = {
    401: (b"www-authenticate", b"Authorization"),
    407: (b"proxy-authenticate", b"Proxy-Authorization"),
}


class Tries(Struct, gc=False):
    """What has been tried for one request so far, over all its transactions."""

    answered: tuple[tuple[bytes, bytes], ...] = ()
    """The header and realm of each answer."""
    stale_forgiven: int = 0
    """Stale nonces that were answered once more; one at most."""


class Authenticator(Struct):
    """A call's memory of challenges: later requests bring their credentials without being asked."""

    credentials: Credentials
    realm: bytes | None = None
    """The only realm that is answered; None answers any."""
    known: dict[bytes, tuple[Challenge, int]] = field(default_factory=dict)
    """By our header's name: the challenge in force, and how often its nonce was used."""

    def learn(self, response: Response, tries: Tries) -> bool:
        """Take the challenge of a 401 or 407. False when it is not to be answered: none that we can
        compute, a foreign realm, or the same realm again without a stale nonce,
        which says that the credentials are wrong (RFC 3261 §22.1)."""
        if response.status not in _HEADERS:
            return False
        asked, header = _HEADERS[response.status]
        challenge = self._choose(response.raw(asked))
        if challenge is None or len(tries.answered) >= ANSWERS_MAX:
            return False
        if (header, challenge.realm) in tries.answered:
            if not challenge.stale or tries.stale_forgiven:
                return False
            tries.stale_forgiven += 1
        tries.answered += ((header, challenge.realm),)
        self.known[header] = (challenge, 0)
        return True

    def _choose(self, values: list[bytes]) -> Challenge | None:
        try:
            challenges = [challenge for value in values for challenge in read_challenges(value)]
        except SipParseError:
            return None
        return strongest(c for c in challenges if self.realm in (None, c.realm))

    def lines(self, method: bytes, uri: bytes, body: bytes, cnonce: bytes) -> list[bytes]:
        """The header lines that a request must carry; none before the first challenge."""
        lines = []
        for header, (challenge, used) in self.known.items():
            self.known[header] = (challenge, used + 1)
            value = authorize(
                challenge,
                self.credentials,
                method=method,
                uri=uri,
                body=body,
                cnonce=cnonce,
                nonce_count=used + 1,
            )
            lines.append(b"%b: %b" % (header, value))
        return lines
