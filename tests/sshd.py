"""A real OpenSSH server on loopback, with SFTP alone, for tests."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from bench.free_ports import free_port
from engine.model.drop_settings import SftpSettings
from tests.peers import require

ROOM = "/run"
"""Where the chroot is: every folder above it must be root's alone."""
USER_OF_ROOT = "nobody"
"""Who logs in where the tests run as root."""
READY_S = 10.0


class Sshd(Struct):
    """A server, and what one logs in with."""

    program: str
    folder: Path
    """Its configuration and keys."""
    home: Path
    """Where a login arrives, as this machine sees it."""
    user: str
    port: int
    host_key: str
    private_key: str
    process: subprocess.Popen[bytes] | None = None

    def setting(self, folder: str = ".", every_s: float = 1) -> SftpSettings:
        """How a flow reaches it."""
        return SftpSettings(
            host="127.0.0.1",
            user=self.user,
            host_key=self.host_key,
            port=self.port,
            private_key=self.private_key,
            folder=folder,
            every_s=every_s,
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        """End it, with all that it has let in."""
        if self.process is not None:
            # Its sessions outlive it otherwise. While they stand still they start no others.
            still = set[int]()
            while new := {self.process.pid, *_descendants(self.process.pid)} - still:
                _signal(new, signal.SIGSTOP)
                still |= new
            _signal(still, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def own(self, path: Path) -> None:
        """Let a file or a folder be that of whoever logs in."""
        if os.getuid() == 0:
            who = pwd.getpwnam(self.user)
            os.chown(path, who.pw_uid, who.pw_gid)

    def make_folders(self, *names: str) -> None:
        """Make folders in its home."""
        for name in names:
            path = self.home / name
            path.mkdir()
            self.own(path)

    def drop(self, name: str, data: bytes, folder: str = ".") -> None:
        """Somebody puts a file into `incoming`, as a whole."""
        part = self.home / folder / "incoming" / f".{name}.part"
        part.write_bytes(data)
        self.own(part)
        part.rename(part.with_name(name))

    def names(self, folder: str) -> list[str]:
        """What lies in a folder of its home."""
        return sorted(one.name for one in (self.home / folder).iterdir())


@contextmanager
def open_sshd() -> Iterator[Sshd]:
    """A server for as long as the block lasts; the test is skipped where the programs are missing. As root it
    locks whoever logs in into a folder."""
    program = require("sshd", "openssh-server")
    keygen = require("ssh-keygen", "openssh-client")
    is_root = os.getuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="callwheel-sshd-", dir=ROOM if is_root else None))
    folder.chmod(0o755)
    home = folder / "chroot" / "home"
    home.mkdir(parents=True)
    user = USER_OF_ROOT if is_root else getpass.getuser()
    for name in ("host", "user"):
        make_key(keygen, folder / name)
    keys = folder / "authorized_keys"
    shutil.copy(folder / "user.pub", keys)
    keys.chmod(0o644)
    port = free_port()
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {keys}",
        f"PidFile {folder}/pid",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "StrictModes no",
        "MaxStartups 100",
        f"AllowUsers {user}",
        "Subsystem sftp internal-sftp",
    ]
    if is_root:
        Path("/run/sshd").mkdir(exist_ok=True)
        lines += [f"ChrootDirectory {folder}/chroot", "ForceCommand internal-sftp -d /home"]
    else:
        lines += [f"ForceCommand internal-sftp -d {home}"]
    (folder / "sshd_config").write_text("\n".join([*lines, ""]))
    public = (folder / "host.pub").read_text()
    private = (folder / "user").read_text()
    server = Sshd(program, folder, home, user, port, public, private)
    server.own(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def make_key(keygen: str, path: Path, kind: str = "ed25519") -> None:
    """A key pair, `path` and `path.pub`."""
    command = [keygen, "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)


def _signal(processes: Iterable[int], which: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, which)


def _descendants(ancestor: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                status = (entry / "stat").read_text()
                parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found = [ancestor]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]
