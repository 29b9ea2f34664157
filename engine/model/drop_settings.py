"""The settings `sftp` and `folder` of a flow: where the lists lie that it picks up."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from engine.form import Mistake
from engine.model.webhook import HIDDEN

Door = Literal["sftp", "folder"]
DOORS: Final[tuple[Door, ...]] = ("sftp", "folder")

KEY_TYPES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
"""Of host keys (RFC 4253 §6.6, RFC 5656, RFC 8709)."""
PATH_LENGTH_MAX: Final = 1_000

_HOST: Final = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
_PRIVATE_KEY: Final = re.compile(
    r"\s*-----BEGIN ([A-Z ]{0,20})PRIVATE KEY-----\s.*-----END \1PRIVATE KEY-----\s*", re.DOTALL
)

EverySeconds = Annotated[float, Meta(ge=1, le=86_400)]
Path = Annotated[str, Meta(min_length=1, max_length=PATH_LENGTH_MAX)]


class SftpSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A server of the customer's whose lists are picked up."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    """A name, or an IP address without brackets."""
    user: Annotated[str, Meta(min_length=1, max_length=255)]
    host_key: Annotated[str, Meta(min_length=1, max_length=4_096)]
    """The server's public key, as `ssh-keyscan` prints it; no other is trusted."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 22
    password: Annotated[str, Meta(min_length=1, max_length=1_024)] | None = None
    """Either this or …"""
    private_key: Annotated[str, Meta(min_length=1, max_length=16_384)] | None = None
    """… the text of a key file without a passphrase."""
    folder: Path = "."
    """In which `incoming`, `rejected` and `reports` are; relative to where the server lets us in."""
    every_s: EverySeconds = 60
    """How often it is looked at."""


class FolderSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A folder of this machine whose lists are picked up."""

    path: Path
    """Below a folder that the operator's configuration gives to the account."""
    every_s: EverySeconds = 60
    """How often it is looked at."""


DropSettings = SftpSettings | FolderSettings


def place_of(setting: DropSettings) -> str:
    """Where a setting points to, as it is shown and remembered."""
    if isinstance(setting, FolderSettings):
        return f"folder:{setting.path}"
    host = f"[{setting.host}]" if ":" in setting.host else setting.host
    folder = setting.folder if setting.folder.startswith("/") else f"/~/{setting.folder}"
    return f"sftp://{setting.user}@{host}:{setting.port}{folder}"


def read_host_key(text: str) -> tuple[str, bytes]:
    """(type, octets) of a public key in OpenSSH's form, perhaps behind a host's name as in `known_hosts`.
    Raises ValueError."""
    words = text.split()
    place = next((at for at, word in enumerate(words[:2]) if word in KEY_TYPES), None)
    if place is None or len(words) < place + 2:
        raise ValueError("there is no key of a known type in it")
    kind = words[place]
    try:
        octets = base64.b64decode(words[place + 1], validate=True)
    except binascii.Error as error:
        raise ValueError("its Base64 is damaged") from error
    # The octets begin with the length and the name of their type.
    if not octets.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise ValueError("its octets are of another type")
    return kind, octets


def find_drop_mistakes(settings: dict[str, Any], pointer: str) -> Iterator[Mistake]:
    """What is wrong with `sftp` and `folder` among a flow's settings, beside their forms."""
    sftp, folder = settings.get("sftp"), settings.get("folder")
    if isinstance(sftp, dict):
        yield from _find_sftp_mistakes(sftp, f"{pointer}/sftp")
    path = folder.get("path") if isinstance(folder, dict) else None
    if isinstance(path, str) and not is_inner_path(path):
        detail = "`path` is relative, as leads/today, without `..` and unprintable signs."
        yield Mistake(f"{pointer}/folder/path", "invalid_value", detail)


def is_inner_path(path: str) -> bool:
    """Whether a path leads to below where it begins."""
    steps = path.split("/")
    return path.isprintable() and not path.startswith("/") and ".." not in steps and any(steps)


def _find_sftp_mistakes(raw: dict[str, Any], pointer: str) -> Iterator[Mistake]:
    host, user = raw.get("host"), raw.get("user")
    if isinstance(host, str) and not _HOST.fullmatch(host):
        yield Mistake(f"{pointer}/host", "invalid_value", "`host` is a name or an IP address.")
    if isinstance(user, str) and not user.isprintable():
        yield Mistake(f"{pointer}/user", "invalid_value", "`user` has unprintable signs.")
    folder = raw.get("folder")
    if isinstance(folder, str) and not folder.isprintable():
        yield Mistake(f"{pointer}/folder", "invalid_value", "`folder` has unprintable signs.")
    host_key = raw.get("host_key")
    if isinstance(host_key, str):
        try:
            read_host_key(host_key)
        except ValueError as error:
            detail = f"`host_key` is a line as ssh-keyscan prints it; {error}."
            yield Mistake(f"{pointer}/host_key", "invalid_value", detail)
    if (raw.get("password") is None) == (raw.get("private_key") is None):
        detail = "Either `password` or `private_key` is there."
        yield Mistake(pointer, "invalid_value", detail)
    key = raw.get("private_key")
    if isinstance(key, str) and key != HIDDEN and not _PRIVATE_KEY.fullmatch(key):
        # The sentence does not repeat it: it is a secret.
        detail = "`private_key` is the whole text of a key file, from its first line to its last."
        yield Mistake(f"{pointer}/private_key", "invalid_value", detail)
