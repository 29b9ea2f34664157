"""A mailbox over IMAP (RFC 9051, RFC 3501): new mails for flows go into the spool, then where they belong.

How far it came is kept in a file of the spool's folder: the mailbox's UIDVALIDITY, and the UID up to which
every mail was dealt with. A mail is in the spool for good before it is moved, marked or deleted, and after
that the file is written. A crash between has the mail fetched again; it is known by what its writer wrote
(`engine.mail.identity`), so it is taken once.

IMAPClient blocks: all of this runs in a process of its own.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from imapclient import IMAPClient
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError
from msgspec import Struct, structs

from adapters.mail import spool
from adapters.mail.content import (
    ACTIVATION_BYTES_MAX,
    LINES_MAX,
    MAIL_BYTES_MAX,
    RECIPIENTS_MAX,
)
from adapters.mail.imap_client import BoundedClient
from adapters.mail.mailbox_wire import MailboxSettings
from adapters.mail.rate import ACTIVATION_MAILS_MAX, MailRate
from engine.mail.address import added_to, address_of, flow_of, flow_of_plus
from engine.mail.addressed import HEAD_OCTETS_MAX, find_addresses, find_return_path
from engine.ports.mailboxes import Fetched, MailboxFailed

STEP_S: Final = 60.0
"""For each step of the conversation."""
LOOKED_AT_ONCE: Final = 100
"""Mails whose headers are asked for with one command."""
KEPT_AT_ONCE: Final = 20
"""Mails that one `fetch` brings at most."""
TRIES_MAX: Final = 3
"""How often a mail is begun with over which the server or we break; then it is passed over."""
AGE_DAYS_MAX: Final = 14
"""Older mails stay where they are: nobody expects to have them dialled. The engine knows for longer what it
took, so that a mailbox which is numbered anew brings no list a second time."""
IDLE_S_MAX: Final = 1_500.0
"""Servers may end an IDLE after half an hour (RFC 2177)."""
MARK: Final = "mailbox.json"
DETAIL_LENGTH_MAX: Final = 200

_HEAD: Final = f"BODY.PEEK[HEADER]<0.{HEAD_OCTETS_MAX}>"
_BODY: Final = f"BODY.PEEK[]<0.{MAIL_BYTES_MAX + 1}>"
_SEEN: Final = b"\\Seen"
_DELETED: Final = b"\\Deleted"


class Mark(Struct, frozen=True):
    """How far it came."""

    place: str = ""
    uidvalidity: int = 0
    uid: int = 0
    """Up to this one every mail was dealt with."""
    tries: dict[int, int] = {}
    """How often a mail was begun with and not ended."""


class MailboxSession:
    """Somebody logged in. Made by `open_mailbox`."""

    def __init__(
        self, client: IMAPClient, settings: MailboxSettings, mark: Mark, step: Callable[[str], None]
    ) -> None:
        """`step` hears of each step that changes something, before and after it."""
        self._client = client
        self._settings = settings
        self._folder = Path(settings.spool)
        self._mark = mark
        self._step = step
        self._has_idle = client.has_capability("IDLE")
        self._requests = MailRate(ACTIVATION_MAILS_MAX)

    def fetch(self) -> Fetched:
        """See `engine.ports.mailboxes.MailboxSession`."""
        with _failing():
            kept = passed_over = 0
            uids = self._find_new()
            for uid, head, size in self._look_at(uids[:LOOKED_AT_ONCE]):
                if kept >= KEPT_AT_ONCE:
                    return Fetched(kept, True, passed_over)
                recipients = self._recipients_of(head)
                if not self._may_ask(recipients):
                    # Mails for flows, which come behind, are not to wait for so many.
                    passed_over += len(recipients) == 1
                    recipients = tuple(one for one in recipients if not self._is_request(one))
                if recipients and self._mark.tries.get(uid, 0) < TRIES_MAX:
                    self._try(uid, head, size, recipients)
                    kept += 1
                elif recipients:
                    passed_over += 1
                self._note(structs.replace(self._mark, uid=uid, tries={}))
            return Fetched(kept, len(uids) > LOOKED_AT_ONCE, passed_over)

    def wait(self, within_s: float) -> None:
        """See `engine.ports.mailboxes.MailboxSession`."""
        with _failing():
            if not self._has_idle:
                time.sleep(within_s)
                return
            # What came since the last look is told here, and would be lost in the answer to IDLE.
            _, told = self._client.noop()
            if any(b"EXISTS" in one for one in told):
                return
            self._client.idle()
            self._client.idle_check(timeout=min(within_s, IDLE_S_MAX))
            self._client.idle_done()

    def _find_new(self) -> list[int]:
        since = datetime.now(UTC).date() - timedelta(days=AGE_DAYS_MAX)  # noqa: TID251 - a process apart
        criteria: list[str | date] = ["UID", f"{self._mark.uid + 1}:*", "UNDELETED", "SINCE", since]
        # `N:*` has the last mail in it, however low its UID is (RFC 3501 §6.4.8).
        return sorted(uid for uid in self._client.search(criteria) if uid > self._mark.uid)

    def _look_at(self, uids: list[int]) -> Iterator[tuple[int, bytes, int]]:
        """(UID, headers, octets) of mails that are still there."""
        if not uids:
            return
        found = self._client.fetch(uids, ["RFC822.SIZE", _HEAD])
        for uid in uids:
            told = found.get(uid, {})
            size = told.get(b"RFC822.SIZE")
            if size is not None:
                yield uid, _octets_of(told), int(size)

    def _is_request(self, recipient: str) -> bool:
        return recipient == self._settings.activation

    def _may_ask(self, recipients: tuple[str, ...]) -> bool:
        """False for one more request to activate a listener than may come now."""
        asks = any(self._is_request(one) for one in recipients)
        return not asks or self._requests.may_take(time.monotonic())

    def _recipients_of(self, head: bytes) -> tuple[str, ...]:
        """The addresses that the receiver would know, of those that a mail was for."""
        settings = self._settings
        found: dict[str, None] = {}
        for address in find_addresses(head):
            known = self._as_ours(address, settings)
            if known is not None and len(found) < RECIPIENTS_MAX:
                found[known] = None
        return tuple(found)

    @staticmethod
    def _as_ours(address: str, settings: MailboxSettings) -> str | None:
        if address == settings.activation or flow_of(settings.secret, address, settings.domain):
            return address
        if settings.address is None:
            return None
        flow = flow_of_plus(settings.secret, address, settings.address)
        if flow is not None:
            return address_of(settings.secret, flow, settings.domain)
        other = f"{added_to(address, settings.address)}@{settings.domain}"
        return other if other == settings.activation else None

    def _try(self, uid: int, head: bytes, size: int, recipients: tuple[str, ...]) -> None:
        """Keep a mail, of which none is begun with for ever, whatever it does to us."""
        # Of one that is too large only the headers come in.
        if not spool.has_room(self._folder, size if size <= MAIL_BYTES_MAX else len(head)):
            detail = "There is no room in the spool: mails wait in the mailbox."
            raise MailboxFailed("no_room", detail)
        before = self._mark
        self._note(structs.replace(before, tries={uid: before.tries.get(uid, 0) + 1}))
        try:
            self._keep(uid, head, size, recipients)
        except (OSError, IMAPClient.AbortError):
            # The connection, or the disk: not the mail.
            self._note(before)
            raise

    def _keep(self, uid: int, head: bytes, size: int, recipients: tuple[str, ...]) -> None:
        """One mail, into the spool and to where it is to go."""
        content, cut = head, ""
        is_request = recipients == (self._settings.activation,)
        bytes_max = ACTIVATION_BYTES_MAX if is_request else MAIL_BYTES_MAX
        if size <= bytes_max:
            content = _octets_of(self._client.fetch([uid], [_BODY]).get(uid, {}))
        if max(size, len(content)) > bytes_max or content.count(b"\n") > LINES_MAX:
            content = head
            cut = f"It is too large: at most {bytes_max >> 20} MB and {LINES_MAX} lines are taken."
        if not content:
            return  # somebody took it away
        now = time.time()  # noqa: TID251 - a process apart
        envelope = spool.Envelope("", find_return_path(head), recipients, now, cut)
        self._step("before keep")
        spool.write_mail(self._folder, envelope, content)
        self._step("after keep")
        self._put_away(uid)
        self._step("after put away")

    def _put_away(self, uid: int) -> None:
        settings, client = self._settings, self._client
        if settings.taken == "flag":
            client.add_flags([uid], [_SEEN])
            return
        if settings.taken == "move":
            if client.has_capability("MOVE"):
                client.move([uid], settings.taken_folder)
                return
            client.copy([uid], settings.taken_folder)
        client.add_flags([uid], [_DELETED])
        if client.has_capability("UIDPLUS"):
            # A plain EXPUNGE would take along what other people have marked.
            client.uid_expunge([uid])

    def _note(self, mark: Mark) -> None:
        self._step("before note")
        self._mark = mark
        write_mark(self._folder, mark)
        self._step("after note")


@contextmanager
def open_mailbox(
    settings: MailboxSettings, step: Callable[[str], None] = lambda name: None
) -> Iterator[MailboxSession]:
    """Log in, for as long as the block lasts. Raises `MailboxFailed`."""
    with _failing():
        client = _connect(settings)
    try:
        with _failing():
            _log_in(client, settings)
            uidvalidity = _enter(client, settings)
        place = f"{settings.user}@{settings.host}:{settings.port}/{settings.folder}"
        mark = read_mark(Path(settings.spool))
        if (mark.place, mark.uidvalidity) != (place, uidvalidity):
            mark = Mark(place, uidvalidity)
        yield MailboxSession(client, settings, mark, step)
    finally:
        client.shutdown()


def read_mark(folder: Path) -> Mark:
    """How far it came; as at the beginning where nobody knows."""
    try:
        return msgspec.json.decode((folder / MARK).read_bytes(), type=Mark)
    except (OSError, ValueError):
        return Mark()


def write_mark(folder: Path, mark: Mark) -> None:
    """Keep how far it came. Raises OSError."""
    beside = folder / spool.TMP / MARK
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(mark))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / MARK)


def _connect(settings: MailboxSettings) -> IMAPClient:
    context = ssl.create_default_context(cafile=settings.tls_ca)
    is_on = settings.tls == "on"
    client = BoundedClient(
        settings.host,
        settings.port,
        ssl=is_on,
        ssl_context=context if is_on else None,
        timeout=STEP_S,
    )
    if settings.tls == "starttls":
        try:
            client.starttls(context)
        except CapabilityError as error:
            client.shutdown()
            raise MailboxFailed("certificate", "The server does not offer STARTTLS.") from error
        except BaseException:
            client.shutdown()
            raise
    return client


def _log_in(client: IMAPClient, settings: MailboxSettings) -> None:
    password = settings.password or ""
    if settings.password_file is not None:
        try:
            password = Path(settings.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            # Every account hears of it: where the file lies is none of theirs.
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            detail = f"The password's file cannot be read: {why}."
            raise MailboxFailed("login_failed", detail) from error
    try:
        client.login(settings.user, password)
    except LoginError as error:
        if isinstance(error.__context__, IMAPClient.AbortError):
            raise error.__context__ from None  # nobody has looked at the password
        raise


def _enter(client: IMAPClient, settings: MailboxSettings) -> int:
    """Open the folder; its UIDVALIDITY."""
    for folder in (settings.folder, settings.taken_folder):
        is_source = folder == settings.folder
        if not is_source and settings.taken != "move":
            continue
        if client.folder_exists(folder):
            continue
        if is_source:
            raise MailboxFailed("no_folder", f"The mailbox has no folder {folder!r}.")
        try:
            client.create_folder(folder)
        except IMAPClient.AbortError:
            raise
        except IMAPClientError as error:
            detail = f"The folder {folder!r} is not there and cannot be made."
            raise MailboxFailed("no_folder", detail, _say(error)) from error
    try:
        selected = client.select_folder(settings.folder)
    except IMAPClient.AbortError:
        raise
    except IMAPClientError as error:
        detail = f"The folder {settings.folder!r} cannot be opened."
        raise MailboxFailed("no_folder", detail, _say(error)) from error
    return int(selected.get(b"UIDVALIDITY", 0))


@contextmanager
def _failing() -> Iterator[None]:
    """Whatever the network and the library raise becomes a `MailboxFailed`."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        detail = "The server's certificate does not fit."
        raise MailboxFailed("certificate", detail, error.verify_message) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        detail = "The server has ended the connection."
        raise MailboxFailed("unreachable", detail) from error
    except ssl.SSLError as error:
        raise MailboxFailed("certificate", "TLS cannot be set up.", _say(error)) from error
    except LoginError as error:
        raise MailboxFailed("login_failed", "The server refuses it.", _say(error)) from error
    except TimeoutError as error:
        raise MailboxFailed("timeout", "The server did not answer in time.") from error
    except IMAPClient.AbortError as error:
        detail = "The connection to the server broke."
        raise MailboxFailed("unreachable", detail, _say(error)) from error
    except IMAPClientError as error:
        raise MailboxFailed("failed", "The server refuses it.", _say(error)) from error
    except OSError as error:
        raise MailboxFailed("unreachable", "The server cannot be used.", _say(error)) from error


def _say(error: BaseException) -> str:
    text = "".join(sign if sign.isprintable() else " " for sign in str(error))
    return (text or type(error).__name__)[:DETAIL_LENGTH_MAX].rstrip(".")


def _octets_of(told: dict[Any, Any]) -> bytes:
    """The one part of a mail that was asked for."""
    for name, value in told.items():
        if isinstance(name, bytes) and name.startswith(b"BODY[") and isinstance(value, bytes):
            return value
    return b""
