"""What the two sides of `control.py` say about listening: who answered, beeps, and recordings.

A question has a number of its own on its stream, so that an answer that crosses its withdrawal reaches
nobody.
"""

from __future__ import annotations

import msgspec

from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import RecordingEnding


class Detect(msgspec.Struct, frozen=True, tag=30, array_like=True):
    """Listen from now on for who answered; `Detected` follows unless it is withdrawn."""

    stream: int
    question: int
    parameters: AmdParameters


class AwaitBeep(msgspec.Struct, frozen=True, tag=31, array_like=True):
    """Listen for a beep; `Beeped` follows when one is over, unless it is withdrawn."""

    stream: int
    question: int


class Withdraw(msgspec.Struct, frozen=True, tag=32, array_like=True):
    """Nobody wants the answer to this any more. Nothing follows."""

    stream: int
    question: int


class Record(msgspec.Struct, frozen=True, tag=33, array_like=True):
    """Record the callee from now on; `RecordingOver` follows, even after `Closed`."""

    stream: int
    question: int
    recording: str
    """An id, which is the file's name as well."""
    max_ms: int
    silence_ms: int | None
    finish_on: str


class EndRecording(msgspec.Struct, frozen=True, tag=34, array_like=True):
    """Let this recording end here. `RecordingOver` follows."""

    stream: int
    question: int
    ending: RecordingEnding


ListeningCommand = Detect | AwaitBeep | Withdraw | Record | EndRecording


class Detected(msgspec.Struct, frozen=True, tag=30, array_like=True):
    """It is known who answered."""

    stream: int
    question: int
    verdict: AmdVerdict


class Beeped(msgspec.Struct, frozen=True, tag=31, array_like=True):
    """A beep is over."""

    stream: int
    question: int


class RecordingOver(msgspec.Struct, frozen=True, tag=32, array_like=True):
    """A recording is over, and safe on disk where it has not failed."""

    stream: int
    question: int
    duration_s: float
    ending: RecordingEnding
    failure: str = ""
    """What went wrong, for the log, where it has failed."""


ListeningEvent = Detected | Beeped | RecordingOver
