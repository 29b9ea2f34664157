"""Reading a file that an operator named: a regular one, of a bounded size, without ever waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

Fault = Literal["missing", "unreadable", "not_regular", "too_long"]
"""Why a file is not read."""


class UnusableFile(OSError):
    """A file that is not read; `detail` is a sentence for a person."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


def read_pem_file(file: Path, bytes_max: int, what: str) -> tuple[bytes, int]:
    """What a file holds, and its mode. Raises `UnusableFile`.

    Args:
        file: any path; a pipe or a device is not opened, because that could wait for ever.
        bytes_max: the longest that is read.
        what: what should be in it, `key file`, for the sentence.
    """
    try:
        # Opening a device may do something already, so its kind is looked at before; and once more
        # behind that, because it may have been changed in between. Not waiting is for a pipe then.
        _check_regular(file.stat().st_mode, file)
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "rb") as stream:
            mode = os.fstat(descriptor).st_mode
            _check_regular(mode, file)
            content = stream.read(bytes_max + 1)
    except UnusableFile:
        raise
    except FileNotFoundError:
        raise UnusableFile("missing", f"There is no {what} {file}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnusableFile("unreadable", f"The {what} {file} cannot be read: {reason}.") from error
    if len(content) > bytes_max:
        detail = f"{file} is larger than {bytes_max} bytes: that is no {what}."
        raise UnusableFile("too_long", detail)
    return content, mode


def _check_regular(mode: int, file: Path) -> None:
    if not stat.S_ISREG(mode):
        raise UnusableFile("not_regular", f"{file} is not a regular file.")
