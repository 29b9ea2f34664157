"""What a trunk's keys of sound take. The readers are like those of `api.config.keys`."""

from __future__ import annotations

from typing import Final, get_args

from adapters.media.codecs import opus
from adapters.media.sdp import CodecName, SrtpPolicy
from api.config.keys import say, texts_from_text
from api.config.sip_keys import one_of
from api.config.source import Key, Refused

CODEC_NAMES: Final = get_args(CodecName)
_BY_LOWER_CASE: Final = {name.lower(): name for name in CODEC_NAMES}


def read_codecs(raw: object) -> tuple[CodecName, ...]:
    """Names of codecs, whatever their case, in order of preference."""
    if not isinstance(raw, list) or not raw:
        raise Refused("wrong_type", f"This is a list of codecs, not {say(raw)}.")
    codecs = []
    for item in raw:
        name = _BY_LOWER_CASE.get(item.lower()) if isinstance(item, str) else None
        if name is None:
            known = ", ".join(CODEC_NAMES)
            raise Refused("invalid_codec", f"{say(item)} is not one of {known}.")
        if name == "opus" and not opus.is_installed():
            raise Refused("not_installed", "opus needs PyAV: pip install 'callwheel[opus]'.")
        codecs.append(name)
    return tuple(dict.fromkeys(codecs))


CODECS: Final = Key(read_codecs, texts_from_text)
SRTP: Final = Key(one_of(*get_args(SrtpPolicy)))
