"""A real baresip as the callee: a phone with many numbers and no sound card.

Each number speaks a tone of its own out of a WAV file, and baresip's `sndfile` writes down what it heard.
That module names a recording by the second in which its call began, so that calls of the same second
would share one. `set_recording_aside` takes the name away from a recording that has begun; whoever dials
calls it before the next call.
"""

from __future__ import annotations

import io
import subprocess
import wave
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ, decode_ulaw
from bench.free_ports import free_port
from tests.peers import require

RTP_PORTS = range(31_000, 31_400)
"""Below the ports that the kernel gives away by itself, and beside those of Callwheel."""
SENT_BY_BARESIP = f"udp src portrange {RTP_PORTS[0]}-{RTP_PORTS[-1]}"
"""A filter of captures."""
BOTH_WAYS = f"udp portrange {RTP_PORTS[0]}-{RTP_PORTS[-1]}"
TONE_S = 30
"""How long a number speaks; no call of the tests lasts so long."""
TONE_LEVEL = 8_000
START_S_MAX = 20.0
RECORDING_S_MAX = 20.0
STOP_S_MAX = 10.0
READ_S_MAX = 60.0
POLL_S = 0.01

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
call_max_calls {calls}
rtp_ports {first}-{last}
rtcp_mux no
audio_path {folder}
snd_path {recordings}
module_path {modules}
module g711.so
module g722.so
module opus.so
module srtp.so
module sndfile.so
module aufile.so
module_tmp account.so
opus_bitrate 64000
opus_stereo no
opus_sprop_stereo no
"""
ACCOUNT = (
    "<sip:{number}@127.0.0.1>;regint=0;answermode=auto;audio_codecs={codecs}{more}"
    ";audio_source=aufile,{tone}\n"
)

Samples = NDArray[np.int16]


class Programs(Struct, frozen=True):
    """Where each program is."""

    baresip: str
    dumpcap: str
    tshark: str


class Baresip(Struct, frozen=True):
    """A running baresip."""

    port: int
    """UDP, on 127.0.0.1."""
    recordings: Path
    """Where it writes what it hears."""

    async def set_recording_aside(self, file: Path) -> None:
        """Wait until a call is being recorded, and keep its recording under this name. It is whole when
        baresip has ended."""
        with trio.fail_after(RECORDING_S_MAX):
            while True:
                for recording in self.recordings.glob("*-dec.wav"):
                    # An open file does not mind: baresip goes on writing into it.
                    recording.rename(file)
                    return
                # Another process has no event to wait for.
                await trio.sleep(POLL_S)


def require_baresip() -> Programs:
    """baresip, and what listens on the wire beside it; see `require`."""
    return Programs(
        require("baresip", "baresip-core"),
        require("dumpcap", "tshark"),
        require("tshark", "tshark"),
    )


def make_tone(hz: int, duration_s: float, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """A WAV file of a sine, mono."""
    seconds = np.arange(round(rate_hz * duration_s)) / rate_hz
    samples = (TONE_LEVEL * np.sin(2 * np.pi * hz * seconds)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def read_recording(file: Path, *, rate_hz: int = SAMPLE_RATE_HZ) -> Samples:
    """What a WAV file of `sndfile` holds, at the rate of the call's codec."""
    with wave.open(str(file), "rb") as reader:
        assert (reader.getnchannels(), reader.getframerate()) == (1, rate_hz)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2")


