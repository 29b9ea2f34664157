"""What the SIP layer must know of a trunk, and the header lines that never change on it."""

from __future__ import annotations

from msgspec import Struct

from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.uri import SIP_PORT, Address, host_port

ALLOW = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
"""The methods that a dialog of ours understands."""
PRODUCT = b"callwheel"
"""What stands in User-Agent, and as the user of our Contact."""


class Trunk(Struct, frozen=True):
    """A carrier's door, as configured."""

    name: str
    host: str
    """IP address or host name; it also stands in the Request-URI."""
    port: int = SIP_PORT
    credentials: Credentials | None = None
    """For digest; without them a challenge ends the call as `rejected`."""
    realm: bytes | None = None
    """The only realm that gets the credentials; None trusts whatever realm the trunk names."""
    domain: str | None = None
    """The host in our From; None says our own address."""


class Line(Struct, frozen=True):
    """A trunk as seen from our socket: where its requests go, and their constant parts."""

    trunk: Trunk
    address: Address
    """Where the trunk's host name was resolved to."""
    callee_domain: bytes
    """`host:port` of the Request-URI."""
    caller_domain: bytes
    via: bytes
    """A whole Via line up to the branch, which stands last."""
    contact: bytes
    """The value of our Contact."""
    invite_lines: tuple[bytes, ...]
    """The constant lines of an INVITE behind its CSeq."""


def open_line(trunk: Trunk, address: Address, local: Address) -> Line:
    """Precompute a trunk's constant bytes. `local` is the address by which the trunk reaches us."""
    here = host_port(local)
    contact = b"<sip:%b@%b>" % (PRODUCT, here)
    return Line(
        trunk=trunk,
        address=address,
        callee_domain=host_port((trunk.host, trunk.port)),
        caller_domain=here if trunk.domain is None else trunk.domain.encode("idna"),
        via=b"Via: SIP/2.0/UDP %b;rport;branch=" % here,
        contact=contact,
        invite_lines=(
            b"Contact: " + contact,
            b"Allow: " + ALLOW,
            b"User-Agent: " + PRODUCT,
            b"Content-Type: application/sdp",
        ),
    )
