"""Where lists are dropped: a folder with `incoming`, `rejected` and `reports`, wherever it is.
`tests/contract/test_drops.py` is the definition in tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol

from msgspec import Struct

from engine.model.drop_settings import DropSettings

Side = Literal["rejected", "reports"]
"""A folder that is written to."""

INCOMING: Final = "incoming"
SIDES: Final[tuple[Side, ...]] = ("rejected", "reports")

ENTRIES_MAX: Final = 10_000
"""Names in `incoming` that are looked at."""
NAME_BYTES_MAX: Final = 255
"""Of a name, as file systems have it."""
LIST_NAME_BYTES_MAX: Final = 200
"""Of the name of a list, which others are made of."""
HIDDEN_PREFIX: Final = "."
"""Names that begin so are nobody's list: they are left where they are."""


class FileEntry(Struct, frozen=True):
    """A file as a listing shows it."""

    name: str
    size: int
    """In octets."""
    modified_ns: int
    """When it was last changed, since the epoch, as exact as the place tells it."""


class Listing(Struct, frozen=True):
    """The files in `incoming`; what is no file, or has a name that begins with a dot, or one that cannot be
    written in UTF-8 on one line, is not among them."""

    files: tuple[FileEntry, ...]
    passed_over: int = 0
    """Files whose names cannot be used."""
    is_complete: bool = True
    """Whether all was looked at."""


class ReadFile(Struct, frozen=True):
    """A file that was read."""

    entry: FileEntry
    """As it was after reading."""
    data: bytes
    sha256: bytes
    """Of the data."""


class DropFailed(Exception):
    """Something could not be done at a place. `code` is stable, `detail` one sentence for a person.

    Codes: of the place `unknown_host`, `address_not_allowed`, `unreachable`, `timeout`, `wrong_host_key`,
    `login_refused`, `invalid_key`, `no_sftp`, `lost` (it went away meanwhile), `folder_not_allowed`,
    `no_folder`, `unavailable` (ours); of one file `no_rights`, `disk_full`, `gone`, `failed`.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail

    @property
    def is_of_file(self) -> bool:
        """Whether other files may fare better."""
        return self.code in OF_FILE


OF_FILE: Final = frozenset({"no_rights", "disk_full", "gone", "failed"})


class DropSession(Protocol):
    """A place that is being visited. All methods raise `DropFailed`."""

    async def list_incoming(self) -> Listing:
        """What lies there."""

    async def read(self, name: str, bytes_max: int) -> ReadFile:
        """A file of `incoming`, or its first `bytes_max` octets."""

    async def put(self, side: Side, name: str, data: bytes) -> None:
        """Write a file as a whole: there is never half of it under its name. It takes the place of one of the
        same name."""

    async def take_away(self, entry: FileEntry, to: str | None) -> bool:
        """Remove a file from `incoming`, or move it into `rejected` under the name `to`, in the place of what
        has that name. False, and the file is left, where it is not as `entry` has it any more; that a file
        which somebody puts in its place meanwhile is taken for it cannot happen."""


class Drops(Protocol):
    """Visits places."""

    def open(self, setting: DropSettings, account: str) -> AbstractAsyncContextManager[DropSession]:
        """Visit the place that a setting of this account points to. Its folders are made where they may be.
        Raises `DropFailed`."""
