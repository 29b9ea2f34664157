"""An installation that cannot be put together says why, and leaves nothing running."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from adapters.media import client
from api.compose import CannotStart, run_engine
from api.config.reading import read_config

LOOPBACK = """
data_dir = "{data}"
[http]
bind = "127.0.0.1:0"
[sip]
bind = "127.0.0.1:0"
"""


async def test_a_media_plane_that_ends_at_its_start_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config(LOOPBACK.format(data=tmp_path), {})
    monkeypatch.setattr(client, "_arguments", lambda *_: [sys.executable, "-c", "exit(3)"])
    with pytest.RaisesGroup(
        pytest.RaisesExc(CannotStart, match="the media plane does not start"),
        flatten_subgroups=True,
    ):
        await run_engine(config)


async def test_a_start_that_fails_has_registered_with_no_trunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plane ends late enough for a REGISTER to have come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as registrar:
        registrar.bind(("127.0.0.1", 0))
        registrar.setblocking(False)
        trunk = f"""
[[trunks]]
name = "main"
uri = "sip:127.0.0.1:{registrar.getsockname()[1]}"
channels = 1
cps = 1
username = "u"
password = "p"
register = true
"""
        config = read_config(LOOPBACK.format(data=tmp_path) + trunk, {})
        failing = [sys.executable, "-c", "import time; time.sleep(1); exit(3)"]
        monkeypatch.setattr(client, "_arguments", lambda *_: failing)
        with pytest.RaisesGroup(CannotStart, flatten_subgroups=True):
            await run_engine(config)
        with pytest.raises(BlockingIOError):
            registrar.recv(2_000)
