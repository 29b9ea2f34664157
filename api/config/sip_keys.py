"""What the keys of signalling take: `[sip]`, and what trunks and routes say beyond name and address.

The readers are like those of `api.config.keys`. What may stand in a SIP message is asked of the module
that writes it, so that there is one rule, and a configuration that starts can also dial.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, Literal, get_args

from adapters.sip.identity.headers import (
    NumberForm,
    TrunkIdentity,
    UnsafeHeader,
    check_certificate_url,
    open_identity,
)
from api.config.keys import (
    HOST_NAME,
    Address,
    as_text,
    number_from_text,
    read_ip,
    read_port,
    read_trunk_name,
    say,
    texts_from_text,
    toml_from_text,
)
from api.config.source import Key, Refused
from engine.model.disposition import InvalidOutcome, OutcomeTable, read_outcome_table

TRACE_KEEP_S_MAX: Final = 366 * 86_400
TRACE_BYTES_MIN: Final = 2**20
TRACE_BYTES_MAX: Final = 2**40
NAMESERVERS_MAX: Final = 8
DNS_PORT: Final = 53
REGISTER_EXPIRES_S: Final = (60, 86_400)
PROBE_S: Final = (5, 3600)
SESSION_EXPIRES_S: Final = (90, 86_400)
"""From the least that RFC 4028 §4 allows."""
TRUNKS_OF_ROUTE_MAX: Final = 64

Attestation = Literal["A", "B", "C"]
Groups = tuple[tuple[str, ...], ...]
"""Names of trunks: those of the first group go first, those of one group are equals."""

_ANY_DOMAIN: Final = b"example.com"


def whole_number_between(low: int, high: int) -> Callable[[object], int]:
    """A reader of whole numbers in a range, both ends in it."""

    def read(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise Refused("wrong_type", f"This is a whole number, not {say(raw)}.")
        if not low <= raw <= high:
            raise Refused("out_of_range", f"This is {low} to {high}, not {say(raw)}.")
        return raw

    return read


def zero_or_between(low: int, high: int) -> Callable[[object], int]:
    """A reader of whole numbers in a range, or 0, which switches something off."""

    def read(raw: object) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool) and raw and not low <= raw <= high:
            raise Refused("out_of_range", f"This is 0 (off) or {low} to {high}, not {say(raw)}.")
        return whole_number_between(0, high)(raw)

    return read


def one_of(*choices: str) -> Callable[[object], str]:
    """A reader of one of a few words."""

    def read(raw: object) -> str:
        if raw not in choices:
            allowed = " or ".join((", ".join(choices[:-1]), choices[-1]))
            raise Refused("invalid_choice", f"This is {allowed}, not {say(raw)}.")
        return str(raw)

    return read


def read_nameservers(raw: object) -> tuple[Address, ...]:
    """IP addresses of resolvers, each with a port or without (53)."""
    servers = []
    for item in _items(raw, '["192.0.2.53", "[2001:db8::53]:5353"]', NAMESERVERS_MAX):
        text = as_text(item)
        try:
            servers.append(Address(str(ip_address(text.strip("[]"))), DNS_PORT))
        except ValueError:
            host, colon, port = text.rpartition(":")
            servers.append(Address(str(read_ip(host if colon else text)), read_port(port)))
        if servers[-1].port == 0:
            raise Refused("invalid_address", "A name server's port is 1 to 65535.")
    return tuple(dict.fromkeys(servers))


def read_domain(raw: object) -> str:
    """A host name or an IP address as it stands in a URI: IPv6 in brackets."""
    text = as_text(raw)
    if text.startswith("[") or ":" in text or re.fullmatch(r"[0-9.]+", text):
        try:
            ip = ip_address(text.strip("[]"))
        except ValueError:
            raise Refused("invalid_domain", f"{say(text)} is no IP address.") from None
        return f"[{ip}]" if ip.version == 6 else str(ip)
    if not HOST_NAME.fullmatch(text):
        raise Refused("invalid_domain", f"{say(text)} is neither an IP address nor a host name.")
    return text.lower()


def read_display_name(raw: object) -> str:
    """A name to be shown to callees."""
    if not isinstance(raw, str):
        raise Refused("wrong_type", f"This is a text in quotes, not {say(raw)}.")
    _ask_identity(TrunkIdentity(display_name=raw), "invalid_display_name")
    return raw.strip()


def read_asserted_identity(raw: object) -> str:
    """`none`, `did`, a number or a URI."""
    return _read_who(raw, lambda text: TrunkIdentity(asserted=text))


def read_diversion(raw: object) -> str:
    """A number or a URI."""
    return _read_who(raw, lambda text: TrunkIdentity(diversion=text))


def _read_who(raw: object, identity_of: Callable[[str], TrunkIdentity]) -> str:
    text = as_text(raw)
    try:
        _ask_identity(identity_of(text), "invalid_identity")
    except Refused as refused:
        raise Refused(refused.code, _show_again(refused.detail, text)) from None
    return text


def read_headers(raw: object) -> tuple[tuple[str, str], ...]:
    """Extra header lines, `Name: value`."""
    if not isinstance(raw, list):
        raise _not_shown()
    headers: list[tuple[str, str]] = []
    for item in raw:
        name, colon, value = item.partition(":") if isinstance(item, str) else ("", "", "")
        if not colon:
            # It is not shown: a header may hold a secret.
            place = len(headers) + 1
            raise Refused("invalid_header", f'A header is "Name: value"; number {place} is not.')
        headers.append((name.strip(), value.strip()))
    _ask_identity(TrunkIdentity(headers=tuple(headers)), "invalid_header")
    return tuple(headers)


def _ask_identity(identity: TrunkIdentity, code: str) -> None:
    """Raise `Refused` for what may not stand in a message."""
    try:
        open_identity(identity, _ANY_DOMAIN)
    except UnsafeHeader as unsafe:
        raise Refused(code, unsafe.reason) from None


def _show_again(reason: str, text: str) -> str:
    """A sentence that shows a text behind its last `not`, with the text as `say` shows it: that of a URI
    may hold a password."""
    told, is_not, _ = reason.rpartition(" not ")
    return f"{told}{is_not}{say(text)}." if is_not else reason


def read_certificate_url(raw: object) -> str:
    """Where verifiers fetch the certificate of STIR's key."""
    text = as_text(raw)
    try:
        return check_certificate_url(text)
    except UnsafeHeader as unsafe:
        raise Refused("invalid_url", _show_again(unsafe.reason, text)) from None


