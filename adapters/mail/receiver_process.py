"""The process that takes mails: aiosmtpd on asyncio, apart from the engine, so that ten large mails at once
hold up no call. It knows the addresses of flows by their HMAC, takes nothing for anybody else, and says 250
once the mail is in the spool for good. It prints its address, then a line for each mail, and ends when its
standard input does.

Settings come as JSON on the first line of standard input: `ReceiverSettings`.
"""

from __future__ import annotations

import asyncio
import errno
import io
import ipaddress
import logging
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

from adapters.mail import spool
from adapters.mail.content import (
    ACTIVATION_BYTES_MAX,
    MAIL_BYTES_MAX,
    RECIPIENTS_MAX,
    ContentRefused,
    read_content,
)
from adapters.mail.rate import ACTIVATION_MAILS_MAX, MailRate
from adapters.mail.receiver_settings import ReceiverSettings
from engine.mail.address import flow_of

CONNECTIONS_MAX: Final = 100
READING_MAX: Final = 16
"""Mails that are read at once, all connections together; each is in memory."""
PEER_CONNECTIONS_MAX: Final = 10
"""Of one IP address."""
PEERS_MAX: Final = 10_000
"""IP addresses whose mails are counted; with more, the one that was silent for longest is forgotten."""
TIMEOUT_S: Final = 60.0
"""How long somebody may say nothing."""
MAIL_S_MAX: Final = 600.0
"""How long a connection may last."""
BIND_TRIES_MAX: Final = 40
BIND_WAIT_S: Final = 0.25
"""Between two tries to take a port that somebody has."""
NO_ROOM: Final = "452 4.3.1 There is no room just now"
IPV6_PREFIX_BITS: Final = 64
"""Of an IPv6 address, which stand for one customer of a network: the rest is at the customer's choice."""


class _Peers:
    """How much each IP address has done lately."""

    def __init__(self, mails_max: int) -> None:
        self._mails_max = mails_max
        self._mails: dict[str, MailRate] = {}
        self.connections: Counter[str] = Counter()

    def may_connect(self, peer: str) -> bool:
        return (
            self.connections.total() < CONNECTIONS_MAX
            and self.connections[peer] < PEER_CONNECTIONS_MAX
        )

    def may_mail(self, peer: str, now: float) -> bool:
        """Whether it may bring one more, which is counted."""
        mails = self._mails.pop(peer, None) or MailRate(self._mails_max)
        self._mails[peer] = mails
        while len(self._mails) > PEERS_MAX:
            del self._mails[next(iter(self._mails))]
        return mails.may_take(now)


