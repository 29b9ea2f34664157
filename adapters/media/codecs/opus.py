"""Opus (RFC 6716) as it is spoken here: one channel at 8 kHz, 20 ms in 160 octets, by libopus out of PyAV.

PyAV is an extra (`pip install callwheel[opus]`), imported by whoever makes a coder first: it takes a third
of a second, so that a plane that is to speak Opus calls `load` before its first tick.

At a constant 64 kbit/s each 20 ms of Opus are 160 octets, as those of G.711 are, and lie in the same
arena. `lowdelay` makes libopus use its transform coder alone, whose frames hang together less than
those of its speech coder: prompts may begin and end anywhere. What callees send may be anything that
Opus can be.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from adapters.media.codecs.codec import OPUS, OPUS_BIT_RATE
from adapters.media.codecs.g711 import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from av import AudioCodecContext

FRAME_OCTETS: Final = 160
SILENCE: Final = b"\x98\xff\xfe".ljust(FRAME_OCTETS, b"\x00")
"""20 ms at 8 kHz of the transform coder, whose first decision is that there is no sound (RFC 6716 §4.3)."""
PACKET_SAMPLES_MAX: Final = 960
"""120 ms, the most that a packet can hold."""
_RATIO: Final = OPUS.clock_hz // SAMPLE_RATE_HZ
_TAPS: Final = 16 * _RATIO
"""Of the filter that leaves what 8 kHz can hold: 2 ms of sound."""
_CUT_OFF_HZ: Final = 3_700


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("av") is not None


def load() -> None:
    """Make ready, so that nothing has to be read from the disk later. Raises `ImportError`."""
    OpusDecoder().decode(OpusEncoder().encode(np.zeros(FRAME_SAMPLES, np.int16)))


class OpusEncoder:
    """What is said to one callee, frame after frame."""

    def __init__(self) -> None:
        self._codec = _create("w")
        self._codec.sample_rate = SAMPLE_RATE_HZ
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._codec.bit_rate = OPUS_BIT_RATE
        self._codec.options = {
            "application": "lowdelay",
            "frame_duration": "20",
            "vbr": "off",
            # More effort is not heard at this rate.
            "compression_level": "0",
        }
        self._codec.open()

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """The octets of one frame of 160 samples."""
        from av import AudioFrame, Packet

        frame = AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        (packet,) = self._codec.encode(frame)
        assert isinstance(packet, Packet)
        return bytes(packet)


class OpusDecoder:
    """What one callee says, packet after packet."""

    def __init__(self) -> None:
        self._codec = _create("r")
        self._codec.sample_rate = OPUS.clock_hz
        self._codec.layout = "mono"
        self._codec.open()
        self._before = np.zeros(_TAPS - _RATIO, np.float32)
        """The sound before, as far as the filter reaches."""
        self._filter = _make_filter()

    def decode(self, octets: bytes) -> NDArray[np.int16]:
        """The samples at 8 kHz of the next packet, at most 120 ms of them; none where it is broken."""
        from av import Packet
        from av.error import FFmpegError

        if not octets:
            # To the library an empty packet is the end of everything.
            return np.zeros(0, np.int16)
        try:
            frames = self._codec.decode(Packet(octets))
        except FFmpegError:
            return np.zeros(0, np.int16)
        parts = [frame.to_ndarray()[0] for frame in frames]
        if not parts:
            return np.zeros(0, np.int16)
        return self._decimate(np.concatenate(parts))

    def _decimate(self, sound: NDArray[np.int16]) -> NDArray[np.int16]:
        """Each sixth sample of what is left of the sound below 4 kHz."""
        whole = np.concatenate([self._before, sound.astype(np.float32)])
        self._before = whole[len(whole) - len(self._before) :]
        # Five in six are computed for nothing, and still it takes half as long as without them.
        filtered = np.convolve(whole, self._filter, "valid")[::_RATIO]
        return np.clip(np.rint(filtered), -32_768, 32_767).astype(np.int16)


def encode_opus(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """A whole sound of whole frames, from its first sample on."""
    encoder = OpusEncoder()
    frames = samples.reshape(-1, FRAME_SAMPLES)
    return np.frombuffer(b"".join(encoder.encode(frame) for frame in frames), np.uint8)


def decode_opus(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """A whole sound in frames of ours, from its first octet on."""
    decoder = OpusDecoder()
    frames = octets.reshape(-1, FRAME_OCTETS)
    sound = [decoder.decode(frame.tobytes()) for frame in frames]
    return np.concatenate(sound) if sound else np.zeros(0, np.int16)


def _create(direction: str) -> AudioCodecContext:
    from av import AudioCodecContext, CodecContext

    codec = CodecContext.create("libopus", "w" if direction == "w" else "r")
    assert isinstance(codec, AudioCodecContext)
    return codec


def _make_filter() -> NDArray[np.float32]:
    """A low-pass: a windowed sinc."""
    at = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _CUT_OFF_HZ / OPUS.clock_hz * at) * np.hamming(_TAPS)
    scaled: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return scaled
