"""The configuration: TOML and environment in, frozen values out, or every mistake with its place.

A configuration that starts is one that was understood to its last key: an unknown key, a value out of
range or a feature that is not there yet is a mistake, never a silence. All mistakes are reported at
once. Nothing here reads a file or the process's environment: both are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from api import config_keys as keys
from api.config_keys import Address, PortRange, TrunkUri
from api.config_source import (
    ENVIRONMENT,
    ConfigMistake,
    Expected,
    Key,
    Place,
    Refused,
    Source,
    pattern_of,
    read_source,
)

ADMIN_KEY_VARIABLE: Final = "CALLWHEEL_ADMIN_KEY"


class Http(Struct, frozen=True):
    """Where the API and the console are."""

    bind: Address = Address("127.0.0.1", 8080)
    """Port 0 takes any free port."""
    public_url: str | None = None
    """How outsiders reach it, without a slash at the end; None where that is the bind address."""


class Sip(Struct, frozen=True):
    """Where signalling leaves and arrives."""

    bind: Address = Address("127.0.0.1", 5062)
    """UDP; port 0 takes any free port."""


class Media(Struct, frozen=True):
    """Where sound leaves and arrives."""

    advertise: str = "127.0.0.1"
    """The IP address that callees send RTP to."""
    ports: PortRange = PortRange(20000, 29999)


class Limits(Struct, frozen=True):
    """What the whole engine may do."""

    channels: int = 5000
    """Calls at once."""
    cps: float = 500
    """Calls a second."""
    destinations: tuple[str, ...] = ()
    """Prefixes that may be called, each with `+`; none refuses every number."""


class Trunk(Struct, frozen=True):
    """A carrier that takes calls."""

    name: str
    uri: TrunkUri
    channels: int = 1000
    """Calls at once."""
    cps: float = 200
    """Calls a second."""
    username: str | None = None
    """For digest; None where the carrier knows us by our address."""
    password: str | None = None


class Config(Struct, frozen=True):
    """Everything that an operator sets."""

    data_dir: str = "data"
    """Database, prompts, recordings, spool; relative to where the process was started."""
    drain_s: float = 30
    """How long a stop waits for calls that are up."""
    http: Http = Http()
    sip: Sip = Sip()
    media: Media = Media()
    limits: Limits = Limits()
    trunks: tuple[Trunk, ...] = ()
    admin_key: str | None = None
    """Only from the environment, `CALLWHEEL_ADMIN_KEY`; None lets the first start make one."""


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` are all of them."""

    def __init__(self, mistakes: Sequence[ConfigMistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


KEYS: Final[dict[str, Key]] = {
    "data_dir": keys.DATA_DIR,
    "drain_s": keys.DRAIN_S,
    "http.bind": keys.ADDRESS,
    "http.public_url": keys.PUBLIC_URL,
    "sip.bind": keys.ADDRESS,
    "media.advertise": keys.ADVERTISED,
    "media.ports": keys.PORTS,
    "limits.channels": keys.CHANNELS,
    "limits.cps": keys.CPS,
    "limits.destinations": keys.DESTINATIONS,
    "trunks.*.name": keys.TRUNK_NAME_KEY,
    "trunks.*.uri": keys.TRUNK_URI,
    "trunks.*.channels": keys.CHANNELS,
    "trunks.*.cps": keys.CPS,
    "trunks.*.username": keys.CREDENTIAL,
    "trunks.*.password": keys.CREDENTIAL,
    "trunks.*.register": keys.FLAG,
}
"""Every key that is understood; `*` stands for a trunk's index, counted from 0."""

TABLES: Final[dict[str, type[Struct]]] = {
    "http": Http,
    "sip": Sip,
    "media": Media,
    "limits": Limits,
}

REQUIRED: Final = ("trunks.*.name", "trunks.*.uri")

REQUIRED_TOGETHER: Final = (
    ("trunks.*.username", "trunks.*.password"),
    ("sip.tls_bind", "sip.tls_cert", "sip.tls_key"),
)
"""Keys of which one needs the others."""

NOT_SUPPORTED_YET: Final[dict[str, str]] = {
    "mail": "Lists by e-mail are not built yet.",
    "webhooks": "Webhooks are not built yet.",
    "sip.tls_bind": "SIP over TLS is not built yet.",
    "sip.tls_cert": "SIP over TLS is not built yet.",
    "sip.tls_key": "SIP over TLS is not built yet.",
    "trunks.*.register=true": "Registering with a trunk is not built yet.",
    "trunks.*.uri;transport=tcp": "SIP over TCP is not built yet.",
    "trunks.*.uri;transport=tls": "SIP over TLS is not built yet.",
}
"""Promised keys and values whose feature is missing: a line goes when its feature comes, and a key's
line then moves to `KEYS`."""


def read_config(
    text: str, environment: Mapping[str, str], *, file: str = "callwheel.toml"
) -> Config:
    """The configuration. Raises `ConfigError` with every mistake.

    Args:
        text: the file's text, TOML 1.0; empty for none.
        environment: variables of the process; those that begin with CALLWHEEL_ go before the file.
        file: the file's name, for the places of mistakes.
    """
    expected = Expected(KEYS, NOT_SUPPORTED_YET)
    source = read_source(text, environment, file=file, expected=expected)
    values, mistakes = _read_values(source)
    admin_key = environment.get(ADMIN_KEY_VARIABLE) or None
    mistakes += [*source.mistakes, *_find_missing(source), *_find_duplicates(source)]
    try:
        admin_key = admin_key and keys.read_admin_key(admin_key)
    except Refused as refused:
        place = Place(ENVIRONMENT, ADMIN_KEY_VARIABLE)
        mistakes.append(ConfigMistake(place, refused.code, refused.detail))
    if mistakes:
        raise ConfigError(sorted(mistakes, key=_order_of))
    return _build(values, admin_key)


def _read_values(source: Source) -> tuple[dict[str, Any], list[ConfigMistake]]:
    """Each key by itself, so that one mistake does not hide the others."""
    values: dict[str, Any] = {}
    mistakes: list[ConfigMistake] = []
    for setting in source.settings.values():
        try:
            value = KEYS[setting.pattern].read(setting.raw)
            values[setting.key] = value
            _refuse_missing_feature(setting.pattern, value)
        except Refused as refused:
            mistakes.append(ConfigMistake(setting.place, refused.code, refused.detail))
    return values, mistakes


def _refuse_missing_feature(pattern: str, value: object) -> None:
    """Raise `Refused` for a value that is right but whose feature is missing."""
    feature = None
    if isinstance(value, TrunkUri):
        feature = f"{pattern};transport={value.transport}"
    elif isinstance(value, bool):
        feature = f"{pattern}={str(value).lower()}"
    if feature in NOT_SUPPORTED_YET:
        raise Refused("not_supported_yet", NOT_SUPPORTED_YET[feature])


def _find_missing(source: Source) -> list[ConfigMistake]:
    """Keys without which a table, or another key, has no meaning."""
    mistakes = []
    for table, place in source.tables.items():
        pattern_of_table = pattern_of(table)
        for pattern in REQUIRED:
            parent, _, name = pattern.rpartition(".")
            if parent == pattern_of_table and f"{table}.{name}" not in source.places:
                mistakes.append(_missing(place, table, name, f"A trunk needs `{name}`."))
        for together in REQUIRED_TOGETHER:
            names = [key.rpartition(".")[2] for key in together]
            if together[0].rpartition(".")[0] != pattern_of_table:
                continue
            there = [name for name in names if f"{table}.{name}" in source.places]
            for name in names:
                if there and name not in there:
                    detail = f"`{there[0]}` needs `{name}` beside it."
                    mistakes.append(_missing(place, table, name, detail))
    return mistakes


def _missing(place: Place, table: str, name: str, detail: str) -> ConfigMistake:
    return ConfigMistake(Place(place.source, f"{table}.{name}", place.line), "missing_key", detail)


def _find_duplicates(source: Source) -> list[ConfigMistake]:
    """Two trunks of one name: a DID could not say which it means."""
    mistakes = []
    seen: dict[object, str] = {}
    for setting in source.settings.values():
        if setting.pattern != "trunks.*.name" or not isinstance(setting.raw, str):
            continue
        if setting.raw in seen:
            detail = f"{seen[setting.raw]} is named {setting.raw!r} too; a trunk's name is its own."
            mistakes.append(ConfigMistake(setting.place, "duplicate_trunk", detail))
        seen.setdefault(setting.raw, setting.key)
    return mistakes


def _order_of(mistake: ConfigMistake) -> tuple[str, int, str]:
    return (mistake.place.source, mistake.place.line or 0, mistake.place.key)


def _build(values: dict[str, Any], admin_key: str | None) -> Config:
    """The structs; every value has been read by its key already, so nothing can go wrong here."""
    fields: dict[str, Any] = {"admin_key": admin_key}
    tables: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        if table:
            tables.setdefault(table, {})[name] = value
        else:
            fields[name] = value
    for table, struct in TABLES.items():
        fields[table] = struct(**tables.pop(table, {}))
    trunks = sorted(tables.items(), key=lambda item: int(item[0].rpartition(".")[2]))
    for _, trunk in trunks:
        # A trunk that registers is refused until that is built: what is left of it is `false`.
        trunk.pop("register", None)
    return Config(**fields, trunks=tuple(Trunk(**trunk) for _, trunk in trunks))
