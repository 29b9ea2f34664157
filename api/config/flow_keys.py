"""What the keys of speech, of flows' requests and of caps take; see `api.config.keys`."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

import msgspec

from api.config.keys import as_text, number_from_text, say, texts_from_text, toml_from_text
from api.config.source import Key, Refused
from engine.model import CAPS_MAX, Cap

NETWORKS_MAX: Final = 100
VOICES_MAX: Final = 50
VOICE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+_-]{0,63}")
SPEECH_BYTES_MIN: Final = 16 << 20
SPEECH_BYTES_MAX: Final = 1 << 40


def read_networks(raw: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks such as `10.0.0.0/8`; an address alone is a network of one."""
    if not isinstance(raw, list):
        raise Refused("wrong_type", f'This is a list, as ["10.0.0.0/8"], not {say(raw)}.')
    if len(raw) > NETWORKS_MAX:
        raise Refused("too_many", f"At most {NETWORKS_MAX} networks are taken.")
    networks = []
    for item in raw:
        try:
            networks.append(ip_network(as_text(item)))
        except ValueError:
            detail = f"A network is as 10.0.0.0/8 or fd00::/8, not {say(item)}."
            raise Refused("invalid_network", detail) from None
    return tuple(networks)


def read_voice(raw: object) -> str:
    """What flows name a voice by."""
    text = as_text(raw)
    if not VOICE_NAME.fullmatch(text):
        raise Refused("invalid_name", f"A voice is named as en-us, not {say(text)}.")
    return text


def read_voices(raw: object) -> tuple[tuple[str, str], ...]:
    """A table of voices and their files."""
    if not isinstance(raw, dict):
        raise Refused("wrong_type", 'This is a table, as {asha = "/voices/asha.onnx"}.')
    if len(raw) > VOICES_MAX:
        raise Refused("too_many", f"At most {VOICES_MAX} voices are taken.")
    return tuple((read_voice(name), as_text(path)) for name, path in raw.items())


def read_speech_bytes(raw: object) -> int:
    """Room on the disk."""
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Refused("wrong_type", f"This is a whole number of bytes, not {say(raw)}.")
    if not SPEECH_BYTES_MIN <= raw <= SPEECH_BYTES_MAX:
        raise Refused("out_of_range", f"This is {SPEECH_BYTES_MIN} to {SPEECH_BYTES_MAX}.")
    return raw


def read_caps(raw: object) -> tuple[Cap, ...]:
    """At most so many calls in any window of so many seconds; several at once."""
    if not isinstance(raw, list):
        raise Refused(
            "wrong_type", f"This is a list, as [{{calls = 3, per_s = 900}}], not {say(raw)}."
        )
    if len(raw) > CAPS_MAX:
        raise Refused("too_many", f"At most {CAPS_MAX} caps are taken.")
    try:
        return msgspec.convert(tuple(raw), tuple[Cap, ...])
    except msgspec.ValidationError:
        detail = (
            "A cap is as {calls = 3, per_s = 900}: 1 to 1,000,000 calls in any window of more than 0 and"
            " at most 2,678,400 seconds."
        )
        raise Refused("invalid_cap", detail) from None


def _caps_from_text(text: str) -> Any:
    return toml_from_text(text, "a list")


def _voices_from_text(text: str) -> Any:
    return toml_from_text(text, "a table")


NETWORKS: Final = Key(read_networks, texts_from_text)
VOICE: Final = Key(read_voice)
VOICES: Final = Key(read_voices, _voices_from_text)
CAPS: Final = Key(read_caps, _caps_from_text)
SPEECH_BYTES: Final = Key(read_speech_bytes, number_from_text)
