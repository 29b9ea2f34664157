"""TLS between two buffers: whom to believe, and bytes to and from their encrypted form (RFC 5922).

OpenSSL is given memory instead of a socket, so that encrypting never waits for the network.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Self

from adapters.sip.pem_file import UnusableFile, read_pem_file

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest PEM file that is read; the authorities of a whole system take a quarter of a MiB."""
RECORD_BYTES_MAX = 16_384
"""Most plain bytes that one TLS record holds (RFC 8446 §5.1)."""


Part = Literal["certificate", "key", "authorities"]
"""What a file is for."""
FileFault = Literal["unusable_file", "not_a_certificate", "not_a_key", "encrypted_key", "wrong_key"]
"""What is wrong with it."""


class BadTlsFile(OSError):
    """A PEM file that cannot be used. `detail` is a sentence for a person, with the file's name and
    nothing of what is in it."""

    def __init__(self, part: Part, code: FileFault, detail: str) -> None:
        super().__init__(detail)
        self.part = part
        self.code = code
        self.detail = detail


def find_bad_files(
    *, cert: str | None = None, key: str | None = None, authority: str | None = None
) -> list[BadTlsFile]:
    """What is wrong with these files, each at most once."""
    files = (("certificate", cert), ("key", key), ("authorities", authority))
    given: list[tuple[Part, str]] = [(part, file) for part, file in files if file is not None]  # type: ignore[misc]
    bad: dict[Part, BadTlsFile] = {}
    for part, file in given:
        try:
            _read(part, file)
        except BadTlsFile as fault:
            bad[part] = fault
    scratch = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if cert is not None and key is not None and not {"certificate", "key"} & bad.keys():
            _load_own(scratch, cert, key)
    except BadTlsFile as fault:
        bad[fault.part] = fault
    try:
        if authority is not None and "authorities" not in bad:
            _load_authorities(scratch, authority)
    except BadTlsFile as fault:
        bad[fault.part] = fault
    return [bad[part] for part, _ in given if part in bad]


