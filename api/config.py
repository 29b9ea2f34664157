"""The configuration: TOML and environment in, frozen values out, or every mistake with its place.

A configuration that starts is one that was understood to its last key: an unknown key, a value out of
range or a feature that is not there yet is a mistake, never a silence. All mistakes are reported at
once. Nothing here reads a file or the process's environment: both are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal, get_args

from msgspec import Struct

from adapters.mail.mailbox_wire import Taken, Tls
from adapters.mail.smarthost import Encryption
from adapters.media.sdp import DEFAULT_CODECS, CodecName, SrtpPolicy
from adapters.sip.identity.headers import NumberForm
from api import config_flow_keys as flow_keys
from api import config_keys as keys
from api import config_mail_keys as mail_keys
from api import config_media_keys as media_keys
from api import config_sip_keys as sip_keys
from api.config_checks import SIP_BIND, find_mistakes_between
from api.config_keys import Address, ForwardedBy, PortRange, TrunkUri
from api.config_sip_keys import Attestation, Groups
from api.config_source import (
    ENVIRONMENT,
    ConfigMistake,
    Expected,
    Key,
    Place,
    Refused,
    Source,
    read_source,
)
from engine.did_health import RestRules
from engine.disposition import AS_EVERYWHERE, OutcomeTable
from engine.model import Cap

ADMIN_KEY_VARIABLE: Final = "CALLWHEEL_ADMIN_KEY"


class Http(Struct, frozen=True):
    """Where the API and the console are."""

    bind: Address = Address("127.0.0.1", 8080)
    """Port 0 takes any free port."""
    public_url: str | None = None
    """How outsiders reach it, without a slash at the end; None where that is the bind address."""
    requests_per_s: float = 2000
    """That a key may send; 0 for any number."""
    tls_cert: str | None = None
    """PEM file of our certificate, with those between it and its authority; None speaks without TLS."""
    tls_key: str | None = None
    """PEM file of its key; there where the certificate is."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Whose word is taken on who sent a request."""
    forwarded_by: ForwardedBy = "x-forwarded-for"
    """The header in which they say it."""


class Sip(Struct, frozen=True):
    """Where signalling leaves and arrives."""

    bind: Address = SIP_BIND
    """UDP and TCP; port 0 takes any free port."""
    tls_bind: Address | None = None
    """TLS; None listens to none. Certificate and key are then there too."""
    tls_cert: str | None = None
    """PEM file of our certificate, with those between it and its authority."""
    tls_key: str | None = None
    """PEM file of its key."""
    tls_ca: str | None = None
    """PEM file of authorities that are trusted beside the system's."""
    advertise: str | None = None
    """The IP address that trunks see us under; None where that is our own."""
    nameservers: tuple[Address, ...] = ()
    """Resolvers of trunks' names; none takes the system's."""
    trace_keep_s: int = 604_800
    """How long an attempt's SIP exchange is kept; 0 keeps none."""
    trace_bytes_max: int = 2**30
    """Room for all of them on disk; the oldest goes first."""


class Media(Struct, frozen=True):
    """Where sound leaves and arrives."""

    advertise: str = "127.0.0.1"
    """The IP address that callees send RTP to."""
    ports: PortRange = PortRange(20000, 29999)
    planes: int | None = None
    """Processes that carry sound; None is one for every core but one."""


class Limits(Struct, frozen=True):
    """What the whole engine may do."""

    channels: int = 5000
    """Calls at once."""
    cps: float = 500
    """Calls a second."""
    destinations: tuple[str, ...] = ()
    """Prefixes that may be called, each with `+`; none refuses every number."""
    caps: tuple[Cap, ...] = ()
    """Calls in windows."""
    account_calls_per_day: int | None = None
    """Of an account that has no such cap of its own, in any 24 hours; None is no cap."""
    country_calls_per_day: int | None = None
    """To one country, of an account that says nothing of it."""


