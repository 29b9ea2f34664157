"""What an operator sets, as frozen values: a table of the file each."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from msgspec import Struct

from adapters.mail.mailbox_wire import Taken, Tls
from adapters.mail.smarthost import Encryption
from adapters.media.sdp import DEFAULT_CODECS, CodecName, SrtpPolicy
from adapters.sip.identity.headers import NumberForm
from api.config.checks import SIP_BIND
from api.config.keys import Address, ForwardedBy, PortRange, TrunkUri
from api.config.sip_keys import Attestation, Groups
from engine.model import Cap
from engine.model.did_health import RestRules
from engine.model.disposition import AS_EVERYWHERE, OutcomeTable


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
    """What the trunk means by its refusals, where that is not the table of `engine.model.disposition`."""
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
