"""The spool: a folder with a file for each mail, written by the receiver's process and read by the engine.

A file is an envelope as one line of JSON, then the message. It is written beside, fsynced, and renamed into
`new`, whose entry is fsynced too, before anybody is told that the mail is safe.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import trio
from msgspec import Struct

from engine.mail.identity import identify_mail
from engine.ports.mails import SpooledMail

NEW: Final = "new"
TMP: Final = "tmp"
ASIDE: Final = "aside"
ASIDE_MAX: Final = 100
"""Mails that are kept for a person to look at; with more, the oldest goes."""
SPOOL_MAILS_MAX: Final = 2_000
SPOOL_BYTES_MAX: Final = 2 * 1024**3
FREE_BYTES_MIN: Final = 256 * 1024**2
"""What the disk must have beside a mail."""
PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600

_ID: Final = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


class Envelope(Struct, frozen=True):
    """What stands before the message."""

    peer: str
    mail_from: str
    recipients: tuple[str, ...]
    received_at: float
    cut: str = ""
    """Why only the headers are here; empty where all of it is."""


def make_spool(folder: Path) -> None:
    """Make what is not there, and clear away what a crash left half written. Only before the receiver runs.
    Raises OSError."""
    for name in (TMP, NEW, ASIDE):
        (folder / name).mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    for made in (folder, folder.parent):
        _sync_folder(made)
    for left in (folder / TMP).iterdir():
        left.unlink(missing_ok=True)  # a receiver of before may be at its last mail


def write_mail(folder: Path, envelope: Envelope, content: bytes) -> str:
    """Keep a mail so that it survives a crash of the machine; its id. Raises OSError, with nothing kept."""
    id_ = f"{round(envelope.received_at * 1e6):020d}-{secrets.token_hex(8)}"
    beside, place = folder / TMP / id_, folder / NEW / id_
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(envelope) + b"\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(place)
        _sync_folder(folder / NEW)
    except OSError:
        beside.unlink(missing_ok=True)
        place.unlink(missing_ok=True)
        raise
    return id_


def measure_spool(folder: Path) -> tuple[int, int]:
    """(mails, octets) that wait."""
    sizes = []
    with os.scandir(folder / NEW) as entries:
        for entry in entries:
            try:
                sizes.append(entry.stat().st_size)
            except FileNotFoundError:
                continue  # it was taken meanwhile
    return len(sizes), sum(sizes)


def has_room(folder: Path, octets: int) -> bool:
    """Whether a mail of so many octets may come in."""
    try:
        mails, waiting = measure_spool(folder)
        free = shutil.disk_usage(folder).free
    except OSError:
        return False
    return (
        mails < SPOOL_MAILS_MAX
        and waiting + octets <= SPOOL_BYTES_MAX
        and free - octets >= FREE_BYTES_MIN
    )


class FolderSpool:
    """The port `engine.ports.mails.MailSpool`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def list_mails(self, limit: int) -> list[str]:
        """See the port."""
        return await trio.to_thread.run_sync(self._list, limit)

    async def read_mail(self, mail: str) -> SpooledMail | None:
        """See the port."""
        return await trio.to_thread.run_sync(self._read, mail)

    async def remove_mail(self, mail: str) -> None:
        """See the port."""
        await trio.to_thread.run_sync(self._remove, mail)

    async def set_aside(self, mail: str) -> None:
        """See the port."""
        await trio.to_thread.run_sync(self._set_aside, mail)

    def _list(self, limit: int) -> list[str]:
        names = os.listdir(self._folder / NEW)
        return sorted(name for name in names if _ID.fullmatch(name))[:limit]

    def _read(self, mail: str) -> SpooledMail | None:
        try:
            data = (self._folder / NEW / mail).read_bytes()
        except FileNotFoundError:
            return None
        head, _, content = data.partition(b"\n")
        try:
            envelope = msgspec.json.decode(head, type=Envelope)
        except ValueError:  # msgspec's DecodeError, or octets that are no UTF-8
            return None
        key = identify_mail(content)
        return SpooledMail(mail, key, **msgspec.structs.asdict(envelope), content=content)

    def _remove(self, mail: str) -> None:
        (self._folder / NEW / mail).unlink(missing_ok=True)
        _sync_folder(self._folder / NEW)

    def _set_aside(self, mail: str) -> None:
        aside = self._folder / ASIDE
        with suppress(FileNotFoundError):  # somebody took it away
            (self._folder / NEW / mail).rename(aside / mail)
        kept = sorted(one for one in aside.iterdir() if _ID.fullmatch(one.name))
        for old in kept[:-ASIDE_MAX]:
            old.unlink()
        _sync_folder(self._folder / NEW)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
