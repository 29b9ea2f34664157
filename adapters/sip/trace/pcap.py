"""A call's messages as a capture that Wireshark opens (pcap, draft-ietf-opsawg-pcap).

The packets were never on a wire in this form: they are made here from the messages, with addresses,
ports, sequence numbers and checksums that are right for them.

- Link type 101: a packet begins with its IP header.
- A message over UDP is one packet, as it is after its fragments were put together.
- A message over TCP is one segment or more of a stream that begins with the call's first message; the
  connection may have carried other calls before and between, and those are not in it.
- What went over TLS is written as plain TCP to the same ports, since it was kept as plain text. Wireshark
  expects TLS on port 5061: there, "Decode As…" SIP shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, ip_address
from struct import pack

from msgspec import Struct

from adapters.sip.trace.record import TracedMessage

SEGMENT_BYTES_MAX = 1440
"""Of a TCP stream in one packet: what an Ethernet frame holds beside the headers of IPv6 and TCP."""
UDP_BYTES_MAX = 65_507
"""The longest message in a UDP packet of IPv4. None longer can have come; if one was kept all the same,
it is cut."""

_MAGIC = 0xA1B2C3D4
"""Of files whose times are in microseconds."""
_LINKTYPE_RAW = 101
_SNAPLEN = 262_144
_UDP, _TCP = 17, 6
_HOPS_LEFT = 64
_DONT_FRAGMENT = 0x4000
_PUSH_ACK = 0x5018
"""The flags, behind the length of the header."""
_WINDOW = 65_535
_MAPPED = bytes(10) + b"\xff\xff"
"""What makes an IPv6 address of an IPv4 one (RFC 4291 §2.5.5.2)."""


class _End(Struct, frozen=True):
    """Where a packet comes from, or goes to."""

    address: bytes
    """4 bytes or 16, the same at both ends."""
    port: int


def write_capture(messages: Iterable[TracedMessage]) -> bytes:
    """A whole pcap file, a packet or more for each message."""
    parts = [pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAPLEN, _LINKTYPE_RAW)]
    streams: dict[tuple[_End, _End], int] = {}
    for message in messages:
        seconds, micros = divmod(round(message.at * 1_000_000), 1_000_000)
        parts += [
            pack("<IIII", seconds, micros, len(packet), len(packet)) + packet
            for packet in _packets(message, streams, len(parts))
        ]
    return b"".join(parts)


def _packets(
    message: TracedMessage, streams: dict[tuple[_End, _End], int], number: int
) -> Iterator[bytes]:
    """The IP packets of a message; `streams` holds the next sequence number of each direction of each
    TCP connection, and `number` makes the first packet's identification."""
    here, there = _ends(message)
    source, target = (here, there) if message.sent else (there, here)
    if not message.remote.is_reliable:
        payload = message.data[:UDP_BYTES_MAX]
        head = pack("!HHHH", source.port, target.port, 8 + len(payload), 0)
        yield _ip(
            _UDP, source, target, _with_checksum(_UDP, source, target, head, 6, payload), number
        )
        return
    for begin in range(0, len(message.data), SEGMENT_BYTES_MAX):
        payload = message.data[begin : begin + SEGMENT_BYTES_MAX]
        sequence, acknowledged = streams.get((source, target), 1), streams.get((target, source), 1)
        ports = pack("!HH", source.port, target.port)
        counters = pack("!II", sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF)
        head = ports + counters + pack("!HHHH", _PUSH_ACK, _WINDOW, 0, 0)
        streams[source, target] = sequence + len(payload)
        yield _ip(
            _TCP, source, target, _with_checksum(_TCP, source, target, head, 16, payload), number
        )
        number += 1


def _ends(message: TracedMessage) -> tuple[_End, _End]:
    """Ours and the other's, both in one family."""
    here, there = _packed(message.local.host), _packed(message.remote.host)
    if len(here) != len(there):
        here, there = (one if len(one) == 16 else _MAPPED + one for one in (here, there))
    return _End(here, message.local.port), _End(there, message.remote.port)


def _packed(host: str) -> bytes:
    try:
        return ip_address(host).packed
    except ValueError:
        # A host name cannot stand in a packet; that it is not known can.
        return IPv4Address(0).packed


def _with_checksum(
    protocol: int, source: _End, target: _End, head: bytes, place: int, payload: bytes
) -> bytes:
    """A UDP or TCP packet, with the checksum over it and over the addresses (RFC 768, 9293, 8200 §8.1)
    at its place in the header."""
    data = head + payload
    pseudo = source.address + target.address + pack("!II", len(data), protocol)
    return b"%b%b%b" % (data[:place], pack("!H", _checksum(pseudo + data)), data[place + 2 :])


def _ip(protocol: int, source: _End, target: _End, data: bytes, number: int) -> bytes:
    """An IP packet around another (RFC 791, 8200)."""
    if len(source.address) == 16:
        head = pack("!IHBB", 6 << 28, len(data), protocol, _HOPS_LEFT)
        return head + source.address + target.address + data
    head = pack("!BBHHH", 0x45, 0, 20 + len(data), number & 0xFFFF, _DONT_FRAGMENT)
    life = pack("!BB", _HOPS_LEFT, protocol)
    addresses = source.address + target.address
    checksum = _checksum(head + life + addresses)
    return head + life + pack("!H", checksum) + addresses + data


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071). It is never 0, which in UDP would say that there is none; the
    65,535 in its place is the same number."""
    padded = data + bytes(len(data) % 2)
    return 0xFFFF - int.from_bytes(padded, "big") % 0xFFFF