class Trunk(Struct, frozen=True):
    """A carrier that takes calls."""

    name: str
    uri: TrunkUri
    channels: int = 1000
    """Calls at once."""
    cps: float = 200
    """Calls a second."""
    caps: tuple[Cap, ...] = ()
    """Calls in windows."""
    username: str | None = None
    """For digest; None where the carrier knows us by our address."""
    password: str | None = None
    realm: str | None = None
    """The only realm that gets them; None trusts the one that the trunk names."""
    register: bool = False
    """Whether to register there, with the credentials."""
    register_expires_s: int = 3600
    """What is asked for; the trunk may give less."""
    probe_s: int = 0
    """Seconds between OPTIONS to the trunk; 0 sends none."""
    large_over_tcp: bool = False
    """Whether a request over 1,300 bytes goes over TCP (RFC 3261 §18.1.1)."""
    tls_check: bool = True
    """Whether the trunk's certificate is checked."""
    follow_redirects: bool = False
    """Whether a 3xx leads to another call."""
    session_expires_s: int = 1800
    """RFC 4028; 0 asks for no session timer."""
    outcomes: OutcomeTable = AS_EVERYWHERE
    """What the trunk means by its refusals, where that is not the table of `engine.disposition`."""
    from_domain: str | None = None
    """Host behind our number in From, IPv6 in brackets; None says our own address."""
    display_name: str = ""
    """Of calls that bring none; empty shows none."""
    asserted_identity: str = "none"
    """P-Asserted-Identity: `none`, `did`, a number (E.164) or a URI."""
    asserted_form: NumberForm = "sip"
    """As what kind of URI a number stands in it."""
    diversion: str | None = None
    """A number (E.164) or a URI that calls claim to have been diverted from."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of each INVITE, name and value."""
    stir_key: str | None = None
    """PEM file of the key that calls are signed with; certificate and attestation are then there too."""
    stir_certificate_url: str | None = None
    stir_attestation: Attestation | None = None
    codecs: tuple[CodecName, ...] = DEFAULT_CODECS
    """What calls are offered in, in order of preference."""
    srtp: SrtpPolicy = "off"
    """Whether sound is encrypted (RFC 3711, keys by RFC 4568)."""


class Speech(Struct, frozen=True):
    """How texts of flows are spoken."""

    voice: str = "en-us"
    """Of texts that name none."""
    piper: tuple[tuple[str, str], ...] = ()
    """Voices of piper: name → path of the `.onnx` file."""
    bytes_max: int = 2 << 30
    """What spoken texts may take of the disk."""


LogFormat = Literal["auto", "json", "console"]


class Log(Struct, frozen=True):
    """How the log is written."""

    format: LogFormat = "auto"
    """`json` is for whatever collects logs, `console` for people; `auto` is the latter on a terminal."""


class Webhooks(Struct, frozen=True):
    """Where requests of flows may go."""

    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that are not public and may be sent to all the same."""


class Retention(Struct, frozen=True):
    """For how long what has happened is kept."""

    events_days: float = 90
    """Of events; webhooks and the feed are made of them."""


class Sftp(Struct, frozen=True):
    """From where lists may be picked up."""

    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that are not public and may be connected to all the same."""


class Folder(Struct, frozen=True):
    """Where flows of one account may watch folders."""

    account: str
    """Its name or id."""
    path: str
    """They lie below it; relative to where the process was started."""


class Imap(Struct, frozen=True):
    """A mailbox on somebody else's server that mails for flows are fetched out of."""

    host: str
    user: str
    port: int | None = None
    """None is 993, or 143 where `tls` is not "on"."""
    password: str | None = None
    password_file: str | None = None
    """A file with the password, read each time somebody logs in."""
    tls: Tls = "on"
    """From the first octet, after STARTTLS, or not at all."""
    tls_ca: str | None = None
    """PEM file of authorities that are trusted; None trusts those that the machine does."""
    folder: str = "INBOX"
    every_s: float = 60
    """How long it waits at most between two looks."""
    taken: Taken = "move"
    """What becomes of a mail that is in the spool."""
    taken_folder: str = "Callwheel"
    """Where it is moved to."""
    address: str | None = None
    """Of the mailbox, where flows' addresses are made of it with a `+`; None where it gets all mails of the
    domain."""


class Mail(Struct, frozen=True):
    """How lists come by e-mail, and letters go out."""

    domain: str | None = None
    """Of flows' addresses and of our own; None takes and sends no mail."""
    bind: Address | None = None
    """Where mails are taken over SMTP; None takes none."""
    tls_cert: str | None = None
    """PEM file of the certificate that STARTTLS shows, with those between it and its authority."""
    tls_key: str | None = None
    """PEM file of its key."""
    mails_per_minute: int = 60
    """That one IP address may bring."""
    activation: str | None = "activate"
    """The part before the @ of the address for requests to activate listeners; None takes none."""
    smarthost: Address | None = None
    """The mail server that letters leave through; None sends none."""
    smarthost_encryption: Encryption = "offered"
    """Whether STARTTLS is used there."""
    smarthost_username: str | None = None
    smarthost_password: str | None = None
    imap: Imap | None = None
    """None fetches none."""


