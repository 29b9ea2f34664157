"""What a real Asterisk hears of us, and what it gives back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import SystemRandom

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from adapters.media.client import PlaneSettings, open_media_plane
from adapters.media.codecs.g711 import decode_ulaw
from adapters.media.recording.files import recording_file
from adapters.media.sdp import DEFAULT_CODECS, CodecName, SrtpPolicy
from adapters.sip.transport.sockets import TlsSettings
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgentSettings, open_user_agent
from adapters.sip.wire.digest import Credentials
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    CallRequest,
    MediaStatistics,
    Telephony,
)
from tests.adapters.media.planes import write_prompt
from tests.system.asterisk import PASSWORD, USER, Asterisk, require_asterisk, run_asterisk
from tests.system.baresip import read_recording

GUARD_S = 40
PROMPT_FRAMES = 150
LEAD_SAMPLES = 8_000
"""What Asterisk may miss: it answers first, and begins its extension when it comes to it."""
CORRELATION_MIN = 0.99

pytestmark = [pytest.mark.peer, pytest.mark.punctual]


@pytest.fixture(scope="module")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    log = tmp_path_factory.mktemp("asterisk") / "asterisk.log"
    with run_asterisk(require_asterisk(), log) as running:
        yield running


@asynccontextmanager
async def open_telephony(
    asterisk: Asterisk,
    folder: Path,
    codecs: tuple[CodecName, ...] = DEFAULT_CODECS,
    srtp: SrtpPolicy = "off",
) -> AsyncIterator[Telephony]:
    """A user agent over a media plane of two processes. Keys go over TLS alone."""
    secure = srtp != "off"
    trunk = Trunk(
        name="asterisk",
        host="127.0.0.1",
        port=asterisk.tls_port if secure else asterisk.port,
        transport="tls" if secure else None,
        codecs=codecs,
        srtp=srtp,
        credentials=Credentials(USER.encode(), PASSWORD.encode()),
    )
    (folder / "recordings").mkdir()
    with trio.fail_after(GUARD_S):
        async with (
            open_media_plane(
                "127.0.0.1",
                prompts_folder=folder,
                recordings_folder=folder / "recordings",
                ports=(0, 0),
                settings=PlaneSettings(planes=2),
            ) as plane,
            open_user_agent(
                UserAgentSettings((trunk,), tls=TlsSettings(authorities=str(asterisk.certificate))),
                plane,
                SystemRandom(),
            ) as agent,
        ):
            yield agent


@asynccontextmanager
async def answered_call(telephony: Telephony, extension: str) -> AsyncIterator[Call]:
    request = CallRequest("att_1", extension, "+14155550100", "asterisk")
    async with telephony.prepare_call(request) as call:
        call.dial()
        while await call.next_progress() != Answered():
            pass
        yield call


async def test_asterisk_reads_the_keys_that_we_press(asterisk: Asterisk, tmp_path: Path) -> None:
    async with (
        open_telephony(asterisk, tmp_path) as telephony,
        answered_call(telephony, "read") as call,
    ):
        # It hangs up at the fourth key.
        with suppress(CallEnded):
            await call.send_digits("4*95")
        await asterisk.wait_said("digits read: 4*95")
        assert (await call.wait_ended()).how == "callee_hung_up"


def share_in(recording: NDArray[np.int16], prompt: NDArray[np.int16]) -> float:
    """The correlation of a prompt with what was recorded, where it fits best; 1 is the same."""
    sound, wanted = recording.astype(float), prompt.astype(float)
    places = np.fft.irfft(
        np.fft.rfft(sound, 1 << 18) * np.conj(np.fft.rfft(wanted, 1 << 18)), 1 << 18
    )
    at = int(places[: len(sound) - len(wanted) + 1].argmax())
    return float(np.corrcoef(sound[at : at + len(wanted)], wanted)[0, 1])


async def play_and_record(call: Call, folder: Path, prompt: str) -> float:
    """The correlation of a prompt, but for its first second, with what comes back of it."""
    expected = write_prompt(folder, prompt, PROMPT_FRAMES, seed=len(prompt))[0]
    async with trio.open_nursery() as nursery:

        async def record() -> None:
            await call.record(f"rec_{prompt}", max_s=PROMPT_FRAMES * 0.02 + 1)

        nursery.start_soon(record)
        await call.play(prompt)
    recorded = read_recording(recording_file(folder / "recordings", f"rec_{prompt}"))
    return share_in(recorded, decode_ulaw(np.frombuffer(expected, np.uint8))[LEAD_SAMPLES:])


async def test_asterisks_echo_gives_back_what_was_played_and_reports_how_it_went(
    asterisk: Asterisk, tmp_path: Path
) -> None:
    async with open_telephony(asterisk, tmp_path) as telephony:
        async with answered_call(telephony, "echo") as call:
            assert await play_and_record(call, tmp_path, "hello") >= CORRELATION_MIN
            # Asterisk reports every five seconds.
            await trio.sleep(7)
        media = call.media_statistics()
    assert media.mos is not None
    assert media.rtt_ms is not None
    assert media == MediaStatistics(
        media.packets_sent,
        media.packets_received,
        loss=0.0,
        jitter_ms=media.jitter_ms,
        remote_loss=0.0,
        remote_jitter_ms=media.remote_jitter_ms,
        rtt_ms=media.rtt_ms,
        mos=media.mos,
    )
    assert media.mos > 4
    assert media.rtt_ms < 100


async def test_through_a_bridge_keys_reach_the_other_call_and_sound_comes_back(
    asterisk: Asterisk, tmp_path: Path
) -> None:
    """Asterisk reads what it echoes itself: we press on the one call, and the bridge carries it over."""
    async with (
        open_telephony(asterisk, tmp_path) as telephony,
        answered_call(telephony, "echo") as echo,
        answered_call(telephony, "read") as reader,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(echo.send_digits, "2718")
        assert await echo.bridge(reader) is reader
        await asterisk.wait_said("digits read: 2718")
