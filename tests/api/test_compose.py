"""An installation that cannot be put together says why, and leaves nothing running."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adapters.media import client
from api.compose import CannotStart, run_engine
from api.config.reading import read_config


async def test_a_media_plane_that_ends_at_its_start_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'data_dir = "{tmp_path}"\n[http]\nbind = "127.0.0.1:0"\n[sip]\nbind = "127.0.0.1:0"\n'
    config = read_config(text, {})
    monkeypatch.setattr(client, "_arguments", lambda *_: [sys.executable, "-c", "exit(3)"])
    with pytest.RaisesGroup(
        pytest.RaisesExc(CannotStart, match="the media plane does not start"),
        flatten_subgroups=True,
    ):
        await run_engine(config)
