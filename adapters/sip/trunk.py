"""What the SIP layer must know of a trunk, and the header lines that never change on it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from adapters.media.sdp import DEFAULT_CODECS, CodecName, SrtpPolicy
from adapters.sip.identity.headers import IdentityLines, TrunkIdentity, open_identity
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.uri import Address, host_port

ALLOW = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
"""The methods that a dialog of ours understands."""
PRODUCT = b"callwheel"
"""What stands in User-Agent, and as the user of our Contact."""
SESSION_EXPIRES_S = 1800
"""How often a session is refreshed where nobody wants it otherwise (RFC 4028 §4)."""
REGISTER_EXPIRES_S = 3600
"""How long a registration is asked to last."""


class Stir(Struct, frozen=True):
    """With what calls are signed (RFC 8224, RFC 8588)."""

    key_file: str
    """PEM, a P-256 key."""
    certificate_url: str
    attestation: Literal["A", "B", "C"]


class Trunk(Struct, frozen=True):
    """A carrier's door, as configured."""

    name: str
    host: str
    """IP address or host name; it also stands in the Request-URI."""
    port: int | None = None
    """None where the URI names none: a host name then goes through SRV (RFC 3263)."""
    credentials: Credentials | None = None
    """For digest; without them a challenge ends the call as `rejected`."""
    realm: bytes | None = None
    """The only realm that gets the credentials; None trusts whatever realm the trunk names."""
    domain: str | None = None
    """The host in our From; None says our own address."""
    transport: Transport | None = None
    """None where the URI names none: UDP, or what NAPTR and SRV prefer."""
    large_over_tcp: bool = False
    """Whether a request that could break into fragments goes over TCP (RFC 3261 §18.1.1)."""
    tls_check: bool = True
    """Whether the trunk must show a certificate for its name, by an authority that is trusted."""
    registers: bool = False
    """Whether the trunk wants to be registered with."""
    register_expires_s: int = REGISTER_EXPIRES_S
    probe_s: float = 0.0
    """Between two OPTIONS to one server; 0 sends none."""
    session_expires_s: int = SESSION_EXPIRES_S
    """How often a session is refreshed, if the callee does not want it otherwise; 0 offers no timer."""
    follows_redirects: bool = False
    """Whether a 3xx of this trunk's may name another number to be called."""
    identity: TrunkIdentity = TrunkIdentity()
    """How our calls present themselves."""
    stir: Stir | None = None
    """None signs nothing."""
    codecs: tuple[CodecName, ...] = DEFAULT_CODECS
    """What calls are offered in, in order of preference."""
    srtp: SrtpPolicy = "off"
    """Whether sound is encrypted."""


class Here(Struct, frozen=True):
    """Our own addresses as trunks see them, one for each transport."""

    udp: Address
    tcp: Address
    tls: Address

    def over(self, transport: Transport) -> Address:
        """Where we are reached over a transport."""
        if transport == "udp":
            return self.udp
        return self.tcp if transport == "tcp" else self.tls


class Line(Struct, frozen=True):
    """A trunk's server as seen from our sockets: where its requests go, and their constant parts."""

    trunk: Trunk
    hop: Hop
    """The server that was chosen."""
    callee_domain: bytes
    """`host:port` of the Request-URI."""
    identity: IdentityLines
    """Who we say is calling."""
    vias: dict[Transport, bytes]
    """A whole Via line up to the branch, which stands last."""
    contact: bytes
    """The value of our Contact."""
    invite_lines: tuple[bytes, ...]
    """The constant lines of an INVITE behind its CSeq."""

    @property
    def caller_domain(self) -> bytes:
        """What stands behind the `@` of our own numbers."""
        return self.identity.domain


def domain_bytes(domain: str) -> bytes:
    """A configured domain as it stands in a URI; an IPv6 address is in brackets already."""
    return domain.encode("ascii" if ":" in domain else "idna")


def open_line(trunk: Trunk, hop: Hop, here: Here) -> Line:
    """Precompute a trunk's constant bytes. Raises `UnsafeHeader` for an identity that cannot stand on
    the wire."""
    contact = b"<sip:%b@%b%b>" % (
        PRODUCT,
        host_port(here.over(hop.transport)),
        b"" if hop.transport == "udp" else b";transport=" + hop.transport.encode("ascii"),
    )
    domain = trunk.host.encode("idna") if ":" not in trunk.host else b"[%b]" % trunk.host.encode()
    return Line(
        trunk=trunk,
        hop=hop,
        callee_domain=domain if trunk.port is None else b"%b:%d" % (domain, trunk.port),
        identity=open_identity(trunk.identity, own_domain(trunk, hop, here)),
        vias={transport: _via(here, transport) for transport in ("udp", "tcp", "tls")},
        contact=contact,
        invite_lines=(
            b"Contact: " + contact,
            b"Allow: " + ALLOW,
            b"User-Agent: " + PRODUCT,
            b"Content-Type: application/sdp",
        ),
    )


def own_domain(trunk: Trunk, hop: Hop, here: Here) -> bytes:
    """What stands behind the `@` of our own numbers."""
    if trunk.domain is None:
        return host_port(here.over(hop.transport))
    return domain_bytes(trunk.domain)


def _via(here: Here, transport: Transport) -> bytes:
    sent_by = host_port(here.over(transport))
    return b"Via: SIP/2.0/%b %b;rport;branch=" % (transport.upper().encode("ascii"), sent_by)
