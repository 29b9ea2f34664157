"""The receiving process itself, as the engine runs it, for tests."""

from __future__ import annotations

import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from adapters.mail.receiver_settings import ReceiverSettings
from adapters.mail.spool import NEW, make_spool
from engine.mail.address import address_of

DOMAIN = "lists.example.net"
SECRET = bytes(32)
ADDRESS = address_of(SECRET, "flw_0123456789abcdef0123456789ab", DOMAIN)
SENDER = "ada@example.com"
WAIT_S = 20.0


class Receiver(Struct, frozen=True):
    """A process that takes mails."""

    port: int
    spool: Path
    process_id: int
    deafen: Callable[[], None]
    """Close the engine's end of what the process says."""

    def connect(self) -> smtplib.SMTP:
        """A client that has said nothing yet."""
        return smtplib.SMTP("127.0.0.1", self.port, timeout=WAIT_S)

    def contents(self) -> list[bytes]:
        """Mails in the spool, the oldest first, without their envelopes."""
        files = sorted((self.spool / NEW).iterdir())
        return [file.read_bytes().partition(b"\n")[2] for file in files]


@contextmanager
def open_receiver(folder: Path, **more: Any) -> Iterator[Receiver]:
    """Run it for as long as the block lasts."""
    make_spool(folder)
    settings = structs.replace(
        ReceiverSettings("127.0.0.1", 0, DOMAIN, SECRET, str(folder)), **more
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "adapters.mail.receiver_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(settings) + b"\n")
            process.stdin.flush()
            port = int(process.stdout.readline().split()[1])
            yield Receiver(port, folder, process.pid, process.stdout.close)
        finally:
            process.kill()


class Talk:
    """SMTP by hand: octets as they are, and the replies to them."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self._file = self._socket.makefile("rb")
        self.greeting = self.hear()

    def say(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def hear(self) -> str:
        """The last line of the next reply; empty where the connection was closed."""
        while line := self._file.readline():
            if line[3:4] != b"-":
                return line.decode().strip()
        return ""

    def ask(self, line: str) -> str:
        self.say(line.encode() + b"\r\n")
        return self.hear()

    def begin(self) -> None:
        """Come to where the mail itself is said."""
        assert self.ask("EHLO client.example.com").startswith("250")
        assert self.ask(f"MAIL FROM:<{SENDER}>").startswith("250")
        assert self.ask(f"RCPT TO:<{ADDRESS}>").startswith("250")
        assert self.ask("DATA").startswith("354")

    def close(self) -> None:
        self._file.close()
        self._socket.close()