def name_peer(host: str) -> str:
    """By which an IP address is counted."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX_BITS), strict=False))


class Door:
    """Decides what is taken; aiosmtpd calls it."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._folder = Path(settings.spool)
        self.reading = 0
        """Mails that are read just now."""
        self.peers = _Peers(settings.peer_mails_max)
        self._activations = MailRate(ACTIVATION_MAILS_MAX)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called for each recipient."""
        settings = self._settings
        is_known = flow_of(settings.secret, address, settings.domain) is not None
        if not is_known and not self._is_activation(address):
            return "550 5.1.1 There is no such mailbox here"
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called with a whole mail. This process has nothing to do while it writes."""
        peer = str(session.peer[0]) if session.peer else ""
        content = envelope.content
        assert isinstance(content, bytes)  # decode_data is off
        if not spool.has_room(self._folder, len(content)):
            return NO_ROOM
        described = spool.Envelope(
            peer,
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            time.time(),  # noqa: TID251 - this process has no other clock
        )
        try:
            mail = spool.write_mail(self._folder, described, content)
        except OSError as error:
            with suppress(OSError):
                print(f"failed {error}", file=sys.stderr, flush=True)
            return "451 4.3.0 It cannot be kept just now"
        with suppress(OSError):  # the engine is gone: its next start finds the mail
            print(mail, flush=True)
        return f"250 2.0.0 Kept as {mail}"

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        replies: list[str],
    ) -> list[str]:
        """Called with what the base class would say, which over TLS is that somebody could log in."""
        session.host_name = hostname
        return [reply for reply in replies if not reply.startswith("250-AUTH")]

    async def handle_exception(self, error: Exception) -> str:
        """Called for what nobody foresaw. The base class would refuse the mail for good and say what
        broke."""
        with suppress(OSError):
            print(f"failed {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return "451 4.3.0 That did not work; try again later"

    def put_off(self, peer: str, recipients: Sequence[str]) -> str:
        """Why the mail that somebody is about to bring is not even read; empty where it is. It is counted."""
        if self.reading >= READING_MAX:
            return "451 4.3.2 Too many mails at once"
        now = time.monotonic()
        asks = any(self._is_activation(address) for address in recipients)
        if not self.peers.may_mail(peer, now) or (asks and not self._activations.may_take(now)):
            return "450 4.7.1 Too many mails; try again in a minute"
        return "" if spool.has_room(self._folder, 0) else NO_ROOM

    def bytes_max(self, recipients: Sequence[str]) -> int:
        """Of a mail to these."""
        is_request = all(self._is_activation(address) for address in recipients)
        return ACTIVATION_BYTES_MAX if is_request else MAIL_BYTES_MAX

    def _is_activation(self, address: str) -> bool:
        wanted = self._settings.activation
        return wanted is not None and address.lower() == wanted.lower()


class _Connection(SMTP):
    """One connection, counted, and not for ever."""

    def __init__(self, door: Door, *args: Any, **more: Any) -> None:
        super().__init__(door, *args, **more)
        self._door = door
        self._peer: str | None = None
        self._ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio; once more after STARTTLS."""
        if self._peer is None:
            peer = name_peer(str((transport.get_extra_info("peername") or ("",))[0]))
            if not self._door.peers.may_connect(peer):
                assert isinstance(transport, asyncio.WriteTransport)
                transport.write(b"421 4.7.0 Too many connections\r\n")
                transport.close()
                # The base class has nothing to end then.
                self.connection_lost = lambda error: None  # type: ignore[method-assign]
                return
            self._peer = peer
            self._door.peers.connections[peer] += 1
            self._ending = self.loop.call_later(MAIL_S_MAX, transport.abort)  # type: ignore[attr-defined]
        super().connection_made(transport)

    async def smtp_AUTH(self, arg: str) -> None:
        """Called for the command. Nobody has anything to log in with."""
        await self.push("502 5.5.1 Nobody logs in here")

    async def smtp_DATA(self, arg: str) -> None:
        """Called for the command. The base class would keep a mail line by line, however many there are."""
        if await self.check_helo_needed():
            return
        envelope, session = self.envelope, self.session
        assert envelope is not None and session is not None  # noqa: PT018 - there is a connection
        if not envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT comes before DATA")
            return
        if arg:
            await self.push("501 5.5.4 DATA stands alone")
            return
        refusal = self._door.put_off(self._peer or "", envelope.rcpt_tos)
        if refusal:
            await self.push(refusal)
            return
        self._door.reading += 1
        try:
            is_read = True
            await self.push("354 End it with a dot on a line of its own")
            bytes_max = self._door.bytes_max(envelope.rcpt_tos)
            content = await read_content(self._reader, bytes_max, self._reset_timeout)
            envelope.content = envelope.original_content = content
            reply = await self._door.handle_DATA(self, session, envelope)
        except ContentRefused as refused:
            reply, is_read = refused.reply, refused.is_read
        finally:
            self._door.reading -= 1
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(reply)
        if not is_read and self.transport is not None:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        if self._peer is not None:
            self._door.peers.connections[self._peer] -= 1
            if self._door.peers.connections[self._peer] <= 0:
                del self._door.peers.connections[self._peer]
            self._peer = None
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(error)


async def serve(settings: ReceiverSettings) -> None:
    """Take mails until the engine is gone."""
    door = Door(settings)
    context = None
    if settings.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.certificate, settings.key)
    loop = asyncio.get_running_loop()

    def connect() -> SMTP:
        return _Connection(
            door,
            data_size_limit=MAIL_BYTES_MAX,
            hostname=settings.domain,
            ident="Callwheel",
            tls_context=context,
            timeout=TIMEOUT_S,
            loop=loop,
        )

    server = await _bind(loop, connect, settings)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"{host} {port}", flush=True)
    async with server:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()  # until it ends


async def _bind(
    loop: asyncio.AbstractEventLoop, connect: Callable[[], SMTP], settings: ReceiverSettings
) -> asyncio.Server:
    """Take the port. One that served an engine which was killed a moment ago is about to let it go."""
    for _ in range(BIND_TRIES_MAX):
        try:
            return await loop.create_server(connect, settings.host, settings.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        await asyncio.sleep(BIND_WAIT_S)
    return await loop.create_server(connect, settings.host, settings.port)


def main() -> None:
    """Run as a child of the engine."""
    logging.disable(logging.CRITICAL)
    # Without a buffer: what follows is for asyncio.
    with io.FileIO(0, closefd=False) as unbuffered:
        first = unbuffered.readline()
    settings = msgspec.json.decode(first, type=ReceiverSettings)
    try:
        asyncio.run(serve(settings))
    except OSError as error:
        # Certificates that cannot be read, and ports that cannot be had.
        print(f"The receiver of mails: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
