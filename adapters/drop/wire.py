"""What the engine and the SFTP process say to each other: frames of MessagePack over a socket pair."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from engine.ports.drops import FileEntry, Listing, ReadFile, Side

LENGTH_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""A list, or a CSV of rejected rows, and what is said around it."""

CONNECT_S: Final = 20.0
"""Within which a server has let us in."""
STEP_S: Final = 90.0
"""Within which it has done one thing."""


class Login(Struct, frozen=True, tag=True):
    """Open a session."""

    addresses: tuple[str, ...]
    """That were checked; tried in this order."""
    host: str
    """As the flow has it, for what is said of it."""
    port: int
    user: str
    host_key: str
    password: str | None
    private_key: str | None
    folder: str


class List(Struct, frozen=True, tag=True):
    """Look into `incoming`."""


class Read(Struct, frozen=True, tag=True):
    """Read a file of it."""

    name: str
    bytes_max: int


class Put(Struct, frozen=True, tag=True):
    """Write a file."""

    side: Side
    name: str
    data: bytes


class TakeAway(Struct, frozen=True, tag=True):
    """Remove a file from `incoming`, or move it into `rejected`."""

    entry: FileEntry
    to: str | None


class Leave(Struct, frozen=True, tag=True):
    """End the session, whatever it is doing. There is no answer."""


Order = Login | List | Read | Put | TakeAway | Leave


class Request(Struct, frozen=True):
    """An order to one session, which does one thing at a time."""

    session: int
    order: Order


class Done(Struct, frozen=True, tag=True):
    """The order was carried out."""

    answer: bool = True


class Listed(Struct, frozen=True, tag=True):
    """What lies in `incoming`."""

    listing: Listing


class WasRead(Struct, frozen=True, tag=True):
    """A file."""

    file: ReadFile


class Failed(Struct, frozen=True, tag=True):
    """It was not; as `DropFailed`."""

    code: str
    detail: str


Outcome = Done | Listed | WasRead | Failed


class Reply(Struct, frozen=True):
    """What became of a session's order."""

    session: int
    outcome: Outcome


_encode = msgspec.msgpack.Encoder().encode
read_request = msgspec.msgpack.Decoder(Request).decode
read_reply = msgspec.msgpack.Decoder(Reply).decode


def pack(message: Request | Reply) -> bytes:
    """A frame: the length of what follows, and that."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
