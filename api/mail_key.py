"""The key that flows' mail addresses are made with: made with the first start, and the same from then on."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from api.data_folder import PRIVATE_FILE
from engine.mail.address import SECRET_BYTES


def find_mail_key(file: Path) -> bytes:
    """The installation's. Raises OSError, also where the file holds another thing: with an empty key, such as
    a crash of the first start once left behind, anybody could make the addresses."""
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return _make_key(file)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != SECRET_BYTES:
        detail = "It is damaged. Restore it from a backup; without it all mail addresses change"
        raise OSError(errno.EINVAL, detail, str(file))
    return key


def _make_key(file: Path) -> bytes:
    """Written beside and renamed, so that the name never shows less than the whole."""
    key = secrets.token_bytes(SECRET_BYTES)
    beside = file.with_name(f".{file.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with open(descriptor, "w", encoding="ascii") as made:
        made.write(key.hex())
        made.flush()
        os.fsync(made.fileno())
    beside.rename(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key
