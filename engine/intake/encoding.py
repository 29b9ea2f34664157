"""The bytes of a text file → characters, whatever program wrote it.

Bytes that cannot be read become lone surrogates (U+DC80 to U+DCFF), which no valid text holds, so that
the row they stand in can be found later and be rejected alone.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_SAMPLE_BYTES: Final = 64
_UNREADABLE: Final = re.compile("[\ud800-\udfff]")


def decode_text(data: bytes) -> str:
    """UTF-8 with or without BOM, UTF-16, or else Windows-1252. Never raises."""
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :].decode("utf-8", "surrogateescape")
    wide = _find_utf16(data)
    if wide is not None:
        text = data.decode(wide, "replace").removeprefix("\ufeff")
        return text.replace("\ufffd", "\udcff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        codec = "utf-8" if _is_mostly_utf8(data) else "cp1252"
        return data.decode(codec, "surrogateescape")


def has_unreadable(text: str) -> bool:
    """Whether some of the bytes behind the text could not be read."""
    return _UNREADABLE.search(text) is not None


def replace_unreadable(text: str) -> str:
    """The text with U+FFFD for what could not be read, which can be stored and shown."""
    return _UNREADABLE.sub("\ufffd", text)


def _find_utf16(data: bytes) -> str | None:
    """The codec when there is a BOM, or when every other byte of the header is NUL."""
    if data.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if data.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    even, odd = data[:_SAMPLE_BYTES:2], data[1:_SAMPLE_BYTES:2]
    if 4 * odd.count(0) > 3 * len(odd) and not even.count(0):
        return "utf-16-le"
    if 4 * even.count(0) > 3 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether the lines beyond ASCII are UTF-8 more often than not.

    One broken character must not turn every name of an UTF-8 file into Windows-1252's letters.
    """
    good = bad = 0
    for line in data.split(b"\n"):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            bad += 1
        else:
            good += 1
    return good >= bad and good > 0
