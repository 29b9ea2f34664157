"""IMAPClient, with a bound on what a server may answer: it reads whatever comes, for as long as it comes."""

from __future__ import annotations

import imaplib
from typing import Any, Final

from imapclient import IMAPClient
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from adapters.mail.content import MAIL_BYTES_MAX

ANSWER_BYTES_MAX: Final = 2 * MAIL_BYTES_MAX
"""That a server sends between two things that we say: one mail, or the headers of a hundred."""
ANSWER_LINES_MAX: Final = 20_000
"""The same in lines; mails come by their length. A line has a million octets at most, by `imaplib` itself."""


class _Bounded(imaplib.IMAP4):
    """Gives a server up that sends more than it may."""

    _bytes = 0
    _lines = 0

    def send(self, data: Any) -> None:
        self._bytes = self._lines = 0
        super().send(data)

    def read(self, size: int) -> bytes:
        self._count(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._lines += 1
        self._count(len(line))
        return line

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > ANSWER_BYTES_MAX or self._lines > ANSWER_LINES_MAX:
            raise self.abort("it answers without end")


class _Plain(_Bounded, IMAP4WithTimeout):  # type: ignore[misc]  # the library has no types
    pass


class _Encrypted(_Bounded, IMAP4_TLS):  # type: ignore[misc]
    pass


class BoundedClient(IMAPClient):  # type: ignore[misc]
    """Raises `IMAPClient.AbortError` where a server answers more than `ANSWER_BYTES_MAX` or
    `ANSWER_LINES_MAX`."""

    def _create_IMAP4(self) -> imaplib.IMAP4:
        # The library's own hook for what it reads with; a test notices when it goes.
        timeout_s = self._timeout.connect
        if self.ssl:
            return _Encrypted(  # type: ignore[call-arg]
                self.host, self.port, ssl_context=self.ssl_context, timeout=timeout_s
            )
        return _Plain(self.host, self.port, timeout=timeout_s)
