"""sipp as the carrier: one scenario file, one process, and its own verdict on what it saw.

sipp runs without its automatic retransmissions (`-nr`), so that nothing but the scenario decides what
is sent, and every repetition of ours that the scenario does not name is an unexpected message, which
fails the call.
"""

from __future__ import annotations

import csv
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from bench.free_ports import free_port, is_taken

SCENARIOS: Final = Path(__file__).parent / "scenarios"
START_S_MAX: Final = 60.0
LIFE_S_MAX: Final = 120
"""After this sipp gives up by itself, and says so."""
POLL_S: Final = 0.01
HARMLESS: Final = ("The following events occurred:", "jumping to label", "Overload warning:")
"""The heading of sipp's log, a time-out for which the scenario itself says how to go on, and that sipp itself
got no turn for half a second."""
SOCKETS_MAX: Final = 1000
"""sipp asks for more than a usual machine lets it have."""
TRACES: Final = ("-trace_stat", "-trace_err", "-trace_logs", "-fd", str(LIFE_S_MAX))


class Place(Struct, frozen=True):
    """Where and how a sipp listens."""

    host: str = "127.0.0.1"
    mode: str = "u1"
    """sipp's own word: `u1` is one UDP socket, `t1` one TCP socket."""

    @property
    def kind(self) -> socket.SocketKind:
        return socket.SOCK_STREAM if self.mode.startswith("t") else socket.SOCK_DGRAM


class Verdict(Struct, frozen=True):
    """What sipp says of the calls that it took."""

    exit_code: int = 0
    successful_calls: int = 1
    failed_calls: int = 0
    out_of_call_messages: int = 0
    complaints: str = ""
    """Its log of errors: unexpected messages, checks that failed, messages for calls that were over."""


class Carrier:
    """A running sipp. Made by `open_carrier`."""

    def __init__(self, process: trio.Process, folder: Path, place: Place, port: int) -> None:
        self.place = place
        self.port = port
        self._process = process
        self._folder = folder

    async def wait_bound(self) -> None:
        """Return when somebody else holds the port."""
        while not is_taken(self.port, self.place.kind):
            assert self._process.poll() is None, self._read("said.log")
            await trio.sleep(POLL_S)

    async def wait_exit(self) -> int:
        """Wait until sipp has seen all the calls it waits for, or one that failed; its exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End it where it has not ended by itself, which its exit code then shows."""
        if self._process.poll() is None:
            self._process.kill()
        await self._process.wait()

    def verdict(self) -> Verdict:
        """What it says, once it has ended."""
        code = self._process.returncode
        assert code is not None, "sipp still runs"
        counted = self._statistics()
        return Verdict(
            exit_code=code,
            successful_calls=int(counted.get("SuccessfulCall(C)", "0")),
            failed_calls=int(counted.get("FailedCall(C)", "0")),
            out_of_call_messages=int(counted.get("OutOfCallMsgs(C)", "0")),
            complaints="".join(
                line
                for line in self._read("errors.log").splitlines(keepends=True)
                if not any(words in line for words in HARMLESS)
            ),
        )

    def logged(self) -> list[str]:
        """What the `<log>` actions of the scenario wrote, line by line."""
        return [line for line in self._read("logs.log").splitlines() if line]

    def _read(self, name: str) -> str:
        file = self._folder / name
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def _statistics(self) -> dict[str, str]:
        with (self._folder / "statistics.csv").open(encoding="utf-8") as lines:
            return list(csv.DictReader(lines, delimiter=";"))[-1]


@asynccontextmanager
async def open_carrier(
    sipp: str,
    name: str,
    folder: Path,
    place: Place,
    *,
    calls: int = 1,
    options: tuple[str, ...] = (),
) -> AsyncIterator[Carrier]:
    """Run `scenarios/NAME.xml` as a server until it has seen `calls` calls or the block is left."""
    port = free_port(place.host)
    command = [
        *(sipp, "-sf", str(SCENARIOS / f"{name}.xml"), "-m", str(calls), "-nr", "-nostdin"),
        *("-i", place.host, "-bind_local", "-p", str(port), "-mi", place.host, "-t", place.mode),
        *("-timeout", f"{LIFE_S_MAX}s", "-timeout_error", *options),
    ]
    async with _run(command, folder) as process:
        with trio.fail_after(START_S_MAX):
            carrier = Carrier(process, folder, place, port)
            await carrier.wait_bound()
        yield carrier


@asynccontextmanager
async def open_caller(
    sipp: str,
    name: str,
    folder: Path,
    place: Place,
    target: tuple[str, int],
    *,
    options: tuple[str, ...] = (),
) -> AsyncIterator[Carrier]:
    """Run `scenarios/NAME.xml` as a client that calls `target`, once unless the options say otherwise."""
    port = free_port(place.host)
    command = [
        *(sipp, f"{target[0]}:{target[1]}", "-sf", str(SCENARIOS / f"{name}.xml"), "-m", "1"),
        *(
            "-nr",
            "-nostdin",
            "-i",
            place.host,
            "-bind_local",
            "-p",
            str(port),
            "-mi",
            place.host,
            "-t",
            place.mode,
        ),
        *("-timeout", f"{LIFE_S_MAX}s", "-timeout_error", *options),
    ]
    async with _run(command, folder) as process:
        yield Carrier(process, folder, place, port)


@asynccontextmanager
async def _run(command: list[str], folder: Path) -> AsyncIterator[trio.Process]:
    traces = [
        *("-max_socket", str(SOCKETS_MAX)),
        *("-stf", str(folder / "statistics.csv"), "-error_file", str(folder / "errors.log")),
        *("-log_file", str(folder / "logs.log"), *TRACES),
    ]
    with (folder / "said.log").open("wb") as said:
        process = await trio.lowlevel.open_process(
            [*command, *traces],
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=folder,
            env={**os.environ, "TERM": "dumb"},
        )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
