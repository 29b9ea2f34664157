"""A real IMAP server on loopback, Dovecot, with one mailbox, for tests."""

from __future__ import annotations

import getpass
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import trustme
from imapclient import IMAPClient
from msgspec import Struct

from bench.free_ports import free_port

USER = "lists"
PASSWORD = "open sesame"
HOST = "localhost"
"""For which its certificate is."""
USER_OF_ROOT = "nobody"
READY_S = 20.0


class Dovecot(Struct):
    """A server, and how one logs in."""

    program: str
    folder: Path
    """Its configuration, its certificate and its mails."""
    port: int
    """Without TLS, or with STARTTLS."""
    tls_port: int
    authority: Path
    """PEM file of who issued its certificate."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [self.program, "-F", "-c", str(self.folder / "dovecot.conf")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        until = time.monotonic() + READY_S
        while True:
            try:
                with socket.create_connection((HOST, self.port), 1) as link:
                    link.settimeout(2)
                    if link.recv(64).startswith(b"* OK"):
                        return
            except OSError:
                pass
            assert time.monotonic() < until, (self.folder / "out").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, with all that it has let in."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    @contextmanager
    def log_in(self) -> Iterator[IMAPClient]:
        """As a person's mail program does."""
        client = IMAPClient(HOST, self.port, ssl=False, timeout=10)
        try:
            client.login(USER, PASSWORD)
            yield client
        finally:
            client.shutdown()

    def deliver(self, mail: bytes, folder: str = "INBOX", at: datetime | None = None) -> None:
        """Put a mail into the mailbox."""
        with self.log_in() as client:
            client.append(folder, mail, msg_time=at)

    def mails(self, folder: str = "INBOX") -> list[tuple[bytes, tuple[bytes, ...]]]:
        """(mail, its flags) of a folder, in the order in which they came."""
        with self.log_in() as client:
            if not client.folder_exists(folder):
                return []
            client.select_folder(folder, readonly=True)
            found = client.fetch(client.search(), ["BODY.PEEK[]", "FLAGS"])
            return [(told[b"BODY[]"], told[b"FLAGS"]) for _, told in sorted(found.items())]


@contextmanager
def open_dovecot(program: str, options: str = "") -> Iterator[Dovecot]:
    """A server for as long as the block lasts; `options` are lines of its configuration."""
    folder = Path(tempfile.mkdtemp(prefix="callwheel-imap-"))
    folder.chmod(0o755)
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    user = USER_OF_ROOT if os.getuid() == 0 else getpass.getuser()
    who = pwd.getpwnam(user)
    group = grp.getgrgid(who.pw_gid).gr_name
    home = folder / "home"
    home.mkdir()
    if os.getuid() == 0:
        os.chown(home, who.pw_uid, who.pw_gid)
    port, tls_port = free_port(), free_port()
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    # Non-root servers, of which each user may run one, have no other users to become.
    own = "" if os.getuid() == 0 else "chroot ="
    (folder / "dovecot.conf").write_text(
        f"""
        base_dir = {folder}/run
        state_dir = {folder}/state
        log_path = {folder}/log
        protocols = imap
        listen = 127.0.0.1
        default_internal_user = {user}
        default_internal_group = {group}
        default_login_user = {user}
        first_valid_uid = 1
        first_valid_gid = 1
        disable_plaintext_auth = no
        auth_failure_delay = 0
        ssl = yes
        ssl_cert = <{folder}/server.pem
        ssl_key = <{folder}/server.pem
        mail_location = maildir:{home}/mail
        mail_max_userip_connections = 100
        mailbox_idle_check_interval = 1 s
        passdb {{
          driver = passwd-file
          args = {folder}/users
        }}
        userdb {{
          driver = static
          args = uid={user} gid={group} home={home}
        }}
        service imap-login {{
          {own}
          inet_listener imap {{
            port = {port}
          }}
          inet_listener imaps {{
            port = {tls_port}
          }}
        }}
        service anvil {{
          {own}
        }}
        service stats {{
          {own}
        }}
        {options}
        """
    )
    server = Dovecot(program, folder, port, tls_port, folder / "ca.pem")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
