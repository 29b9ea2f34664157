"""The octets of a mail → who wrote it, whether a person did, and the files in it. No octets raise.

It runs in a worker process: what a mail can do to a parser, it does there.
"""

from __future__ import annotations

import re
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from email.utils import getaddresses
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

FILES_MAX: Final = 20
"""Lists that one mail may bring."""
PARTS_MAX: Final = 200
"""Parts of a mail that are looked at, those within others included."""
MULTIPARTS_MAX: Final = 20
"""Of a mail, one within the other or beside it. What the standard library spends on a mail's lines grows with
how deep they lie: 500,000 of them cost 1 s, below 20 multiparts 3 s, and below 200 of them 22 s."""
DELIMITERS_MAX: Final = 2_000
"""Lines that may stand between two parts; 20,000 parts cost 5 s."""
HEADER_OCTETS_MAX: Final = 256 * 1024
"""Of all headers at the top of a mail."""
HEADER_LENGTH_MAX: Final = 2_000
"""Of one header that is looked into; a longer one is taken for empty. What the standard library spends on one
grows with the square of its length: 60 KB of quotation marks cost 20 s."""
NAME_LENGTH_MAX: Final = 200
ADDRESS_LENGTH_MAX: Final = 254
SUFFIXES: Final = (".csv", ".zip", ".xlsx")

_ADDRESS: Final = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}")
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")
_END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n")
_MULTIPART: Final = re.compile(rb"(?i)\bboundary[*0-9]{0,4}\s{0,4}=")


class _ShortHeaders(EmailPolicy):
    """Looks into no long header."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """Called for each header that is looked at, also by the parser itself."""
        return super().header_fetch_parse(name, value if len(value) <= HEADER_LENGTH_MAX else "")


_POLICY: Final = _ShortHeaders()


class MailedFile(Struct, frozen=True):
    """A list that came with a mail."""

    name: str
    data: bytes


class Mail(Struct, frozen=True):
    """What is known of a mail."""

    sender: str = ""
    """The one address in From, in small letters; empty where there is none, or several."""
    message_id: str | None = None
    """With its angle brackets."""
    subject: str = ""
    is_automatic: bool = False
    """A machine wrote it, or a mailing list passed it on: it is not answered (RFC 3834 §2)."""
    files: tuple[MailedFile, ...] = ()
    left_out: tuple[str, ...] = ()
    """Names of attachments that are no lists, or too many."""
    problem: str = ""
    """Why nothing of it could be read; empty where it could."""
    tangle: str = ""
    """Why nothing but its headers was read; empty where all was."""


def read_mail(content: bytes) -> bytes:
    """A `Mail`, packed for `unpack_mail`."""
    try:
        mail = _read(content)
    except (
        MessageError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        # The standard library's parser raises these for some damaged headers and charsets.
        mail = Mail(problem=f"It is damaged ({type(error).__name__}).")
    return msgspec.msgpack.encode(mail)


def unpack_mail(packed: bytes) -> Mail:
    """What `read_mail` found."""
    return msgspec.msgpack.decode(packed, type=Mail)


def parse_mail(content: bytes) -> EmailMessage | Mail:
    """A mail in its parts, or one of which only its problem is known; of one that is tangled only the
    headers. Raises what `read_mail` catches."""
    end = _END_OF_HEADERS.search(content)
    if (len(content) if end is None else end.start()) > HEADER_OCTETS_MAX:
        return Mail(problem="Its headers are too long.")
    if end is not None and find_tangle(content):
        content = content[: end.end()]
    message = BytesParser(policy=_POLICY).parsebytes(content)
    assert isinstance(message, EmailMessage)
    return message


def find_tangle(content: bytes) -> str:
    """Why a mail's parts are not told apart, where that would cost too much; empty where they are."""
    if content.count(b"\n--") > DELIMITERS_MAX:
        return f"It has more than {DELIMITERS_MAX} parts."
    if sum(1 for _ in islice(_MULTIPART.finditer(content), MULTIPARTS_MAX + 1)) > MULTIPARTS_MAX:
        return f"It has more than {MULTIPARTS_MAX} mails or groups of parts within each other."
    return ""


def describe_mail(message: EmailMessage) -> Mail:
    """What is known of a mail without looking into its parts."""
    return Mail(
        sender=_sender_of(message),
        message_id=_message_id_of(message),
        subject=_text_of(message, "Subject"),
        is_automatic=_is_automatic(message),
    )


def _read(content: bytes) -> Mail:
    message = parse_mail(content)
    if isinstance(message, Mail):
        return message
    tangle = find_tangle(content)
    if tangle:
        return structs.replace(describe_mail(message), tangle=tangle)
    files: list[MailedFile] = []
    left_out: list[str] = []
    for part in parts_of(message):
        name = _name_of(part)
        if not name:
            continue
        if len(files) >= FILES_MAX or not name.lower().endswith(SUFFIXES):
            left_out.append(name)
            continue
        data = part.get_payload(decode=True)
        files.append(MailedFile(name, data if isinstance(data, bytes) else b""))
    return structs.replace(
        describe_mail(message), files=tuple(files), left_out=tuple(left_out[:PARTS_MAX])
    )


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    """Leaves, the first `PARTS_MAX`; a mail within a mail is one, and is not opened."""
    leaves: list[EmailMessage] = []
    waiting = [message]
    looked_at = 0
    while waiting and looked_at < PARTS_MAX:
        part = waiting.pop(0)
        looked_at += 1
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
            waiting += [one for one in part.iter_parts() if isinstance(one, EmailMessage)][
                :PARTS_MAX
            ]
        else:
            leaves.append(part)
    return leaves


def _name_of(part: EmailMessage) -> str:
    name = part.get_filename() or ""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable()).strip()[:NAME_LENGTH_MAX]


def _sender_of(message: EmailMessage) -> str:
    if [name.lower() for name in message.keys()].count("from") != 1:  # noqa: SIM118 - it has no other way
        return ""
    addresses = [address for _, address in getaddresses([str(message["From"])]) if address]
    if len(addresses) != 1 or not _ADDRESS.fullmatch(addresses[0]):
        return ""
    return addresses[0].lower()[:ADDRESS_LENGTH_MAX]


def _message_id_of(message: EmailMessage) -> str | None:
    # As it came: the standard library's parser breaks over some that are in use, as `<[1]@example.com>`.
    values = [value for name, value in message.raw_items() if name.lower() == "message-id"]
    found = _MESSAGE_ID.search(str(values[0])[:HEADER_LENGTH_MAX]) if values else None
    return None if found is None else found[0]


def _is_automatic(message: EmailMessage) -> bool:
    submitted = _text_of(message, "Auto-Submitted").strip().lower()
    return (
        submitted not in ("", "no")
        or _text_of(message, "Precedence").strip().lower() in ("bulk", "junk", "list", "auto_reply")
        or message["List-Id"] is not None
        or message["List-Unsubscribe"] is not None
        or message["X-Auto-Response-Suppress"] is not None
    )


def _text_of(message: EmailMessage, header: str) -> str:
    return str(message.get(header, ""))
