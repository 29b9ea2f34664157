"""The engine's side of the process that takes mails: starts it, hears of each mail, and notices its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio

from adapters.mail.receiver_settings import ReceiverSettings

COMMAND: Final = (sys.executable, "-P", "-m", "adapters.mail.receiver_process")
START_S_MAX: Final = 30.0
RECEIVE_BYTES: Final = 65_536
LINE_BYTES_MAX: Final = 4_096

log = structlog.get_logger(__name__)


class ReceiverFailed(Exception):
    """The process could not take its port, or ended."""


async def run_receiver(
    settings: ReceiverSettings,
    on_mail: Callable[[], None],
    *,
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take mails until cancelled; the address is reported once they are taken.

    Args:
        on_mail: called when one is in the spool; must not block.

    Raises `ReceiverFailed` when the process ends.
    """
    process = await trio.lowlevel.open_process(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=make_environment()
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both were asked for
    try:
        await process.stdin.send_all(msgspec.json.encode(settings) + b"\n")
        with trio.move_on_after(START_S_MAX) as starting:
            buffer = bytearray()
            while chunk := await process.stdout.receive_some(RECEIVE_BYTES):
                buffer += chunk
                *lines, rest = bytes(buffer).split(b"\n")
                buffer = bytearray(rest[:LINE_BYTES_MAX])
                for line in lines:
                    if starting.deadline == float("inf"):
                        on_mail()
                        continue
                    starting.deadline = float("inf")
                    host, port = line.decode("ascii").split()
                    task_status.started((host, int(port)))
        raise ReceiverFailed("The process that takes mails cannot run; it has said why.")
    except trio.BrokenResourceError as error:
        raise ReceiverFailed("The process that takes mails cannot run; it has said why.") from error
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


def make_environment() -> dict[str, str]:
    """The parent's, with which the child finds this very package from anywhere."""
    here = str(Path(__file__).parents[2])
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": here if before is None else f"{here}{os.pathsep}{before}"}