class Route(Struct, frozen=True):
    """Several trunks under one name, which DIDs can name as they name a trunk."""

    name: str
    trunks: Groups
    """By priority; those of one group are equals."""


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
    dids: RestRules = RestRules()
    """When caller numbers rest that have gone bad."""
    speech: Speech = Speech()
    log: Log = Log()
    webhooks: Webhooks = Webhooks()
    retention: Retention = Retention()
    sftp: Sftp = Sftp()
    folders: tuple[Folder, ...] = ()
    """No two are of one account."""
    mail: Mail = Mail()
    trunks: tuple[Trunk, ...] = ()
    routes: tuple[Route, ...] = ()
    """No two trunks or routes have one name, and every trunk of a route is there."""
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
    "http.requests_per_s": keys.REQUESTS,
    "http.tls_cert": sip_keys.FILE,
    "http.tls_key": sip_keys.FILE,
    "http.trusted_proxies": flow_keys.NETWORKS,
    "http.forwarded_by": keys.FORWARDED_BY,
    "sip.bind": keys.ADDRESS,
    "sip.tls_bind": keys.ADDRESS,
    "sip.tls_cert": sip_keys.FILE,
    "sip.tls_key": sip_keys.FILE,
    "sip.tls_ca": sip_keys.FILE,
    "sip.advertise": keys.ADVERTISED,
    "sip.nameservers": sip_keys.NAMESERVERS,
    "sip.trace_keep_s": sip_keys.TRACE_KEEP_S,
    "sip.trace_bytes_max": sip_keys.TRACE_BYTES,
    "media.advertise": keys.ADVERTISED,
    "media.ports": keys.PORTS,
    "media.planes": keys.PLANES,
    "limits.channels": keys.CHANNELS,
    "limits.cps": keys.CPS,
    "limits.caps": flow_keys.CAPS,
    "limits.destinations": keys.DESTINATIONS,
    "dids.blocked_max": keys.SHARE,
    "dids.answered_min": keys.SHARE,
    "dids.calls_min": keys.CHANNELS,
    "dids.rest_s": keys.REST_S,
    "limits.account_calls_per_day": keys.CHANNELS,
    "limits.country_calls_per_day": keys.CHANNELS,
    "speech.voice": flow_keys.VOICE,
    "speech.piper": flow_keys.VOICES,
    "speech.bytes_max": flow_keys.SPEECH_BYTES,
    "log.format": Key(sip_keys.one_of(*get_args(LogFormat))),
    "webhooks.allow": flow_keys.NETWORKS,
    "retention.events_days": keys.EVENTS_DAYS,
    "sftp.allow": flow_keys.NETWORKS,
    "mail.domain": mail_keys.DOMAIN,
    "mail.bind": keys.ADDRESS,
    "mail.tls_cert": sip_keys.FILE,
    "mail.tls_key": sip_keys.FILE,
    "mail.mails_per_minute": mail_keys.MAILS,
    "mail.activation": mail_keys.LOCAL_PART,
    "mail.smarthost": mail_keys.SMARTHOST,
    "mail.smarthost_encryption": mail_keys.ENCRYPTION,
    "mail.smarthost_username": keys.TEXT,
    "mail.smarthost_password": mail_keys.SECRET,
    "mail.imap.host": mail_keys.HOST,
    "mail.imap.port": mail_keys.PORT,
    "mail.imap.user": keys.TEXT,
    "mail.imap.password": mail_keys.SECRET,
    "mail.imap.password_file": sip_keys.FILE,
    "mail.imap.tls": mail_keys.TLS,
    "mail.imap.tls_ca": sip_keys.FILE,
    "mail.imap.folder": mail_keys.FOLDER,
    "mail.imap.every_s": mail_keys.EVERY_S,
    "mail.imap.taken": mail_keys.TAKEN,
    "mail.imap.taken_folder": mail_keys.FOLDER,
    "mail.imap.address": mail_keys.MAILBOX,
    "folders.*.account": keys.TEXT,
    "folders.*.path": keys.TEXT,
    "trunks.*.name": keys.TRUNK_NAME_KEY,
    "trunks.*.uri": keys.TRUNK_URI,
    "trunks.*.channels": keys.CHANNELS,
    "trunks.*.cps": keys.CPS,
    "trunks.*.caps": flow_keys.CAPS,
    "trunks.*.username": keys.SECRET,
    "trunks.*.password": keys.SECRET,
    "trunks.*.realm": sip_keys.REALM,
    "trunks.*.register": keys.FLAG,
    "trunks.*.register_expires_s": sip_keys.REGISTER_EXPIRES,
    "trunks.*.probe_s": sip_keys.PROBE,
    "trunks.*.large_over_tcp": keys.FLAG,
    "trunks.*.tls_check": keys.FLAG,
    "trunks.*.follow_redirects": keys.FLAG,
    "trunks.*.session_expires_s": sip_keys.SESSION_EXPIRES,
    "trunks.*.outcomes": sip_keys.OUTCOMES,
    "trunks.*.from_domain": sip_keys.FROM_DOMAIN,
    "trunks.*.display_name": sip_keys.DISPLAY_NAME,
    "trunks.*.asserted_identity": sip_keys.ASSERTED_IDENTITY,
    "trunks.*.asserted_form": sip_keys.ASSERTED_FORM,
    "trunks.*.diversion": sip_keys.DIVERSION,
    "trunks.*.headers": sip_keys.HEADERS,
    "trunks.*.stir_key": sip_keys.FILE,
    "trunks.*.stir_certificate_url": sip_keys.CERTIFICATE_URL,
    "trunks.*.stir_attestation": sip_keys.ATTESTATION,
    "trunks.*.codecs": media_keys.CODECS,
    "trunks.*.srtp": media_keys.SRTP,
    "routes.*.name": keys.TRUNK_NAME_KEY,
    "routes.*.trunks": sip_keys.GROUPS,
}
"""Every key that is understood; `*` stands for the index of a trunk, a route or a folder, counted from 0."""

