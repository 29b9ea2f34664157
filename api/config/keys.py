"""What each key of the configuration takes: one reader for each form of value, and what it says if not.

A reader gets what TOML brought and gives the value, or raises `Refused` with a sentence that tells what
would have been right.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import urlsplit

from msgspec import Struct

from api.config.source import Key, Refused

DRAIN_S_MAX: Final = 3600
REST_S_MAX: Final = 31 * 86_400
EVENTS_DAYS_MIN: Final = 31
"""A day more than what was sent to webhooks can be looked at, which is events."""
EVENTS_DAYS_MAX: Final = 36_500
CHANNELS_MAX: Final = 1_000_000
CPS_MAX: Final = 100_000
REQUESTS_MAX: Final = 1_000_000
"""Requests a second of one key."""
TEXT_LENGTH_MAX: Final = 1024
"""Characters of any text in a configuration."""
DESTINATIONS_MAX: Final = 1000
KEY_LENGTH_MAX: Final = 200
"""Characters of a key, as the HTTP front takes it."""
PORT_MAX: Final = 65_535
MEDIA_PORT_MIN: Final = 1024
PLANES_MAX: Final = 64
SIP_PORT: Final = 5060
"""Where a trunk listens whose URI names no port (RFC 3261 §19.1.2)."""

Transport = Literal["udp", "tcp", "tls"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("udp", "tcp", "tls")

DESTINATION: Final = re.compile(r"\+[0-9]{1,15}")
TRUNK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
USERINFO: Final = re.compile(r"((?:\b(?:sips?|https?):(?://)?)?)(?s:.*)@", re.IGNORECASE)
"""A scheme, and all from there to the last `@`: a password may hold any sign, also an `@`."""
HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


ForwardedBy = Literal["x-forwarded-for", "forwarded"]
"""What proxies write: the old headers that all know, or that of RFC 7239."""


class Address(Struct, frozen=True):
    """Where something listens."""

    host: str
    """An IP address, without brackets."""
    port: int
    """0 takes any free port."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PortRange(Struct, frozen=True):
    """Ports for RTP and, on the odd ones, RTCP."""

    first: int
    """Even."""
    last: int
    """Odd; the range holds it."""


class TrunkUri(Struct, frozen=True):
    """Where a trunk takes calls."""

    host: str
    """An IP address, without brackets, or a host name."""
    port: int | None
    """None where the URI names none."""
    transport: Transport | None = None
    """None where the URI names none: the DNS of a host name may say, and else it is UDP."""


def as_text(raw: object) -> str:
    """Text without control characters. Raises `Refused`."""
    if not isinstance(raw, str):
        raise Refused("wrong_type", f"This is a text in quotes, not {say(raw)}.")
    if not raw or len(raw) > TEXT_LENGTH_MAX or not raw.isprintable():
        raise Refused(
            "invalid_text", f"This is 1 to {TEXT_LENGTH_MAX} characters without line breaks."
        )
    return raw


def as_secret(raw: object) -> str:
    """Text as `as_text` reads it. What `Refused` says never repeats it: a password without its quotes is
    one all the same."""
    if not isinstance(raw, str):
        raise Refused("wrong_type", "This is a text in quotes; what stands there is not shown.")
    return as_text(raw)


