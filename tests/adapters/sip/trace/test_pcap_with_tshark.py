"""The capture as Wireshark sees it, which nobody here wrote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from adapters.sip.trace.pcap import write_capture
from adapters.sip.trace.record import TracedMessage, mask_credentials
from adapters.sip.wire.hop import Hop, Transport
from tests.adapters.sip.trace.conversation import COMPLETE, received, request, response, sent
from tests.peers import require

pytestmark = pytest.mark.peer

COMPLAINTS = "_ws.malformed || _ws.expert.severity >= 6291456"
"""Warnings and errors of any protocol, wrong checksums among them."""
CHECKSUMS = ("ip", "udp", "tcp")


@pytest.fixture
def tshark() -> str:
    return require("tshark", "tshark")


def ask(tshark: str, file: Path, which: str, *options: str) -> list[list[str]]:
    """The fields of the packets that a filter finds."""
    command = [tshark, "-n", "-r", str(file), "-Y", which]
    for protocol in CHECKSUMS:
        command += ["-o", f"{protocol}.check_checksum:TRUE"]
    found = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return [line.split("\t") for line in found.stdout.splitlines()]


def fields(*names: str) -> list[str]:
    return ["-T", "fields", *(option for name in names for option in ("-e", name))]


def moved(transport: Transport, far: str, near: str) -> list[TracedMessage]:
    """The complete call between other ends."""
    there, here = Hop(far, 5070, transport), Hop(near, 40_000, transport)
    return [
        TracedMessage(message.at, message.sent, here, there, message.data) for message in COMPLETE
    ]


@pytest.mark.parametrize(
    ("far", "near"), [("192.0.2.70", "192.0.2.1"), ("2001:db8::7", "2001:db8::1")]
)
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_wireshark_reads_every_message_and_complains_of_nothing(
    tshark: str, tmp_path: Path, transport: Transport, far: str, near: str
) -> None:
    file = tmp_path / "call.pcap"
    file.write_bytes(write_capture(moved(transport, far, near)))
    lower = "udp" if transport == "udp" else "tcp"
    decode = ["-d", f"{lower}.port==5070,sip"]
    version = "ipv6" if ":" in far else "ip"
    shown = (f"{version}.src", f"{lower}.dstport", "sip.Method", "sip.Status-Code", "sip.CSeq")
    assert ask(tshark, file, "sip", *decode, *fields(*shown)) == [
        [near, "5070", "INVITE", "", "1 INVITE"],
        [far, "40000", "", "100", "1 INVITE"],
        [far, "40000", "", "180", "1 INVITE"],
        [far, "40000", "", "200", "1 INVITE"],
        [near, "5070", "ACK", "", "1 ACK"],
        [near, "5070", "BYE", "", "2 BYE"],
        [far, "40000", "", "200", "2 BYE"],
    ]
    assert ask(tshark, file, COMPLAINTS, *decode) == []
    status = ask(tshark, file, "sip", *decode, *fields(f"{lower}.checksum.status"))
    assert status == [["1"]] * len(COMPLETE)


def test_wireshark_puts_a_long_message_over_tcp_together(tshark: str, tmp_path: Path) -> None:
    long = request(b"INVITE", headers=((b"Subject", b"x" * 4000),), body=b"y" * 60_000, via=b"TCP")
    far = Hop("192.0.2.70", 5060, "tcp")
    file = tmp_path / "call.pcap"
    file.write_bytes(write_capture((sent(0.0, long, far), received(0.1, response(long, 486), far))))
    shown = fields("sip.Method", "sip.Status-Code", "sip.Content-Length")
    assert ask(tshark, file, "sip", *shown) == [["INVITE", "", "60000"], ["", "486", "0"]]
    assert ask(tshark, file, COMPLAINTS) == []


@pytest.mark.parametrize("scheme", ["Digest", "Something"])
def test_wireshark_reads_a_message_whose_credentials_are_masked(
    tshark: str, tmp_path: Path, scheme: str
) -> None:
    """It takes some values for malformed, and shows nothing of what follows them."""
    secret = b'%b username="alice",\r\n realm="r", response="6629fae49393a053"' % scheme.encode()
    folded = request(b"INVITE").replace(
        b"\r\nCSeq", b"\r\nProxy-Authorization: " + secret + b"\r\nCSeq"
    )
    file = tmp_path / "call.pcap"
    file.write_bytes(write_capture((sent(0.0, mask_credentials(folded)),)))
    shown = fields("sip.Method", "sip.Proxy-Authorization", "sip.CSeq")
    decode = ["-d", "udp.port==5070,sip"]
    masked = ("Digest " if scheme == "Digest" else "* ").ljust(len(secret), "*")
    assert ask(tshark, file, "sip", *decode, *shown) == [["INVITE", masked, "1 INVITE"]]
    assert ask(tshark, file, COMPLAINTS, *decode) == []
    assert b"alice" not in file.read_bytes()