TABLES: Final[dict[str, type[Struct]]] = {
    "http": Http,
    "sip": Sip,
    "media": Media,
    "limits": Limits,
    "dids": RestRules,
    "speech": Speech,
    "log": Log,
    "webhooks": Webhooks,
    "retention": Retention,
    "sftp": Sftp,
    "mail": Mail,
}
ARRAYS: Final[dict[str, type[Struct]]] = {"trunks": Trunk, "routes": Route, "folders": Folder}


FindMistakes = Callable[[Source, Mapping[str, Any]], Iterable[ConfigMistake]]
"""Finds what is wrong with what was given, and with the values that could be read of it, by key."""


def read_config(
    text: str,
    environment: Mapping[str, str],
    *,
    file: str = "callwheel.toml",
    find_more: FindMistakes = lambda source, values: (),
) -> Config:
    """The configuration. Raises `ConfigError` with every mistake.

    Args:
        text: the file's text, TOML 1.0; empty for none.
        environment: variables of the process; those that begin with CALLWHEEL_ go before the file.
        file: the file's name, for the places of mistakes.
        find_more: what else to look for, beyond what text and environment can tell.
    """
    expected = Expected(KEYS)
    source = read_source(text, environment, file=file, expected=expected)
    values, mistakes = _read_values(source)
    admin_key = environment.get(ADMIN_KEY_VARIABLE) or None
    mistakes += [*source.mistakes, *find_mistakes_between(source, values)]
    mistakes += find_more(source, values)
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
            values[setting.key] = KEYS[setting.pattern].read(setting.raw)
        except Refused as refused:
            mistakes.append(ConfigMistake(setting.place, refused.code, refused.detail))
    return values, mistakes


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
    imap = tables.pop("mail.imap", None)
    if imap is not None:
        tables.setdefault("mail", {})["imap"] = Imap(**imap)
    for table, struct in TABLES.items():
        fields[table] = struct(**tables.pop(table, {}))
    for array, struct in ARRAYS.items():
        fields[array] = tuple(struct(**table) for table in _tables_of(array, tables))
    return Config(**fields)


def _tables_of(array: str, tables: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The tables of one array in the order of their indices."""
    indices = [int(key.rpartition(".")[2]) for key in tables if key.startswith(f"{array}.")]
    return [tables[f"{array}.{index}"] for index in sorted(indices)]
