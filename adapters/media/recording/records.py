"""What a plane and its recorder say to each other.

To the recorder go records of a head and some octets: a file's beginning with its name, 20 ms of its sound,
and its end. Back comes, for each file, one answer: what became of it. Files are known by places; a place may
be used again when its answer has come.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

BEGIN: Final = 1
SOUND: Final = 2
END: Final = 3
HEAD: Final = struct.Struct("<BxHI")
"""What it is, the place, and how many octets follow."""
_ANSWER: Final = struct.Struct("<HxxI")
"""The place, and how many octets of a reason follow: none for a file that is safe on disk."""


class Answer(Struct, frozen=True):
    """What became of a file."""

    place: int
    failure: str = ""
    """Empty for one that is safe on disk."""


def encode_answer(answer: Answer) -> bytes:
    """An answer as it is sent."""
    reason = answer.failure.encode()
    return _ANSWER.pack(answer.place, len(reason)) + reason


class AnswerReader:
    """Cuts what the recorder says into answers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Answer]:
        """The answers that are complete now."""
        self._buffer += data
        answers: list[Answer] = []
        while len(self._buffer) >= _ANSWER.size:
            place, length = _ANSWER.unpack_from(self._buffer)
            end = _ANSWER.size + length
            if len(self._buffer) < end:
                break
            reason = bytes(self._buffer[_ANSWER.size : end]).decode(errors="replace")
            answers.append(Answer(place, reason))
            del self._buffer[:end]
        return answers
