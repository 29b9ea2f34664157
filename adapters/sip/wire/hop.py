"""Where a message goes, or came from: address and transport."""

from __future__ import annotations

from typing import Literal, NamedTuple

Transport = Literal["udp", "tcp", "tls"]


class Hop(NamedTuple):
    """One end of a transport, as a key: of connections, of a server's health, of a destination."""

    host: str
    """IP address in text, without brackets."""
    port: int
    transport: Transport = "udp"
    name: str = ""
    """Over TLS: the name that the peer's certificate must be for (RFC 5922); empty elsewhere."""

    @property
    def is_reliable(self) -> bool:
        """Whether the transport repeats what is lost, so that we do not."""
        return self.transport != "udp"