def client_context(
    *, authority: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """For connections to peers that must show a certificate for their name or IP address by a trusted
    authority: one of the system's, or one of the PEM file `authority` beside those.

    `cert` and `key` are PEM files of a certificate of our own, for peers that ask for one. Raises
    `BadTlsFile` for files that cannot be used.
    """
    context = ssl.create_default_context()
    if authority is not None:
        _load_authorities(context, authority)
    return _harden(context, cert, key)


def unchecked_client_context(*, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """For peers whose certificate the operator has chosen not to look at: encrypted, but anybody on the
    way can be the peer. Raises `BadTlsFile` for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _harden(context, cert, key)


def server_context(cert: str, key: str, *, authority: str | None = None) -> ssl.SSLContext:
    """For connections from peers. Where `authority` is a PEM file they must show a certificate of one of
    its authorities. Raises `BadTlsFile` for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if authority is not None:
        _load_authorities(context, authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return _harden(context, cert, key)


def _harden(context: ssl.SSLContext, cert: str | None, key: str | None) -> ssl.SSLContext:
    # The system's configuration may allow less than the library's defaults.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A peer could make us work for each renegotiation, and writing would have to wait for it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if cert is not None:
        _load_own(context, cert, cert if key is None else key)
    return context


def _read(part: Part, file: str) -> bytes:
    """Raises `BadTlsFile`."""
    try:
        return read_pem_file(Path(file), FILE_BYTES_MAX, f"{part} file")[0]
    except UnusableFile as unusable:
        raise BadTlsFile(part, "unusable_file", unusable.detail) from unusable


def _load_authorities(context: ssl.SSLContext, file: str) -> None:
    """Raises `BadTlsFile`."""
    pem = _read("authorities", file)
    try:
        # From memory: a file that is read twice may be another one the second time. What is not ASCII
        # stands in comments between the certificates.
        context.load_verify_locations(cadata=pem.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError):
        detail = f"{file} holds no certificate in PEM."
        raise BadTlsFile("authorities", "not_a_certificate", detail) from None


def _load_own(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Raises `BadTlsFile`."""
    cert_pem, key_pem = _read("certificate", cert), _read("key", key)
    try:
        # Without a pass phrase of ours OpenSSL would ask for one on the terminal, and wait.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise _explain(cert, cert_pem, key, key_pem, error) from None


def _explain(
    cert: str, cert_pem: bytes, key: str, key_pem: bytes, error: OSError | ValueError
) -> BadTlsFile:
    """Which of the two files is at fault for what OpenSSL says of both."""
    # Here, as nothing else of TLS needs it, and it takes a tenth of a start.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        leaf = load_pem_x509_certificates(cert_pem)[0]
    except ValueError:
        detail = f"{cert} holds no certificate in PEM."
        return BadTlsFile("certificate", "not_a_certificate", detail)
    try:
        own = load_pem_private_key(key_pem, password=None)
    except TypeError:
        detail = f"The key in {key} is encrypted; nobody is there to type its pass phrase."
        return BadTlsFile("key", "encrypted_key", detail)
    except (ValueError, UnsupportedAlgorithm):
        return BadTlsFile("key", "not_a_key", f"{key} holds no private key in PEM.")
    if own.public_key() != leaf.public_key():
        detail = f"The key in {key} does not belong to the certificate in {cert}."
        return BadTlsFile("key", "wrong_key", detail)
    reason = describe(error) if isinstance(error, ssl.SSLError) else str(error)
    detail = f"OpenSSL does not take the certificate in {cert} with its key: {reason}."
    return BadTlsFile("certificate", "not_a_certificate", detail)


class TlsLayer:
    """One connection's. Encrypted bytes of the peer's go in through `put`; what is to be sent comes out of
    `take_outgoing` or `encrypt`. Made by `to_server` or `to_client`."""

    def __init__(self, context: ssl.SSLContext, peer_name: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=peer_name is None,
            server_hostname=peer_name,
        )
        self._ending: str | None = None

    @classmethod
    def to_server(cls, context: ssl.SSLContext, peer_name: str) -> Self:
        """For a connection that we opened; the certificate must be for `peer_name`, a host name or IP
        address. Raises `ValueError` for a name that is none."""
        if "\0" in peer_name:
            raise ValueError("NUL in a name")
        return cls(context, peer_name)

    @classmethod
    def to_client(cls, context: ssl.SSLContext) -> Self:
        """For a connection that was opened to us."""
        return cls(context, None)

    @property
    def ending(self) -> str | None:
        """Why nothing more can be read, None while it can."""
        return self._ending

    def put(self, data: bytes) -> None:
        """Take encrypted bytes."""
        self._incoming.write(data)

    def take_outgoing(self) -> bytes:
        """What is to be sent without anybody having asked for it: the handshake, alerts, new keys."""
        return self._outgoing.read()

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as the bytes go; True when it is done.

        Raises `ssl.SSLError` when the peer is not who it should be, or has no TLS that we have.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes:
        """All plain bytes that the encrypted ones give. Never raises: see `ending`."""
        chunks = []
        try:
            while chunk := self._tls.read(RECORD_BYTES_MAX):
                chunks.append(chunk)
            self._ending = ""
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ending = ""
        except ssl.SSLError as error:
            self._ending = describe(error)
        return b"".join(chunks)

    def encrypt(self, data: bytes) -> bytes:
        """The records to send for plain bytes, behind whatever else is to be sent.

        Raises `ssl.SSLError` on a connection that has broken.
        """
        rest = memoryview(data)
        while rest:
            # OpenSSL takes one record at a time.
            rest = rest[self._tls.write(rest) :]
        return self._outgoing.read()

    def say_goodbye(self) -> bytes:
        """What tells the peer that the end is meant; empty where it cannot be told."""
        # It wants the peer's goodbye, for which nobody waits here.
        with suppress(OSError):
            self._tls.unwrap()
        return self._outgoing.read()


def describe(error: ssl.SSLError) -> str:
    """An error of TLS in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()
