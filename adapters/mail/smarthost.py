"""Hands letters to a mail server (RFC 5321, RFC 3207, RFC 6409), with the standard library's client.

The client blocks, so each letter has a thread, of which there are few.
"""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal

import trio
from msgspec import Struct

from engine.model.letter import Letter
from engine.ports.letters import NotSent

TIMEOUT_S: Final = 30.0
"""For each step of the conversation."""
THREADS_MAX: Final = 4
DETAIL_LENGTH_MAX: Final = 300
LOGIN_CODES: Final = frozenset({530, 534, 535, 538})
"""Refusals of whoever is not logged in as the server wants it (RFC 4954 §6)."""

Encryption = Literal["offered", "required", "off"]


class SmarthostSettings(Struct, frozen=True):
    """Where letters go, and as whom."""

    host: str
    port: int
    domain: str
    """Ours: of the sender's address, of Message-IDs, and what we call ourselves."""
    encryption: Encryption = "offered"
    """STARTTLS: where the server offers it (with any certificate), always (with one that can be trusted), or
    never."""
    username: str | None = None
    password: str | None = None


class SmtpSmarthost:
    """The port `engine.ports.letters.Smarthost`."""

    def __init__(self, settings: SmarthostSettings) -> None:
        self._settings = settings
        self._threads = trio.CapacityLimiter(THREADS_MAX)

    async def send(self, letter: Letter) -> None:
        """See the port."""
        await trio.to_thread.run_sync(
            _send, self._settings, letter, limiter=self._threads, abandon_on_cancel=True
        )


def write_message(letter: Letter, domain: str) -> EmailMessage:
    """A letter as a message (RFC 5322). It says that a machine wrote it (RFC 3834), so that no machine
    answers it, and has the same Message-ID each time it is made."""
    message = EmailMessage()
    message["From"] = Address("Callwheel", "callwheel", domain)
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(letter.created_at, UTC))
    message["Message-ID"] = f"<{letter.id}@{domain}>"
    message["Auto-Submitted"] = "auto-replied" if letter.in_reply_to else "auto-generated"
    if letter.in_reply_to:
        message["In-Reply-To"] = letter.in_reply_to
        message["References"] = letter.in_reply_to
    message.set_content(letter.text)
    for attachment in letter.attachments:
        message.add_attachment(
            attachment.data, maintype="text", subtype="csv", filename=attachment.name
        )
    return message


def _send(settings: SmarthostSettings, letter: Letter) -> None:
    """In a thread. Raises `NotSent`."""
    try:
        message = write_message(letter, settings.domain)
    except (ValueError, UnicodeError) as error:
        raise NotSent(
            f"It cannot be written as a mail: {error}."[:DETAIL_LENGTH_MAX], True
        ) from error
    try:
        with smtplib.SMTP(
            settings.host, settings.port, local_hostname=settings.domain, timeout=TIMEOUT_S
        ) as client:
            _encrypt(client, settings)
            if settings.username is not None and settings.password is not None:
                client.login(settings.username, settings.password)
            client.send_message(
                message, from_addr=f"callwheel@{settings.domain}", to_addrs=[letter.to]
            )
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise _refused(code, text) from error
    except smtplib.SMTPResponseException as error:
        # One who does not let us in may do so when somebody has mended the configuration.
        of_us = smtplib.SMTPAuthenticationError | smtplib.SMTPConnectError | smtplib.SMTPHeloError
        is_ours = isinstance(error, of_us) or error.smtp_code in LOGIN_CODES
        raise _refused(error.smtp_code, error.smtp_error, never_final=is_ours) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        detail = f"The smarthost cannot be used: {reason}."
        raise NotSent(detail[:DETAIL_LENGTH_MAX], False) from error


def _encrypt(client: smtplib.SMTP, settings: SmarthostSettings) -> None:
    client.ehlo()
    has_password = settings.username is not None
    if settings.encryption == "off":
        return
    if not client.has_extn("starttls"):
        if settings.encryption == "required" or has_password:
            raise smtplib.SMTPNotSupportedError("it does not offer STARTTLS")
        return
    context = ssl.create_default_context()
    if settings.encryption == "offered" and not has_password:
        # Better than none: whoever could show another certificate could also hide the offer.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    client.starttls(context=context)
    client.ehlo()


def _refused(code: int, text: bytes | str, never_final: bool = False) -> NotSent:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return NotSent(f"{code} {said}"[:DETAIL_LENGTH_MAX], code >= 500 and not never_final)
