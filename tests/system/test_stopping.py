"""Being told to stop, again and again, while calls are up."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest
import trio

from api.client import CallwheelClient
from api.commands import serve
from api.commands.children import clean_environment
from bench.installation import POLL_S, make_config, make_csv, make_flow
from tests.system.carrier import byes_of, open_carrier, read_calls, write_profile

CALLS = 3
TALK_S = 600
PATIENCE_S = 120
RATE_HZ = 8000


def make_silence(seconds: int) -> bytes:
    """A WAV file that is longer than the test."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        sound.writeframes(bytes(2 * RATE_HZ * seconds))
    return file.getvalue()


async def call_up(client: CallwheelClient) -> None:
    """Call, and wait until every callee has answered."""
    prompt = await client.create_prompt("silence.wav", make_silence(120))
    definition = {"start": "play", "nodes": {"play": {"type": "play", "play": prompt.id}}}
    flow = await make_flow(client, {"+14155550100": 50}, definition=definition)
    view = await client.upload_list(flow, "people.csv", make_csv(CALLS))
    while True:
        attempts = await client.list_attempts(view.id)
        if [attempt.status for attempt in attempts] == ["in-progress"] * CALLS:
            return
        # Another process has no event to wait for.
        await trio.sleep(POLL_S)


class Output:
    """What the engine prints, line by line."""

    def __init__(self, engine: trio.Process) -> None:
        self._engine = engine
        self._rest = b""

    async def read_until(self, beginning: str) -> list[str]:
        """The lines up to the first with this beginning."""
        assert self._engine.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith(beginning):
            while b"\n" not in self._rest:
                chunk = await self._engine.stdout.receive_some()
                assert chunk, f"it ended before {beginning!r}: {lines}"
                self._rest += chunk
            line, _, self._rest = self._rest.partition(b"\n")
            lines.append(line.decode())
        return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_changes_nothing_and_every_call_gets_its_bye(
    number: signal.Signals, tmp_path: Path
) -> None:
    file = tmp_path / "callwheel.toml"
    environment = clean_environment(os.environ, [("CALLWHEEL_ADMIN_KEY", "admin-key")])
    async with open_carrier(tmp_path, write_profile(tmp_path, TALK_S)) as trunk:
        file.write_text(make_config(tmp_path / "data", trunk), encoding="utf-8")
        engine = await trio.lowlevel.open_process(
            [sys.executable, "-P", "-m", "api", "serve", "--config", str(file)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            with trio.fail_after(PATIENCE_S):
                output = Output(engine)
                url = (await output.read_until(serve.READY))[0].split()[-1]
                await call_up(CallwheelClient(url, "admin-key"))
                engine.send_signal(number)
                await output.read_until("Stopping")
                engine.send_signal(number)
                await output.read_until("Callwheel has stopped.")
                # The process may be gone by now, or has yet to close its files.
                engine.send_signal(number)
                code = await engine.wait()
        finally:
            engine.kill()
            await engine.wait()
            if engine.stdout is not None:
                await engine.stdout.aclose()
    ends = [(call.code, byes_of(call), call.by) for call in read_calls(tmp_path)]
    assert (code, ends) == (0, [(200, 1, "caller")] * CALLS)
