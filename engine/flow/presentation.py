"""How a flow's calls show who is calling: what its settings may say, and what becomes of them on a call.

What a user writes is checked when the flow is made. What a contact's variables bring is not worth a call:
characters that may not stand in a header are taken out, and a header that cannot be filled is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from engine.form import Mistake, escape
from engine.intake.numbers import NumberProblem, read_number
from engine.model import (
    DISPLAY_NAME_LENGTH_MAX,
    HEADER_VALUE_LENGTH_MAX,
    PresentationSettings,
)
from engine.ports.telephony import Presentation

HEADERS_MAX: Final = 16
"""Extra headers of one flow."""
HEADERS_BYTES_MAX: Final = 4096
"""All extra headers of one flow together, as lines without their ends: what a call may bring."""
HEADER_NAME_LENGTH_MAX: Final = 64
"""Characters of an extra header's name."""
ANYWHERE: Final = ("+",)
"""A number that is only shown may be anywhere."""

RESERVED: Final[frozenset[str]] = frozenset({
    "accept-encoding", "allow", "allow-events", "authentication-info", "authorization", "call-id",
    "contact", "cseq", "diversion", "event", "expires", "from", "history-info", "join",
    "max-forwards", "mime-version", "min-expires", "min-se", "p-asserted-identity",
    "p-asserted-service", "p-charge-info", "p-preferred-identity", "p-preferred-service", "path",
    "priv-answer-mode", "privacy", "proxy-authenticate", "proxy-authentication-info",
    "proxy-authorization", "proxy-require", "rack", "record-route", "refer-to", "remote-party-id",
    "replaces", "require", "resource-priority", "route", "rseq", "security-client",
    "security-server", "security-verify", "server", "service-route", "session-expires",
    "subscription-state", "supported", "target-dialog", "to", "unsupported", "user-agent", "via",
    "www-authenticate",
})  # fmt: skip
"""Headers, in lower case, that SIP itself needs, that other settings write, or that claim an identity, a
payer or a priority, which is the operator's to vouch for and not an account's. So does whatever begins with
`Content-`; and names of one letter are short forms of these (RFC 3261 §7.3.3)."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
"""RFC 3261 §25.1."""
_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_UNSHOWN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of what may not stand in a header: control characters, halves of a pair, ends of lines."""


class FlowPresentation(Struct, frozen=True):
    """A flow's settings, read."""

    settings: PresentationSettings
    diverted_from: str | None
    """E.164."""
    constant: Presentation | None
    """What every call shows, where that does not depend on the contact."""


def read_presentation(settings: PresentationSettings) -> FlowPresentation:
    """The settings of a flow, ready for its calls."""
    number = None
    if settings.diverted_from is not None:
        read = read_number(settings.diverted_from, ANYWHERE)
        number = None if isinstance(read, NumberProblem) else read
    texts = (settings.display_name, *settings.headers.values())
    flow = FlowPresentation(settings, number, None)
    if any(_VARIABLE.search(text) for text in texts):
        return flow
    return FlowPresentation(settings, number, present(flow, {}))


def present(flow: FlowPresentation, variables: Mapping[str, str]) -> Presentation:
    """What a call to a contact with these variables shows."""
    if flow.constant is not None:
        return flow.constant
    settings = flow.settings
    headers = (
        (name, _fill(text, variables, HEADER_VALUE_LENGTH_MAX))
        for name, text in settings.headers.items()
    )
    return Presentation(
        display_name=_fill(settings.display_name, variables, DISPLAY_NAME_LENGTH_MAX) or "",
        withhold=settings.withhold,
        diverted_from=flow.diverted_from,
        headers=tuple((name, value) for name, value in headers if value),
    )


def find_presentation_mistakes(raw: Any, pointer: str) -> Iterator[Mistake]:
    """What may not be shown; what has the wrong shape altogether is somebody else's mistake.

    Args:
        raw: what JSON brought as the setting `presentation`.
        pointer: where it was.
    """
    if not isinstance(raw, dict):
        return
    yield from _find_text_mistakes(raw.get("display_name"), f"{pointer}/display_name")
    diverted_from = raw.get("diverted_from")
    if isinstance(diverted_from, str):
        read = read_number(diverted_from, ANYWHERE)
        if isinstance(read, NumberProblem):
            yield Mistake(f"{pointer}/diverted_from", read.code, read.detail)
    headers = raw.get("headers")
    if isinstance(headers, dict):
        yield from _find_header_mistakes(headers, f"{pointer}/headers")


def _find_header_mistakes(headers: Mapping[str, Any], pointer: str) -> Iterator[Mistake]:
    if len(headers) > HEADERS_MAX:
        detail = f"A flow sets at most {HEADERS_MAX} headers."
        yield Mistake(pointer, "too_many_headers", detail)
    if sum(_least_bytes_of(name, value) for name, value in headers.items()) > HEADERS_BYTES_MAX:
        detail = f"A flow's headers are at most {HEADERS_BYTES_MAX} bytes together."
        yield Mistake(pointer, "headers_too_long", detail)
    seen: set[str] = set()
    for name, value in headers.items():
        place = f"{pointer}/{escape(name)}"
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or len(name) > HEADER_NAME_LENGTH_MAX:
            detail = (
                f"A header's name has 1 to {HEADER_NAME_LENGTH_MAX} letters, digits or -.!%*_+`'~"
            )
            yield Mistake(place, "invalid_header_name", f"{detail}.")
        elif lower in RESERVED or lower.startswith("content-") or len(name) == 1:
            detail = f"The header {name} is Callwheel's own; a flow cannot set it."
            yield Mistake(place, "reserved_header", detail)
        elif lower in seen:
            yield Mistake(place, "duplicate_header", f"The header {name} is there twice.")
        seen.add(lower)
        yield from _find_text_mistakes(value, place)


def _least_bytes_of(name: str, value: Any) -> int:
    """Bytes of a header's line on the wire, where every variable in it brings nothing."""
    text = _VARIABLE.sub("", value).strip() if isinstance(value, str) else ""
    return len(f"{name}: {text}".encode(errors="surrogatepass"))


def _find_text_mistakes(text: Any, pointer: str) -> Iterator[Mistake]:
    if isinstance(text, str) and _without_unshown(text) != text:
        detail = "A header holds no line breaks and no other control characters."
        yield Mistake(pointer, "invalid_header_value", detail)


def _fill(text: str, variables: Mapping[str, str], length_max: int) -> str | None:
    """The text with its variables filled in; None where one is missing or the text becomes too long."""
    if any(name not in variables for name in _VARIABLE.findall(text)):
        return None
    filled = _VARIABLE.sub(lambda found: variables[found[1]], text)
    shown = _without_unshown(filled).strip()
    return shown if len(shown) <= length_max else None


def _without_unshown(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign for sign in text if unicodedata.category(sign) not in _UNSHOWN)
