"""The octets of a mail → the account, the flow and the numbers that its writer asks to have activated. No
octets raise.

People write such mails by hand, in whatever program they have: the lines may stand in the subject, in a table
of HTML, between words, or in another order. What somebody else wrote (a quoted mail) and what stands below
every mail of theirs (a signature) is not looked at. It runs in a worker process, as `engine.mail.reading`
does.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from email.errors import MessageError
from email.message import EmailMessage
from html import unescape
from typing import Final

import msgspec
from msgspec import Struct

from engine.forms.number import ANY_DESTINATION
from engine.intake.numbers import NumberProblem, read_number
from engine.mail.reading import Mail, describe_mail, parse_mail, parts_of

TEXT_LENGTH_MAX: Final = 16_384
"""Characters of a mail's text, or HTML, that are looked at."""
TEXT_OCTETS_MAX: Final = 4 * TEXT_LENGTH_MAX
"""Of a text, those that are decoded."""
TEXTS_MAX: Final = 8
"""Parts of a mail that may be its text."""
IDS_MAX: Final = 5
"""Different ids of one kind; more of them are not told apart any better."""
NUMBERS_MAX: Final = 100
"""That one mail may ask for."""

_ACCOUNT: Final = re.compile(r"\bacc_[0-9a-z]{1,40}\b")
_FLOW: Final = re.compile(r"\bflw_[0-9a-z]{1,40}\b")
_NUMBERS: Final = re.compile(
    r"(?:^|[\s,;.(])(?:dids?|did numbers?|(?:caller |phone |telephone )?numbers?)"
    r"\s*(?:[:=]|[-\u2013]\s|\s(?=\+))",
    re.IGNORECASE,
)
"""What stands before numbers, at the beginning of a line or within it."""
_LABEL_ALONE: Final = re.compile(
    r"\W*(?:dids?|did numbers?|(?:caller )?numbers?)\W*", re.IGNORECASE
)
_NEXT_LABEL: Final = re.compile(r"\b(?:account|flow|subject|name)\b", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[,;/|]|\band\b|\s(?=\+)|\s{3,}", re.IGNORECASE)
_NUMBER_LINE: Final = re.compile(r"[\s>*\-\u2022]*[+(0-9][-+()./0-9,;\s|]*")
"""A line that goes on with numbers, perhaps as an item of a list."""
_BULLET: Final = re.compile(r"^\s*(?:[*\u2022\u00b7]|[-\u2013](?=\s))\s*")
_QUOTE_HEAD: Final = re.compile(
    r"(?:on\b.{0,200}\bwrote|am\b.{0,200}\bschrieb.{0,100}|le\b.{0,200}\ba \u00e9crit)\s*:\s*$"
    r"|-{2,}\s*(?:original message|forwarded message|urspr\u00fcngliche nachricht).*"
    r"|_{20,}\s*$",
    re.IGNORECASE,
)
"""The line from which on a mail is somebody else's."""
_DROPPED: Final = dict.fromkeys(map(ord, "*\u200b\u200c\u200d\u2060\ufeff\u00ad"), None)
"""Stars with which programs write bold text as plain, and characters that nobody sees."""
_NO_CHARSETS: Final = frozenset({"punycode", "idna"})
"""Which Python takes for some, at a cost that grows with the square of the length: 400 KB cost 25 s."""
_HTML: Final = re.compile(
    r"<!--.{0,4000}?-->|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)[^<>]*>|<[!?/][^<>]*>|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_BLOCKS: Final = frozenset(
    {"p", "div", "br", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "pre"}
)
_CELLS: Final = frozenset({"td", "th"})
_UNSEEN: Final = frozenset({"style", "script", "head", "title", "blockquote"})


class Asked(Struct, frozen=True):
    """What a mail asks for, as far as it could be understood."""

    mail: Mail
    accounts: tuple[str, ...] = ()
    """Different ones that it names; a mail to be understood names one."""
    flows: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    """In E.164 with `+`, each once, at most one more than `NUMBERS_MAX`."""
    damaged: tuple[str, ...] = ()
    """What stands among the numbers and is none."""


def read_asking(content: bytes) -> bytes:
    """An `Asked`, packed for `unpack_asking`."""
    try:
        message = parse_mail(content)
        asked = Asked(message) if isinstance(message, Mail) else _read(message)
    except (
        MessageError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        # As in `engine.mail.reading`.
        asked = Asked(Mail(problem=f"It is damaged ({type(error).__name__})."))
    return msgspec.msgpack.encode(asked)


def unpack_asking(packed: bytes) -> Asked:
    """What `read_asking` found."""
    return msgspec.msgpack.decode(packed, type=Asked)


def find_asked(text: str, mail: Mail | None = None) -> Asked:
    """What a text asks for that a person wrote."""
    lines = _own_lines(text)
    numbers, damaged = _find_numbers(lines)
    whole = "\n".join(lines).lower()
    return Asked(
        mail or Mail(),
        _first(_ACCOUNT.findall(whole)),
        _first(_FLOW.findall(whole)),
        numbers,
        damaged,
    )


def _read(message: EmailMessage) -> Asked:
    """The first of its texts that names anything, and the subject for what that leaves out."""
    mail = describe_mail(message)
    found = Asked(mail)
    for text in _texts_of(message):
        found = find_asked(text, mail)
        if found.accounts or found.flows or found.numbers or found.damaged:
            break
    subject = find_asked(mail.subject)
    is_silent = not (found.numbers or found.damaged)
    return Asked(
        mail,
        found.accounts or subject.accounts,
        found.flows or subject.flows,
        subject.numbers if is_silent else found.numbers,
        subject.damaged if is_silent else found.damaged,
    )


def _texts_of(message: EmailMessage) -> list[str]:
    """What can be read of a mail: plain texts first, then what is left of HTML."""
    plain: list[str] = []
    html: list[str] = []
    for part in parts_of(message):
        if len(plain) + len(html) >= TEXTS_MAX:
            break
        kind = part.get_content_type()
        if part.get_filename() or kind not in ("text/plain", "text/html"):
            continue
        text = _decode(part)
        if kind == "text/plain":
            plain.append(text)
        else:
            html.append(_text_of_html(text))
    return plain + html


def _decode(part: EmailMessage) -> str:
    """A part's text, as far as it is looked at."""
    octets = part.get_payload(decode=True)
    octets = octets[:TEXT_OCTETS_MAX] if isinstance(octets, bytes) else b""
    try:
        codec = codecs.lookup(str(part.get_param("charset", "ascii"))).name
        text = octets.decode("latin-1" if codec in _NO_CHARSETS else codec, "replace")
    except (LookupError, ValueError):  # a character set that nobody knows
        text = octets.decode("latin-1")
    # UTF-7 and some others can say half of a surrogate pair, which nobody can write down.
    return text[:TEXT_LENGTH_MAX].encode("utf-8", "replace").decode()


def _text_of_html(html: str) -> str:
    """What a reader would see of HTML, line by line, without quoted mails. The standard library's parser
    spends seconds on some 16 KB; this looks at each character a few times."""
    seen: list[str] = []
    unseen = 0
    for token in _HTML.finditer(html):
        name = (token["name"] or "").lower()
        is_end = bool(token["end"])
        if name in _UNSEEN:
            unseen = max(0, unseen - 1) if is_end else unseen + 1
        elif name in _BLOCKS:
            seen.append("\n")
        elif name in _CELLS and not is_end:
            seen.append(" ")
        elif token["text"] and not unseen:
            # Lines of the source are none of the text.
            seen.append(" ".join(unescape(token["text"]).splitlines()))
    return "".join(seen)


def _own_lines(text: str) -> list[str]:
    """The lines that the writer wrote for this mail."""
    lines: list[str] = []
    for raw in text[:TEXT_LENGTH_MAX].replace("\u00a0", " ").splitlines():
        if raw.rstrip() == "--":
            break  # a signature (RFC 3676 §4.3)
        if raw.lstrip().startswith(">"):
            continue
        line = _BULLET.sub("", raw).translate(_DROPPED).strip()
        if _QUOTE_HEAD.match(line):
            break
        lines.append(line)
    return lines


def _find_numbers(lines: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The numbers behind a label, on its line and on those below that hold nothing else."""
    texts: list[str] = []
    goes_on = False
    for line in lines:
        label = _NUMBERS.search(line)
        if label is not None:
            rest = line[label.end() :]
            following = _NEXT_LABEL.search(rest)
            texts += _BETWEEN.split(rest if following is None else rest[: following.start()])
            goes_on = following is None
        elif _LABEL_ALONE.fullmatch(line):
            goes_on = True
        elif goes_on and _NUMBER_LINE.fullmatch(line):
            texts += _BETWEEN.split(line)
        elif line:
            goes_on = False
    numbers: dict[str, None] = {}
    damaged: dict[str, None] = {}
    for text in texts:
        shown = text.strip(" \t.:()<>[]\"'")
        if not any(sign.isdigit() for sign in shown):
            continue  # words around them
        number = read_number(shown, ANY_DESTINATION)
        if isinstance(number, NumberProblem):
            damaged[shown[:40]] = None
        else:
            numbers[number] = None
    return tuple(numbers)[: NUMBERS_MAX + 1], tuple(damaged)[:IDS_MAX]


def _first(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))[:IDS_MAX]
