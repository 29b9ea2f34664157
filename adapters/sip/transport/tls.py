"""TLS between two buffers: whom to believe, and bytes to and from their encrypted form (RFC 5922).

OpenSSL is given memory instead of a socket, so that encrypting never waits for the network.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Self

RECORD_BYTES_MAX = 16_384
"""Most plain bytes that one TLS record holds (RFC 8446 §5.1)."""


def client_context(
    *, authority: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """For connections to peers that must show a certificate for their name or IP address by a trusted
    authority: one of the system's, or one of the PEM file `authority` beside those.

    `cert` and `key` are PEM files of a certificate of our own, for peers that ask for one. Raises
    `OSError` (of which `ssl.SSLError` is one) for files that cannot be used.
    """
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(authority)
    return _harden(context, cert, key)


def unchecked_client_context(*, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """For peers whose certificate the operator has chosen not to look at: encrypted, but anybody on the
    way can be the peer. Raises `OSError` for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _harden(context, cert, key)


def server_context(cert: str, key: str, *, authority: str | None = None) -> ssl.SSLContext:
    """For connections from peers. Where `authority` is a PEM file they must show a certificate of one of
    its authorities. Raises `OSError` for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return _harden(context, cert, key)


def _harden(context: ssl.SSLContext, cert: str | None, key: str | None) -> ssl.SSLContext:
    # The system's configuration may allow less than the library's defaults.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A peer could make us work for each renegotiation, and writing would have to wait for it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


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
