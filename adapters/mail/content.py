"""Reads a mail from its connection (RFC 5321 §4.1.1.4), in bounded memory.

aiosmtpd keeps each line as an object of its own: of a mail of empty lines that is thirty times its octets.
Here lines are put together as they come. A line ends with CR LF and in no other way: a CR or an LF alone is
what mails are smuggled behind (one server takes `LF . LF` for the end of a mail, and the next does not), so a
mail with one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

MAIL_BYTES_MAX: Final = 24 * 1024 * 1024
"""Three lists of 5 MB as they travel, and some words."""
ACTIVATION_BYTES_MAX: Final = 512 * 1024
"""Of a mail that asks to activate a listener: words, and what a mail program adds to them."""
RECIPIENTS_MAX: Final = 10
"""Of one mail."""
LINES_MAX: Final = 500_000
"""Of a mail: 24 MB in lines of 76 signs are 315,000. Each costs the same, however short it is."""
LINES_PER_PAUSE: Final = 1_000
"""After so many lines others have their turn, and the sender has shown that it is there."""

TOO_LARGE: Final = "552 5.3.4 The mail is too large"
TOO_LONG: Final = "500 5.5.2 A line is too long"
BARE_LINE_END: Final = "550 5.6.0 Lines end with CR LF, and neither stands alone"


class ContentRefused(Exception):
    """The mail is not taken; `reply` says why. `is_read` tells whether it was read to its end: if not, the
    connection cannot go on."""

    def __init__(self, reply: str, *, is_read: bool = True) -> None:
        super().__init__(reply)
        self.reply = reply
        self.is_read = is_read


async def read_content(
    reader: asyncio.StreamReader, bytes_max: int, is_alive: Callable[[], None]
) -> bytes:
    """A mail up to its end, without the dots that were put before others (§4.5.2). Raises `ContentRefused`,
    and what the reader raises when the connection ends.

    Args:
        reader: gives up a line beyond its limit.
        bytes_max: of the mail.
        is_alive: called now and then while it comes.
    """
    content = bytearray()
    reply = ""
    octets = lines = 0
    is_rest = False
    while True:
        try:
            line = await reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as overrun:
            octets += len(await reader.read(overrun.consumed))
            if octets > 2 * bytes_max:
                raise ContentRefused(TOO_LARGE, is_read=False) from overrun
            reply, is_rest = reply or TOO_LONG, True
            content.clear()
            continue
        if line == b".\r\n" and not is_rest:
            break
        is_rest = False
        octets += len(line)
        lines += 1
        if lines > LINES_MAX or octets > 2 * bytes_max:
            raise ContentRefused(reply or TOO_LARGE, is_read=False)
        if lines % LINES_PER_PAUSE == 0:
            is_alive()
            await asyncio.sleep(0)
        if reply:
            continue
        content += line[1:] if line.startswith(b".") else line
        body = line[:-2]
        if b"\n" in body or b"\r" in body:
            reply = BARE_LINE_END
        elif len(content) > bytes_max:
            reply = TOO_LARGE
        if reply:
            content.clear()
    if reply:
        raise ContentRefused(reply)
    return bytes(content)
