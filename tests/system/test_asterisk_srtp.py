"""Calls to a real Asterisk that encrypts (SDES over TLS)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.media.sdp import CodecName
from tests.system.asterisk import Asterisk, require_asterisk, run_asterisk
from tests.system.test_asterisk_media import answered_call, open_telephony, play_and_record

CORRELATION_MIN = 0.95

pytestmark = [pytest.mark.peer, pytest.mark.punctual]


@pytest.fixture(scope="module")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    log = tmp_path_factory.mktemp("asterisk") / "asterisk.log"
    endpoint = "allow=!all,ulaw,g722\nmedia_encryption=sdes"
    with run_asterisk(require_asterisk(), log, endpoint) as running:
        yield running


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
async def test_what_is_played_encrypted_comes_back_encrypted(
    codec: CodecName, asterisk: Asterisk, tmp_path: Path
) -> None:
    async with (
        open_telephony(asterisk, tmp_path, (codec,), "required") as telephony,
        answered_call(telephony, "echo") as call,
    ):
        assert await play_and_record(call, tmp_path, "hello") >= CORRELATION_MIN