def read_outcomes(raw: object) -> OutcomeTable:
    """A table, or a list of `what = disposition`; the order is kept."""
    pairs: list[tuple[str, object]]
    if isinstance(raw, dict):
        pairs = list(raw.items())
    else:
        items = _items(raw, '{"sip:487" = "no-answer"}', limit=None)
        pairs = [_split_outcome(item) for item in items]
    try:
        return read_outcome_table(
            (what, meant if isinstance(meant, str) else "") for what, meant in pairs
        )
    except InvalidOutcome as invalid:
        raise Refused("invalid_outcome", invalid.detail) from None


def _split_outcome(item: object) -> tuple[str, object]:
    what, equals, disposition = item.rpartition("=") if isinstance(item, str) else ("", "", "")
    if not equals:
        raise Refused("invalid_outcome", f'An outcome is "sip:487 = no-answer", not {say(item)}.')
    return what.strip(), disposition.strip()


def read_groups(raw: object) -> Groups:
    """Names of trunks by priority: a name is a group of one."""
    groups = []
    for item in _items(raw, '[["main", "second"], "backup"]', TRUNKS_OF_ROUTE_MAX):
        names = item if isinstance(item, list) else [item]
        groups.append(tuple(read_trunk_name(name) for name in names))
    names = [name for group in groups for name in group]
    if not all(groups) or not names:
        raise Refused("invalid_route", "A route, and each group of it, has a trunk at least.")
    if len(names) > TRUNKS_OF_ROUTE_MAX:
        raise Refused("too_many", f"At most {TRUNKS_OF_ROUTE_MAX} trunks are taken.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused("invalid_route", f"A trunk has one place in a route: {', '.join(twice)}.")
    return tuple(groups)


def _items(raw: object, example: str, limit: int | None) -> list[Any]:
    """A list of values. Raises `Refused`."""
    if not isinstance(raw, list):
        raise Refused("wrong_type", f"This is as {example}, not {say(raw)}.")
    if limit is not None and len(raw) > limit:
        raise Refused("too_many", f"At most {limit} are taken.")
    return raw


def headers_from_text(text: str) -> Any:
    """A list as TOML writes it, or one header: its value may hold commas."""
    if not text.lstrip().startswith("["):
        return [text]
    try:
        return toml_from_text(text, "a list")
    except Refused:
        raise _not_shown() from None


def _not_shown() -> Refused:
    """What is no list of headers may hold a secret like those."""
    detail = 'This is a list, as ["X-Account: 7"]; what stands there is not shown.'
    return Refused("wrong_type", detail)


def outcomes_from_text(text: str) -> Any:
    """A table or a list as TOML writes it, or items separated by commas."""
    return (
        toml_from_text(text, "a table") if text.lstrip().startswith("{") else texts_from_text(text)
    )


FILE: Final = Key(as_text)
NAMESERVERS: Final = Key(read_nameservers, texts_from_text)
TRACE_KEEP_S: Final = Key(whole_number_between(0, TRACE_KEEP_S_MAX), number_from_text)
TRACE_BYTES: Final = Key(whole_number_between(TRACE_BYTES_MIN, TRACE_BYTES_MAX), number_from_text)
REALM: Final = Key(as_text)
REGISTER_EXPIRES: Final = Key(whole_number_between(*REGISTER_EXPIRES_S), number_from_text)
PROBE: Final = Key(zero_or_between(*PROBE_S), number_from_text)
SESSION_EXPIRES: Final = Key(zero_or_between(*SESSION_EXPIRES_S), number_from_text)
FROM_DOMAIN: Final = Key(read_domain)
DISPLAY_NAME: Final = Key(read_display_name)
ASSERTED_IDENTITY: Final = Key(read_asserted_identity)
ASSERTED_FORM: Final = Key(one_of(*get_args(NumberForm)))
DIVERSION: Final = Key(read_diversion)
HEADERS: Final = Key(read_headers, headers_from_text)
CERTIFICATE_URL: Final = Key(read_certificate_url)
ATTESTATION: Final = Key(one_of(*get_args(Attestation)))
OUTCOMES: Final = Key(read_outcomes, outcomes_from_text)
GROUPS: Final = Key(read_groups, texts_from_text)