def say(raw: object) -> str:
    """A wrong value as a sentence shows it. Whatever stands before an `@`, a password perhaps, is not
    shown, and of a list or a table no more than that it is one."""
    if isinstance(raw, list | dict):
        return "a list" if isinstance(raw, list) else "a table"
    text = repr(mask_userinfo(raw) if isinstance(raw, str) else raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def mask_userinfo(text: str) -> str:
    """The text without what a URI in it says before its host: `sip:user:secret@host` is `sip:***@host`."""
    # Without an `@` to end at, and behind the last one, it would be looked for from every letter on.
    return USERINFO.sub(r"\1***@", text, count=1) if "@" in text else text


def number_between(low: float, high: float) -> Callable[[object], float]:
    """A reader of numbers in a range, both ends in it."""

    def read(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise Refused("wrong_type", f"This is a number, not {say(raw)}.")
        if not low <= raw <= high:
            raise Refused("out_of_range", f"This is {low:g} to {high:g}, not {say(raw)}.")
        return raw

    return read


def read_channels(raw: object) -> int:
    """A whole number of calls at once."""
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Refused("wrong_type", f"This is a whole number, not {say(raw)}.")
    if not 1 <= raw <= CHANNELS_MAX:
        raise Refused("out_of_range", f"This is 1 to {CHANNELS_MAX}, not {say(raw)}.")
    return raw


def read_planes(raw: object) -> int:
    """Processes that carry sound. Raises `Refused`."""
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Refused("wrong_type", f"This is a whole number, not {say(raw)}.")
    if not 1 <= raw <= PLANES_MAX:
        raise Refused("out_of_range", f"This is 1 to {PLANES_MAX}, not {say(raw)}.")
    return raw


def read_cps(raw: object) -> float:
    """Calls a second: a whole number of them, or less than one. No sliding second holds 2.5 exactly."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise Refused("wrong_type", f"This is a number, not {say(raw)}.")
    if not 0 < raw <= CPS_MAX:
        raise Refused("out_of_range", f"This is more than 0 and at most {CPS_MAX}, not {say(raw)}.")
    if raw > 1 and raw % 1:
        raise Refused("invalid_cps", f"This is a whole number, or less than one, not {say(raw)}.")
    return raw


def read_flag(raw: object) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise Refused("wrong_type", f"This is true or false, not {say(raw)}.")
    return raw


def read_address(raw: object) -> Address:
    """`host:port` with an IP address, IPv6 in brackets."""
    text = as_text(raw)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise Refused("invalid_address", f"This is host:port, as 127.0.0.1:8080, not {say(text)}.")
    ip = read_ip(host)
    return Address(str(ip), read_port(port))


def read_ip(text: str) -> IPv4Address | IPv6Address:
    """An IP address; IPv6 with or without brackets is taken by its form."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ip = ip_address(bare)
    except ValueError:
        raise Refused(
            "invalid_address", f"The host is an IP address, as 127.0.0.1 or [::1], not {say(text)}."
        ) from None
    if isinstance(ip, IPv6Address) and bare == text:
        raise Refused("invalid_address", f"An IPv6 address with a port stands in brackets: [{ip}].")
    return ip


def read_port(text: str) -> int:
    """A port in decimal digits."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > PORT_MAX:
        raise Refused("invalid_address", f"The port is 0 to {PORT_MAX}, not {say(text)}.")
    return int(text)


def read_advertised(raw: object) -> str:
    """An IP address that others can send to."""
    text = as_text(raw)
    try:
        ip = ip_address(text)
    except ValueError:
        raise Refused(
            "invalid_address", f"This is an IP address without a port, not {say(text)}."
        ) from None
    if ip.is_unspecified or ip.is_multicast:
        raise Refused("invalid_address", f"Nobody can send to {ip}: write this machine's own.")
    return str(ip)


def read_ports(raw: object) -> PortRange:
    """`first-last`, first even and last odd, so that every RTP port has its RTCP port."""
    text = as_text(raw)
    match = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", text, re.ASCII)
    if match is None:
        raise Refused("invalid_ports", f"This is first-last, as 20000-29999, not {say(text)}.")
    first, last = int(match[1]), int(match[2])
    if not MEDIA_PORT_MIN <= first < last <= PORT_MAX:
        raise Refused(
            "invalid_ports",
            f"The ports rise within {MEDIA_PORT_MIN} to {PORT_MAX}; these do not: {say(text)}.",
        )
    if first % 2 or not last % 2:
        raise Refused(
            "invalid_ports",
            "The first port is even and the last is odd, because each call takes an even port for"
            f" RTP and the next for RTCP; these are {first} and {last}.",
        )
    return PortRange(first, last)


def read_public_url(raw: object) -> str:
    """`http://` or `https://` with a host and no path of its own, without a slash at the end."""
    text = as_text(raw)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    good = parts.scheme in ("http", "https") and parts.hostname and port != 0
    if not good or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in text:
        raise Refused(
            "invalid_url", f"This is an address as https://calls.example.com, not {say(text)}."
        )
    return text.rstrip("/")


def read_forwarded_by(raw: object) -> ForwardedBy:
    """What proxies write. Raises `Refused`."""
    text = as_text(raw).lower()
    for known in get_args(ForwardedBy):
        if text == known:
            return cast("ForwardedBy", known)
    detail = f"Proxies write x-forwarded-for or forwarded, not {say(text)}."
    raise Refused("invalid_header", detail)


def read_destinations(raw: object) -> tuple[str, ...]:
    """Prefixes of numbers that may be called."""
    if not isinstance(raw, list):
        raise Refused("wrong_type", f'This is a list, as ["+91", "+1"], not {say(raw)}.')
    if len(raw) > DESTINATIONS_MAX:
        raise Refused("too_many", f"At most {DESTINATIONS_MAX} prefixes are taken.")
    bad = [item for item in raw if not isinstance(item, str) or not DESTINATION.fullmatch(item)]
    if bad:
        shown = ", ".join(say(item) for item in bad[:5])
        raise Refused("invalid_destination", f"A prefix is + and 1 to 15 digits, not {shown}.")
    return tuple(dict.fromkeys(raw))


def read_trunk_name(raw: object) -> str:
    """What DIDs name their trunk or route by."""
    text = as_text(raw)
    if not TRUNK_NAME.fullmatch(text):
        raise Refused(
            "invalid_name",
            f"Such a name is up to 64 letters, digits, dots, dashes, underscores, not {say(text)}.",
        )
    return text


def read_trunk_uri(raw: object) -> TrunkUri:
    """`sip:host[:port][;transport=udp|tcp|tls]` (RFC 3261 §19.1, the part that a trunk needs)."""
    text = as_text(raw)
    match = re.fullmatch(
        r"sip:(\[[^\]]*\]|[^:;@\[\]]+)(?::([0-9]+))?((?:;[^;]*)*)", text, re.IGNORECASE
    )
    if match is None:
        raise Refused(
            "invalid_uri", f"This is sip:host:port, as sip:127.0.0.1:5060, not {say(text)}."
        )
    port = None if match[2] is None else read_port(match[2])
    if port == 0:
        raise Refused("invalid_uri", "A trunk's port is 1 to 65535.")
    return TrunkUri(_read_host(match[1]), port, _read_transport(match[3]))


def _read_host(text: str) -> str:
    # What looks like an IPv4 address must be one: 10.0.0.999 is no host name.
    if text.startswith("[") or re.fullmatch(r"[0-9.]+", text):
        return str(read_ip(text))
    if not HOST_NAME.fullmatch(text):
        raise Refused("invalid_uri", f"{say(text)} is neither an IP address nor a host name.")
    return text.lower()


def _read_transport(parameters: str) -> Transport | None:
    transport: Transport | None = None
    for parameter in parameters.split(";")[1:]:
        name, _, value = parameter.lower().partition("=")
        known = {known: known for known in TRANSPORTS}.get(value)  # type: ignore[call-overload]
        if name != "transport" or known is None:
            raise Refused(
                "invalid_uri",
                f"{say(';' + parameter)} is not understood; what may follow is ;transport="
                + "|".join(TRANSPORTS)
                + ".",
            )
        transport = known
    return transport


def number_from_text(text: str) -> Any:
    """A number as TOML writes it."""
    return toml_from_text(text, "a number")


def flag_from_text(text: str) -> Any:
    """True or false as TOML writes it."""
    return toml_from_text(text.lower(), "true or false")


def texts_from_text(text: str) -> Any:
    """A list as TOML writes it, or its items separated by commas."""
    if text.lstrip().startswith("["):
        return toml_from_text(text, "a list")
    return [item.strip() for item in text.split(",") if item.strip()]


def toml_from_text(text: str, what: str) -> Any:
    """A value as TOML writes it; `what` it should be, for the sentence of `Refused`."""
    if "\n" in text:
        raise Refused("wrong_type", f"This is {what}, not {say(text)}.")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        # A number of thousands of digits is a plain ValueError, thousands of brackets a RecursionError.
        raise Refused("wrong_type", f"This is {what}, not {say(text)}.") from None


def read_admin_key(raw: object) -> str:
    """A key that fits into an Authorization header (RFC 6750 §2.1)."""
    text = as_text(raw)
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text) or len(text) > KEY_LENGTH_MAX:
        # The value itself is a secret: the sentence does not repeat it.
        raise Refused(
            "invalid_key",
            f"A key is up to {KEY_LENGTH_MAX} letters, digits and any of . _ ~ + / -.",
        )
    return text


DATA_DIR: Final = Key(as_text)
TEXT: Final = Key(as_text)
DRAIN_S: Final = Key(number_between(0, DRAIN_S_MAX), number_from_text)
ADDRESS: Final = Key(read_address)
PUBLIC_URL: Final = Key(read_public_url)
FORWARDED_BY: Final = Key(read_forwarded_by)
REQUESTS: Final = Key(number_between(0, REQUESTS_MAX), number_from_text)
ADVERTISED: Final = Key(read_advertised)
PORTS: Final = Key(read_ports)
PLANES: Final = Key(read_planes, number_from_text)
CHANNELS: Final = Key(read_channels, number_from_text)
CPS: Final = Key(read_cps, number_from_text)
SHARE: Final = Key(number_between(0, 1), number_from_text)
EVENTS_DAYS: Final = Key(number_between(EVENTS_DAYS_MIN, EVENTS_DAYS_MAX), number_from_text)
REST_S: Final = Key(number_between(60, REST_S_MAX), number_from_text)
DESTINATIONS: Final = Key(read_destinations, texts_from_text)
TRUNK_NAME_KEY: Final = Key(read_trunk_name)
TRUNK_URI: Final = Key(read_trunk_uri)
SECRET: Final = Key(as_secret)
FLAG: Final = Key(read_flag, flag_from_text)
