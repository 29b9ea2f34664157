"""A real Asterisk as the carrier.

It comes from outside: `asterisk.sh` in the folder that CALLWHEEL_PEERS names (beside the checkout, in
`shared/peers`, unless that is set) installs it into a folder of its own, once, and CALLWHEEL_ASTERISK
names that folder.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from msgspec import Struct

READY = b"Asterisk Ready."
OURS = "context=callee\ndisallow=all\nallow=ulaw,alaw\nauth=auth\n"
"""What the script says of us."""
START_S_MAX = 60
SAY_S_MAX = 20.0
POLL_S = 0.05
USER = "bench"
PASSWORD = "bench"
SCRIPT = Path(
    os.environ.get("CALLWHEEL_PEERS", Path(__file__).parents[2] / ".." / "shared" / "peers"),
    "asterisk.sh",
)


class Asterisk(Struct, frozen=True):
    """A running Asterisk that wants every call to authenticate."""

    port: int
    """UDP and TCP, on 127.0.0.1."""
    tls_port: int
    certificate: Path
    """What it shows over TLS, for `localhost` and 127.0.0.1, signed by itself."""
    log: Path
    """What it has said since it was ready."""

    async def wait_said(self, phrase: str) -> None:
        """Wait until it has said this."""
        with trio.fail_after(SAY_S_MAX):
            while True:
                if phrase in await trio.Path(self.log).read_text(errors="replace"):
                    return
                # Another process has no event to wait for.
                await trio.sleep(POLL_S)


def require_asterisk() -> Path:
    """The folder that it is installed in; without it the test is skipped, or fails where it could have
    been installed and `CALLWHEEL_REAL_PEERS=required`."""
    folder = os.environ.get("CALLWHEEL_ASTERISK")
    if folder and Path(folder, "usr", "sbin", "asterisk").exists() and SCRIPT.exists():
        return Path(folder)
    message = (
        "no Asterisk: `asterisk.sh install DIR` makes one, and CALLWHEEL_ASTERISK=DIR names it"
    )
    if folder and os.environ.get("CALLWHEEL_REAL_PEERS") == "required":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def run_asterisk(folder: Path, log: Path, endpoint: str = "") -> Iterator[Asterisk]:
    """Asterisk for as long as the block lasts, with its words in a log. `endpoint` is further lines of
    its pjsip.conf about us. One runs at a time: they would share their folder."""
    with (folder / "in-use").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _run_alone(folder, log, endpoint) as asterisk:
            yield asterisk


@contextmanager
def _run_alone(folder: Path, log: Path, endpoint: str) -> Iterator[Asterisk]:
    port = _free_port_pair()
    _spare_lookups(folder)
    script = SCRIPT
    if endpoint:
        script = log.with_name("asterisk.sh")
        text = SCRIPT.read_text()
        assert text.count(OURS) == 1
        script.write_text(text.replace(OURS, f"{OURS}{endpoint}\n"))
    process = subprocess.Popen(
        ["bash", str(script), "run", str(folder), str(port)],
        env={**os.environ, "AUTH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        # It says that it is ready within seconds, or ends; either ends this loop.
        said = b""
        for line in process.stdout:
            said += line
            if READY in line:
                break
        else:
            pytest.fail(f"Asterisk did not start:\n{said.decode(errors='replace')}")
        # Somebody must go on reading what it says, or it would stop saying anything at all.
        certificate = folder / "etc" / "asterisk.bench" / "tls.pem"
        with (
            log.open("wb") as words,
            subprocess.Popen(["cat"], stdin=process.stdout, stdout=words) as reader,
        ):
            yield Asterisk(port, port + 1, certificate, log)
            reader.kill()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _spare_lookups(folder: Path) -> None:
    """Asterisk looks its own name up again and again, and stands still for five seconds each time where
    no nameserver answers."""
    names = f"localhost {socket.gethostname()} A.ROOT-SERVERS.NET"
    (folder / "etc" / "hosts").write_text(f"127.0.0.1 {names}\n::1 localhost\n", encoding="ascii")
    # There nobody listens, and that is said at once.
    resolving = folder / "etc" / "resolv.conf"
    resolving.write_text("nameserver 127.0.0.1\n", encoding="ascii")


def _free_port_pair() -> int:
    """A port whose next one is free too, over UDP and TCP."""
    for port in range(15_060, 15_160, 2):
        if all(_is_free(kind, at) for at in (port, port + 1) for kind in _KINDS):
            return port
    raise AssertionError("no two free ports in a row")


_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
