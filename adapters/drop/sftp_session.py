"""One visit to an SFTP server, on asyncio; it lives in the process of `adapters.drop.sftp_process`."""

from __future__ import annotations

import hashlib
from contextlib import aclosing, suppress
from typing import Final

import asyncssh

from adapters.drop.names import (
    PUT_PREFIX,
    away_name,
    is_hidden,
    is_usable,
    read_away_name,
)
from adapters.drop.wire import CONNECT_S, Login
from engine.model.drop_settings import read_host_key
from engine.ports.drops import (
    ENTRIES_MAX,
    INCOMING,
    SIDES,
    DropFailed,
    FileEntry,
    Listing,
    ReadFile,
    Side,
)

HOST_KEY_ALGORITHMS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
RSA_SIGNATURES: Final = ("rsa-sha2-512", "rsa-sha2-256")
"""With an RSA key; SHA-1 is not good enough any more (RFC 8332)."""
NS: Final = 1_000_000_000
CHUNK_BYTES: Final = 64 * 1024


class SftpSession:
    """Does what `engine.ports.drops.DropSession` says, and raises as it does."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, folder: str
    ) -> None:
        self._connection = connection
        self._sftp = sftp
        self._folder = folder.rstrip("/") or "/"

    def close(self) -> None:
        """Leave, without a farewell that a server could draw out."""
        self._connection.abort()

    async def prepare(self) -> None:
        """Make the folders that are missing, where they may be."""
        if not await self._exists(self._folder):
            try:
                await self._sftp.makedirs(self._folder, exist_ok=True)
            except (asyncssh.Error, OSError) as error:
                detail = f"There is no folder {self._folder!r}, and it cannot be made."
                raise _as_failed(error, "no_folder", detail) from error
        for name in (INCOMING, *SIDES):
            path = self._path(name)
            if not await self._exists(path):
                # Where it may not be made, whatever needs it says so.
                with suppress(asyncssh.Error, OSError):
                    await self._sftp.mkdir(path)

    async def list_incoming(self) -> Listing:
        """See the port."""
        try:
            names, is_complete = await self._scan()
            aways = [name for name in names if read_away_name(name) is not None]
            for name in aways:
                await self._put_back(name, read_away_name(name) or name)
            if aways:
                names, is_complete = await self._scan()
        except (asyncssh.Error, OSError) as error:
            raise _as_failed(error, None, f"cannot look into {INCOMING}") from error
        files = [file for name, file in names.items() if file is not None and is_usable(name)]
        files = [file for file in files if not is_hidden(file.name)]
        passed_over = sum(
            file is not None and not is_usable(name) and not is_hidden(name)
            for name, file in names.items()
        )
        return Listing(tuple(files), passed_over, is_complete)

    async def read(self, name: str, bytes_max: int) -> ReadFile:
        """See the port."""
        data = bytearray()
        try:
            async with self._sftp.open(self._path(INCOMING, name), "rb") as file:
                while len(data) < bytes_max:
                    size = min(CHUNK_BYTES, bytes_max - len(data))
                    piece: bytes = await file.read(size)
                    if not piece:
                        break
                    data += piece
            found = await self._sftp.lstat(self._path(INCOMING, name))
        except asyncssh.SFTPNoSuchFile:
            raise DropFailed("gone", f"{name!r} is not there any more.") from None
        except (asyncssh.Error, OSError) as error:
            raise _as_failed(error, None, f"cannot read {name!r}") from error
        entry = _entry(name, found)
        if entry is None:
            raise DropFailed("failed", f"{name!r} is no plain file.")
        return ReadFile(entry, bytes(data), hashlib.sha256(data).digest())

    async def put(self, side: Side, name: str, data: bytes) -> None:
        """See the port."""
        part = PUT_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:32]
        path = self._path(side, part)
        try:
            async with self._sftp.open(path, "wb") as file:
                for at in range(0, len(data), CHUNK_BYTES):
                    await file.write(data[at : at + CHUNK_BYTES])
                with suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()
            await self._replace(path, self._path(side, name))
        except (asyncssh.Error, OSError) as error:
            failed = _as_failed(error, None, f"cannot write into {side}")
            if failed.code == "failed" and await self._is_full(side):
                failed = DropFailed("disk_full", f"There is no room for a file in {side}.")
            with suppress(asyncssh.Error, OSError):
                await self._sftp.remove(path)
            raise failed from error

    async def take_away(self, entry: FileEntry, to: str | None) -> bool:
        """See the port."""
        away = away_name(entry)
        try:
            try:
                await self._sftp.rename(
                    self._path(INCOMING, entry.name), self._path(INCOMING, away)
                )
            except asyncssh.SFTPNoSuchFile:
                return False
            found = _entry(entry.name, await self._sftp.lstat(self._path(INCOMING, away)))
            if found != entry:
                await self._put_back(away, entry.name)
                return False
            try:
                if to is None:
                    await self._sftp.remove(self._path(INCOMING, away))
                else:
                    await self._replace(self._path(INCOMING, away), self._path("rejected", to))
            except asyncssh.SFTPError:
                await self._put_back(away, entry.name)
                raise
        except (asyncssh.Error, OSError) as error:
            what = "remove" if to is None else "move"
            raise _as_failed(error, None, f"cannot {what} {entry.name!r}") from error
        return True

    async def _scan(self) -> tuple[dict[str, FileEntry | None], bool]:
        """What is in `incoming`, by name, with None for what is no file; and whether it is all."""
        names: dict[str, FileEntry | None] = {}
        async with aclosing(self._sftp.scandir(self._path(INCOMING))) as entries:  # type: ignore[type-var]
            async for one in entries:
                if len(names) == ENTRIES_MAX:
                    return names, False
                name = str(one.filename)
                if name not in (".", ".."):
                    names[name] = _entry(name, one.attrs)
        return names, True

    async def _replace(self, path: str, to: str) -> None:
        """Rename, in the place of what has that name."""
        try:
            await self._sftp.posix_rename(path, to)
        except asyncssh.SFTPOpUnsupported:
            with suppress(asyncssh.SFTPNoSuchFile):
                await self._sftp.remove(to)
            await self._sftp.rename(path, to)

    async def _put_back(self, away: str, name: str) -> None:
        """Give a file its name again, if nothing else has it: a rename of SFTP replaces nothing."""
        with suppress(asyncssh.SFTPError):
            await self._sftp.rename(self._path(INCOMING, away), self._path(INCOMING, name))

    async def _exists(self, path: str) -> bool:
        try:
            await self._sftp.stat(path)
        except asyncssh.SFTPNoSuchFile:
            return False
        except (asyncssh.Error, OSError) as error:
            raise _as_failed(error, None, f"cannot look at {path!r}") from error
        return True

    async def _is_full(self, side: Side) -> bool:
        """Whether the server has no room; version 3 of SFTP has no code for that."""
        try:
            room = await self._sftp.statvfs(self._path(side))
        except (asyncssh.Error, OSError):
            return False
        return room.bavail == 0 or (room.files > 0 and room.favail == 0)

    def _path(self, *steps: str) -> str:
        return "/".join((self._folder.rstrip("/"), *steps))


async def connect(login: Login) -> SftpSession:
    """Open a session, on the first of the addresses that takes it. Raises `DropFailed`."""
    kind, _ = read_host_key(login.host_key)
    words = login.host_key.split()
    wanted = RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
    line = " ".join(words[words.index(kind) :][:2])
    options = asyncssh.SSHClientConnectionOptions(
        config=None,
        known_hosts=([asyncssh.import_public_key(line)], [], []),
        # The wanted one first. The others, too, so that a server without it shows what it has.
        server_host_key_algs=list(dict.fromkeys((*wanted, *HOST_KEY_ALGORITHMS))),
        username=login.user,
        password=login.password,
        client_keys=_client_keys(login.private_key),
        agent_path=None,
        x509_trusted_certs=None,
        gss_auth=False,
        gss_kex=False,
        host_based_auth=False,
        compression_algs=["none"],
        connect_timeout=CONNECT_S,
        login_timeout=CONNECT_S,
    )
    failed = DropFailed("unreachable", f"{login.host} cannot be reached.")
    for address in login.addresses:
        try:
            connection = await asyncssh.connect(address, login.port, options=options)
        except asyncssh.Error as error:
            raise _login_failed(error, login) from error
        except OSError as error:
            what = error.strerror or str(error) or type(error).__name__
            failed = DropFailed("unreachable", f"{login.host} cannot be reached: {what}.")
            continue
        try:
            return await _begin(connection, login)
        except BaseException:
            connection.abort()
            raise
    raise failed


async def _begin(connection: asyncssh.SSHClientConnection, login: Login) -> SftpSession:
    try:
        sftp = await connection.start_sftp_client(path_errors="surrogateescape")
    except (asyncssh.Error, OSError) as error:
        if isinstance(error, OSError) or connection.is_closed():
            raise DropFailed("lost", f"{login.host} let us in, and broke off.") from error
        raise DropFailed("no_sftp", f"{login.host} lets us in, but has no SFTP for us.") from error
    session = SftpSession(connection, sftp, login.folder)
    await session.prepare()
    return session


def _client_keys(private_key: str | None) -> list[asyncssh.SSHKey]:
    if private_key is None:
        return []
    try:
        return [asyncssh.import_private_key(private_key)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        # What it says may hold a piece of the key.
        detail = "`private_key` cannot be read; it must be a whole key without a passphrase."
        raise DropFailed("invalid_key", detail) from error


def _entry(name: str, found: asyncssh.SFTPAttrs) -> FileEntry | None:
    """A file as the server describes it; None for what is no plain file."""
    if found.type != asyncssh.FILEXFER_TYPE_REGULAR or found.size is None:
        return None
    return FileEntry(name, found.size, (found.mtime or 0) * NS + (found.mtime_ns or 0))


def _login_failed(error: asyncssh.Error, login: Login) -> DropFailed:
    """Why a server did not let us in."""
    host, reason = login.host, str(error.reason)[:200]
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        detail = f"{host} has another host key than the flow's `host_key`; nothing was sent to it."
        return DropFailed("wrong_host_key", detail)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return DropFailed("unreachable", f"{host} speaks no SSH that we do: {reason}.")
    if isinstance(error, asyncssh.PermissionDenied):
        return DropFailed("login_refused", f"{host} does not let {login.user!r} in.")
    if "timeout" in reason.lower():
        return DropFailed("timeout", f"{host} did not let us in within {CONNECT_S:g} s.")
    return DropFailed("unreachable", f"{host} broke off: {reason}.")


# A connection that ends is told of as an error of SSH, and not of SFTP, to whoever waits for an answer.
_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (asyncssh.SFTPConnectionLost, "lost"),
    (asyncssh.SFTPNoConnection, "lost"),
    (asyncssh.DisconnectError, "lost"),
    (asyncssh.SFTPPermissionDenied, "no_rights"),
    (asyncssh.SFTPWriteProtect, "no_rights"),
    (asyncssh.SFTPCannotDelete, "no_rights"),
    (asyncssh.SFTPNoSpaceOnFilesystem, "disk_full"),
    (asyncssh.SFTPQuotaExceeded, "disk_full"),
    (asyncssh.SFTPNoSuchFile, "no_folder"),
    (asyncssh.SFTPNoSuchPath, "no_folder"),
    (asyncssh.Error, "failed"),
    (OSError, "lost"),
)


def _as_failed(error: Exception, code: str | None, what: str) -> DropFailed:
    """What an error of SFTP means for a visit."""
    found = next(code for kind, code in _CODES if isinstance(error, kind))
    if code is not None and found != "lost":
        return DropFailed(code, what)
    reason = str(getattr(error, "reason", error))[:200]
    return DropFailed(found, f"The server: {what}: {reason}.")
