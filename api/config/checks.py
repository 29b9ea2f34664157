"""What is wrong between keys: those that miss each other, names that clash, names that nothing has.

Each check looks at what was given, not at what it became, so that a key which is wrong in itself does not
also make its neighbours wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

from api.config.keys import SIP_PORT, Address, TrunkUri
from api.config.source import ConfigMistake, Place, Source, pattern_of

SIP_BIND: Final = Address("127.0.0.1", 5062)
"""Where we listen that are not told where."""
SIPS_PORT: Final = 5061
"""Where a trunk listens over TLS whose URI names no port (RFC 3261 §19.1.2)."""

REQUIRED: Final = (
    "trunks.*.name",
    "trunks.*.uri",
    "routes.*.name",
    "routes.*.trunks",
    "folders.*.account",
    "folders.*.path",
    "mail.imap.host",
    "mail.imap.user",
)

REQUIRED_TOGETHER: Final = (
    ("trunks.*.username", "trunks.*.password"),
    ("trunks.*.stir_key", "trunks.*.stir_certificate_url", "trunks.*.stir_attestation"),
    ("sip.tls_bind", "sip.tls_cert", "sip.tls_key"),
    ("http.tls_cert", "http.tls_key"),
    ("mail.tls_cert", "mail.tls_key"),
    ("mail.smarthost_username", "mail.smarthost_password"),
)
"""Keys of which one needs the others."""

NAMED: Final = {"trunks.*.name": "trunk", "routes.*.name": "route"}
"""Keys that name something that DIDs can name: no two of them have one value."""
OWNER: Final = "folders.*.account"
"""No two folders are of one account."""


def find_mistakes_between(source: Source, values: Mapping[str, Any]) -> list[ConfigMistake]:
    """Every mistake that no key has by itself. `values` are those that could be read, by key."""
    return [
        *_find_missing(source),
        *_find_unregistered(source, values),
        *_find_nameless_mail(source, values),
        *_find_open_mailbox(source, values),
        *_find_duplicates(source),
        *_find_second_folders(source),
        *_find_unknown_trunks(source, values),
        *_find_unreachable_trunks(source, values),
    ]


def _find_missing(source: Source) -> Iterator[ConfigMistake]:
    """Keys without which a table, or another key, has no meaning."""
    for table, place in source.tables.items():
        pattern_of_table = pattern_of(table)
        for pattern in REQUIRED:
            parent, _, name = pattern.rpartition(".")
            if parent == pattern_of_table and f"{table}.{name}" not in source.places:
                what = parent.removesuffix("s.*")
                yield _missing(place, table, name, f"A {what} needs `{name}`.")
        for together in REQUIRED_TOGETHER:
            names = [key.rpartition(".")[2] for key in together]
            if together[0].rpartition(".")[0] != pattern_of_table:
                continue
            there = [name for name in names if f"{table}.{name}" in source.places]
            for name in names:
                if there and name not in there:
                    yield _missing(place, table, name, f"`{there[0]}` needs `{name}` beside it.")


def _find_unregistered(source: Source, values: Mapping[str, Any]) -> Iterator[ConfigMistake]:
    """Trunks that are to be registered with, and nobody says as whom."""
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        if name == "register" and value and f"{table}.username" not in source.places:
            detail = "`register` needs `username` beside it."
            yield _missing(source.tables[table], table, "username", detail)


def _find_open_mailbox(source: Source, values: Mapping[str, Any]) -> Iterator[ConfigMistake]:
    """A mailbox without a password, or whose password would travel where others can read it."""
    table = "mail.imap"
    if table not in source.tables:
        return
    if not {f"{table}.password", f"{table}.password_file"} & set(source.places):
        detail = "A mailbox needs `password` or `password_file`."
        yield _missing(source.tables[table], table, "password", detail)
    host = values.get(f"{table}.host", "")
    if values.get(f"{table}.tls") == "off" and not host.startswith("127.") and host != "localhost":
        detail = "Without TLS the password could be read on its way: only on this machine."
        yield ConfigMistake(source.places[f"{table}.tls"], "password_in_the_clear", detail)


def _find_nameless_mail(source: Source, values: Mapping[str, Any]) -> Iterator[ConfigMistake]:
    """Mails that come or go, and nobody says to and from where."""
    for key in ("mail.bind", "mail.smarthost", "mail.imap.host"):
        if key in values and "mail.domain" not in source.places:
            detail = f"`{key.partition('.')[2]}` needs `domain` beside it."
            place = source.tables[key.rpartition(".")[0]]
            yield _missing(place, "mail", "domain", detail)
            return


def _missing(place: Place, table: str, name: str, detail: str) -> ConfigMistake:
    return ConfigMistake(Place(place.source, f"{table}.{name}", place.line), "missing_key", detail)


def _find_duplicates(source: Source) -> Iterator[ConfigMistake]:
    """Two trunks or routes of one name: a DID could not say which it means."""
    seen: dict[object, str] = {}
    for setting in source.settings.values():
        if setting.pattern not in NAMED or not isinstance(setting.raw, str):
            continue
        if setting.raw in seen:
            what = NAMED[setting.pattern]
            detail = f"{seen[setting.raw]} is {setting.raw!r} too; a {what}'s name is its own."
            yield ConfigMistake(setting.place, f"duplicate_{what}", detail)
        seen.setdefault(setting.raw, setting.key)


def _find_second_folders(source: Source) -> Iterator[ConfigMistake]:
    """Accounts with two folders: nobody could say in which of them a path begins."""
    seen: set[object] = set()
    for setting in source.settings.values():
        if setting.pattern == OWNER and isinstance(setting.raw, str):
            if setting.raw in seen:
                detail = f"The account {setting.raw!r} has a folder already."
                yield ConfigMistake(setting.place, "duplicate_folder", detail)
            seen.add(setting.raw)


def _find_unknown_trunks(source: Source, values: Mapping[str, Any]) -> Iterator[ConfigMistake]:
    """Routes over trunks that are not there."""
    trunks = {
        setting.raw
        for setting in source.settings.values()
        if setting.pattern == "trunks.*.name" and isinstance(setting.raw, str)
    }
    for key, value in values.items():
        setting = source.settings[key]
        if setting.pattern != "routes.*.trunks":
            continue
        if unknown := [name for group in value for name in group if name not in trunks]:
            detail = f"There is no trunk named {', '.join(unknown)}."
            yield ConfigMistake(setting.place, "unknown_trunk", detail)


def _find_unreachable_trunks(source: Source, values: Mapping[str, Any]) -> Iterator[ConfigMistake]:
    """Trunks that are ourselves, and those of another family of addresses than ours."""
    if "sip.bind" in source.places and "sip.bind" not in values:
        return
    ours: Address = values.get("sip.bind", SIP_BIND)
    for key, uri in values.items():
        setting = source.settings[key]
        if setting.pattern != "trunks.*.uri" or not isinstance(uri, TrunkUri):
            continue
        if (family := _family_of(uri.host)) is None:
            continue
        if family != _family_of(ours.host):
            detail = (
                f"{uri.host} is IPv{family}, and sip.bind {ours} is not: a trunk is reached over the"
                " family of addresses that sip.bind is of."
            )
            yield ConfigMistake(setting.place, "wrong_family", detail)
        elif own := _find_own(uri, ours, values):
            detail = f"This is {own}, our own address: calls would come back to us."
            yield ConfigMistake(setting.place, "own_address", detail)


def _find_own(uri: TrunkUri, bind: Address, values: Mapping[str, Any]) -> str | None:
    """The key and address of ours that a trunk's address is, if it is one."""
    is_tls = uri.transport == "tls"
    key, address = ("sip.tls_bind", values.get("sip.tls_bind")) if is_tls else ("sip.bind", bind)
    port = uri.port or (SIPS_PORT if is_tls else SIP_PORT)
    if address is None or address.port != port:
        return None
    host = ip_address(uri.host)
    is_any = ip_address(address.host).is_unspecified
    known = {address.host, values.get("sip.advertise")}
    if uri.host in known or (is_any and (host.is_loopback or host.is_unspecified)):
        return f"{key} {address}"
    return None


def _family_of(host: str) -> int | None:
    """4 or 6; None for a host name, whose addresses only the DNS knows."""
    try:
        return ip_address(host).version
    except ValueError:
        return None
