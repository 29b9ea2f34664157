"""STIR/SHAKEN: the signed statement of who is calling whom (RFC 8224, RFC 8225, RFC 8588).

How it works. A PASSporT is a JSON Web Signature over two small JSON objects whose every byte counts:
keys in order, no white space (RFC 8225 §9), so that a verifier can make the same bytes again. The
claims are written here by an encoder that sorts; the header and the signature are PyJWT's, which writes
the header in the same canonical form. The token goes out in its full form: the short one saves 200
bytes and fails wherever a carrier rewrites a number on the way.

A `Signer` reads its key once. Time and the call's id are arguments; only the signature itself is
drawn by lot, inside the library, as ECDSA asks for.
"""

from __future__ import annotations

import re
import stat
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args
from uuid import UUID

import msgspec

from adapters.sip.identity.headers import UnsafeHeader, check_certificate_url
from adapters.sip.pem_file import Fault as FileFault
from adapters.sip.pem_file import UnusableFile, read_pem_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

KEY_FILE_BYTES_MAX: Final = 65_536
"""Largest key file that is read."""
NUMBER_LENGTH_MAX: Final = 15
"""Most digits of a telephone number (ITU-T E.164 §6)."""

Attestation = Literal["A", "B", "C"]
"""What we vouch for (RFC 8588 §4): `A` that the caller is our customer and may use the number, `B` that
it is our customer, `C` only that the call came through us."""

Fault = Literal[
    "missing_key_file",
    "unreadable_key_file",
    "not_a_key",
    "encrypted_key",
    "wrong_kind_of_key",
    "invalid_certificate_url",
    "invalid_attestation",
]
"""Why nothing can be signed."""

_CODES: Final[dict[FileFault, Fault]] = {
    "missing": "missing_key_file",
    "unreadable": "unreadable_key_file",
    "not_regular": "unreadable_key_file",
    "too_long": "not_a_key",
}
_EXTRAS_OF_A_NUMBER: Final = re.compile(r"[^0-9#*]")


class CannotSign(Exception):
    """Key, certificate or attestation cannot be used as configured. `detail` is a sentence for a person;
    nothing of the key is in it."""

    def __init__(self, code: Fault, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class NotANumber(ValueError):
    """What was to be signed is no telephone number."""


class Signer:
    """Signs for one trunk, with one key."""

    __slots__ = (
        "_attestation",
        "_certificate_url",
        "_encoder",
        "_header",
        "_jws",
        "_key",
        "warnings",
    )

    def __init__(
        self, key: EllipticCurvePrivateKey, certificate_url: str, attestation: Attestation
    ) -> None:
        """Raises `CannotSign`.

        Args:
            key: of the curve P-256, which ES256 takes (RFC 7518 §3.4).
            certificate_url: where verifiers fetch the certificate that the key belongs to.
            attestation: see `Attestation`.
        """
        from jwt import PyJWS  # here, as most installations sign nothing

        if attestation not in get_args(Attestation):
            raise CannotSign(
                "invalid_attestation", f"An attestation is A, B or C, not {attestation!r}."
            )
        self._key = key
        try:
            self._certificate_url = check_certificate_url(certificate_url)
        except UnsafeHeader as unsafe:
            raise CannotSign("invalid_certificate_url", unsafe.reason) from None
        self._attestation = attestation
        self._header = {"typ": "passport", "ppt": "shaken", "x5u": self._certificate_url}
        self._jws = PyJWS(algorithms=["ES256"])
        self._encoder = msgspec.json.Encoder(order="sorted")
        self.warnings: tuple[str, ...] = ()
        """Sentences about the key that somebody should read once; they stop nothing."""

    @classmethod
    def open(cls, key_file: Path, certificate_url: str, attestation: Attestation) -> Signer:
        """A signer with the key of a PEM file (SEC 1 or PKCS #8, without a passphrase).

        Raises `CannotSign`.
        """
        key, mode = read_key_file(key_file)
        signer = cls(key, certificate_url, attestation)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            signer.warnings = (
                f"{key_file} is open to others than its owner; make it private with chmod 600.",
            )
        return signer

    def sign(self, caller: str, callee: str, *, now: float, origid: UUID) -> bytes:
        """The value of an Identity header (RFC 8224 §4). Raises `NotANumber`.

        Args:
            caller: the number that is shown, or withheld, as E.164.
            callee: the number that is called, as E.164.
            now: seconds since the Unix epoch, UTC.
            origid: stands for where the call came from, opaque to all but us (RFC 8588 §5).
        """
        claims = {
            "attest": self._attestation,
            "dest": {"tn": [canonical_number(callee)]},
            "iat": int(now),
            "orig": {"tn": canonical_number(caller)},
            "origid": str(origid),
        }
        token = self._jws.encode(
            self._encoder.encode(claims), self._key, algorithm="ES256", headers=self._header
        )
        return f"{token};info=<{self._certificate_url}>;alg=ES256;ppt=shaken".encode("ascii")

    def lines(self, caller: str, callee: str, *, now: float, origid: UUID) -> tuple[bytes, bytes]:
        """Identity and the Date that goes with it, of the same second (RFC 8224 §4.1), as whole header
        lines. Arguments and errors are those of `sign`."""
        identity = self.sign(caller, callee, now=now, origid=origid)
        return b"Identity: " + identity, date_line(now)


def canonical_number(number: str) -> str:
    """A telephone number as it is signed: no `+`, no separators (RFC 8224 §8.3). Raises `NotANumber`."""
    canonical = _EXTRAS_OF_A_NUMBER.sub("", number)
    if not 1 <= len(canonical) <= NUMBER_LENGTH_MAX:
        raise NotANumber(f"{number[:40]!r} is no telephone number.")
    return canonical


def date_line(now: float) -> bytes:
    """A Date header as a line, in the one form that SIP takes (RFC 3261 §20.17). `now` is in seconds
    since the Unix epoch, UTC."""
    return b"Date: " + formatdate(int(now), usegmt=True).encode("ascii")


def read_key_file(key_file: Path) -> tuple[EllipticCurvePrivateKey, int]:
    """The key of a PEM file, and the file's mode. Raises `CannotSign`."""
    try:
        pem, mode = read_pem_file(key_file, KEY_FILE_BYTES_MAX, "key file")
    except UnusableFile as unusable:
        raise CannotSign(_CODES[unusable.fault], unusable.detail) from unusable
    return _read_key(pem, key_file), mode


def _read_key(pem: bytes, key_file: Path) -> EllipticCurvePrivateKey:
    """Raises `CannotSign`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise CannotSign(
            "encrypted_key",
            f"The key in {key_file} is encrypted; nobody is there to type its passphrase.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CannotSign("not_a_key", f"{key_file} holds no private key in PEM.") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise CannotSign(
            "wrong_kind_of_key",
            f"SHAKEN signs with an EC key of the curve P-256; that in {key_file} is of another kind.",
        )
    return key
