"""Large mails for `bench.busy`, each end in a process of its own.

Usage: `python -m bench.mails receive FOLDER` prints the port on which it takes mails, and writes each down
durably before it says 250; `python -m bench.mails send PORT COUNT MB` sends so many at once, and ends.
"""

from __future__ import annotations

import asyncio
import os
import smtplib
import sys
import threading
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST: Final = "127.0.0.1"
MAIL_BYTES_MAX: Final = 32 << 20
SEND_S_MAX: Final = 60.0


class _Spool:
    """Writes mails into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd with a whole mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        self._count += 1
        self._write(self._folder / f"{self._count}.eml", content)
        return "250 kept"

    def _write(self, path: Path, content: bytes) -> None:
        """Write a mail so that it survives a crash. This process has nothing to do meanwhile."""
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


async def receive(folder: Path) -> None:
    """Take mails for ever."""
    spool = _Spool(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(spool, data_size_limit=MAIL_BYTES_MAX), HOST, 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def send(port: int, count: int, size_mb: int) -> None:
    """Send mails, all at once, each with an attachment of so many MB as it travels."""
    senders = [threading.Thread(target=_send_one, args=(port, size_mb)) for _ in range(count)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def _send_one(port: int, size_mb: int) -> None:
    # What is attached grows by a third on its way.
    content = os.urandom(size_mb * 1_000_000 * 3 // 4)
    message = EmailMessage()
    message["From"] = "sender@example.com"
    message["To"] = "list@example.com"
    message["Subject"] = "A list"
    message.set_content("A list is attached.")
    message.add_attachment(content, maintype="application", subtype="zip", filename="list.zip")
    with smtplib.SMTP(HOST, port, timeout=SEND_S_MAX) as client:
        client.send_message(message)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["receive", folder_name]:
            asyncio.run(receive(Path(folder_name)))
        case ["send", port_text, count_text, mb_text]:
            send(int(port_text), int(count_text), int(mb_text))
        case _:
            sys.exit(__doc__)