@asynccontextmanager
async def open_baresip(
    programs: Programs,
    folder: Path,
    tones_hz: Mapping[str, int],
    *,
    codecs: str = "PCMU",
    rate_hz: int = SAMPLE_RATE_HZ,
    mediaenc: str | None = None,
) -> AsyncIterator[Baresip]:
    """baresip for as long as the block lasts: it answers each of these numbers at once and speaks its
    tone. Its log is `baresip.log` in the folder. `codecs` and `mediaenc` are words of its own,
    and `rate_hz` is the rate of the codec: it resamples nothing."""
    more = "" if mediaenc is None else f";mediaenc={mediaenc}"
    settings, recordings = folder / "baresip", folder / "recordings"
    settings.mkdir()
    recordings.mkdir()
    baresip = Baresip(free_port(), recordings)  # it speaks TLS at the next one
    config = CONFIG.format(
        port=baresip.port,
        # Nothing but the calls of the test comes, and none of them must be refused.
        calls=2 * len(tones_hz),
        first=RTP_PORTS[0],
        last=RTP_PORTS[-1],
        folder=settings,
        recordings=recordings,
        modules=_find_modules(programs.baresip),
    )
    (settings / "config").write_text(config)
    with (settings / "accounts").open("w") as accounts:
        for number, hz in tones_hz.items():
            tone = settings / f"{hz}.wav"
            tone.write_bytes(make_tone(hz, TONE_S, rate_hz))
            accounts.write(ACCOUNT.format(number=number, tone=tone, codecs=codecs, more=more))
    log = folder / "baresip.log"
    async with _open_process([programs.baresip, "-f", str(settings)], log) as process:
        if not await _wait_said(process, log, b"baresip is ready"):
            pytest.fail(f"baresip did not start:\n{log.read_text(errors='replace')}")
        yield baresip


@asynccontextmanager
async def open_capture(
    programs: Programs, file: Path, what: str = SENT_BY_BARESIP
) -> AsyncIterator[bool]:
    """Write media into a file for as long as the block lasts. Gives whether this user may do that: where not,
    the file stays away."""
    log = file.with_suffix(".log")
    command = [programs.dumpcap, "-q", "-p", "-i", "lo", "-f", what, "-w", str(file)]
    async with _open_process(command, log) as process:
        yield await _wait_said(process, log, b"File: ")


def read_capture(programs: Programs, file: Path) -> list[Samples]:
    """What a capture holds of PCMU, each RTP stream decoded by itself, in the order of its packets."""
    fields = ("udp.srcport", "udp.dstport", "rtp.ssrc", "rtp.payload")
    said = subprocess.run(
        [
            *(programs.tshark, "-n", "-r", str(file), "-Y", "rtp.p_type == 0"),
            *("-d", f"udp.port=={RTP_PORTS[0]}-{RTP_PORTS[-1]},rtp", "-T", "fields"),
            *(part for field in fields for part in ("-e", field)),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=READ_S_MAX,
    )
    streams: dict[tuple[str, ...], bytearray] = defaultdict(bytearray)
    for line in said.stdout.splitlines():
        *stream, payload = line.split("\t")
        streams[tuple(stream)] += bytes.fromhex(payload.replace(":", ""))
    return [decode_ulaw(np.frombuffer(payload, np.uint8)) for payload in streams.values()]


def _find_modules(program: str) -> Path:
    """The folder of baresip's modules: it has no default for it."""
    root = Path(program).resolve().parents[1] / "lib"
    for pattern in ("baresip/modules", "*/baresip/modules"):
        for folder in root.glob(pattern):
            return folder
    pytest.fail(f"baresip has no modules under {root}")


@asynccontextmanager
async def _open_process(command: Sequence[str], log: Path) -> AsyncIterator[trio.Process]:
    """A process that writes its log; asked to end when the block ends, and made to."""
    with log.open("wb") as file:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            process.terminate()
            with trio.move_on_after(STOP_S_MAX):
                await process.wait()
            process.kill()
            await process.wait()


async def _wait_said(process: trio.Process, log: Path, phrase: bytes) -> bool:
    """Wait until the process has written this; whether it has, before it ended."""
    with trio.fail_after(START_S_MAX):
        while True:
            # Asked first: what it wrote before it ended is all there afterwards.
            has_ended = process.poll() is not None
            if phrase in await trio.Path(log).read_bytes():
                return True
            if has_ended:
                return False
            await trio.sleep(POLL_S)
