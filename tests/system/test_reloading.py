"""SIGHUP: another configuration while calls are up, in the real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio
import trustme

from adapters.http_client import HttpClient
from api.client import CallwheelClient
from api.commands import serve
from api.commands.children import clean_environment
from bench.installation import POLL_S, make_config, make_flow
from tests.system.carrier import byes_of, open_carrier, read_calls, write_profile
from tests.system.test_stopping import Output, make_silence

PATIENCE_S = 120
FIRST, SECOND = "+14155550100", "+14155550101"


class Engine:
    """An engine that reads its configuration again when it is told to."""

    def __init__(self, folder: Path, process: trio.Process, url: str) -> None:
        self._file = folder / "callwheel.toml"
        self._log = folder / "engine.log"
        self.process = process
        self.client = CallwheelClient(url, "admin-key")
        self._url = url
        self._told = 0

    async def get(self, path: str) -> Any:
        """What it answers."""
        headers = {"Authorization": "Bearer admin-key"}
        answer = await HttpClient().request("GET", f"{self._url}{path}", headers=headers)
        return msgspec.json.decode(answer.body)

    async def reload(self, text: str) -> dict[str, Any]:
        """Write a configuration down, and have it read; what the log says of it."""
        self._file.write_text(text, encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)
        while True:
            whole, _, _ = self._log.read_text().rpartition("\n")  # it may be writing the last line
            entries = [json.loads(line) for line in whole.splitlines()]
            told = [one for one in entries if str(one["event"]).startswith("configuration_")]
            if len(told) > self._told:
                self._told = len(told)
                last: dict[str, Any] = told[-1]
                return last
            # Another process has no event to wait for.
            await trio.sleep(POLL_S)


@asynccontextmanager
async def running(folder: Path, config: str) -> AsyncIterator[Engine]:
    """An engine with this configuration, stopped in good order at the end."""
    file = folder / "callwheel.toml"
    file.write_text(config, encoding="utf-8")
    with (folder / "engine.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-P", "-m", "api", "serve", "--config", str(file)],
            env=clean_environment(os.environ, [("CALLWHEEL_ADMIN_KEY", "admin-key")]),
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        output = Output(process)
        url = (await output.read_until(serve.READY))[0].split()[-1]
        yield Engine(folder, process, url)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        process.kill()
        await process.wait()
        assert process.stdout is not None
        await process.stdout.aclose()


async def wait_for(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Until what another process does looks so."""
    while True:
        if await look() == wanted:
            return
        await trio.sleep(POLL_S)


async def test_trunks_and_limits_change_while_calls_are_up_and_a_mistake_changes_nothing(
    tmp_path: Path,
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_carrier(tmp_path, write_profile(tmp_path, 600)) as trunk:
            first = make_config(tmp_path / "data", trunk, channels=3)
            async with running(tmp_path, first) as engine:
                client = engine.client
                prompt = await client.create_prompt("silence.wav", make_silence(120))
                definition = {
                    "start": "play",
                    "nodes": {"play": {"type": "play", "play": prompt.id}},
                }
                flow = await make_flow(client, {FIRST: 50}, definition=definition)
                calls_list = (await engine.get(f"/v1/flows/{flow}"))["calls_list"]
                for n in range(4):
                    await client.call(flow, f"+1415555020{n}")

                async def up() -> list[str]:
                    attempts = (await engine.get(f"/v1/attempts?flow={flow}"))["items"]
                    return sorted(a["trunk"] for a in attempts if a["status"] == "in-progress")

                async def blockers() -> list[str]:
                    contacts = (await engine.get(f"/v1/lists/{calls_list}/contacts"))["items"]
                    return [c["blocker"]["code"] for c in contacts if c["blocker"]]

                await wait_for(up, ["main"] * 3)
                await wait_for(blockers, ["engine_limit"])

                told = await engine.reload(first.replace("channels = 3", "channels = 0"))
                assert told["event"] == "configuration_not_taken"
                assert "limits.channels" in told["detail"]
                assert (await up(), await blockers()) == (["main"] * 3, ["engine_limit"])

                # A place more, another trunk, and what has to wait for a restart.
                more = first.replace("channels = 3", "channels = 4").replace(
                    'bind = "127.0.0.1:0"', 'bind = "127.0.0.1:0"\nrequests_per_s = 7', 1
                )
                second = f'[[trunks]]\nname = "second"\nuri = "{trunk}"\n'
                told = await engine.reload(f"{more}\n{second}")
                assert told["event"] == "configuration_taken"
                assert told["waiting_for_a_restart"] == ["http.requests_per_s"]
                await wait_for(up, ["main"] * 4)

                # The first trunk goes, and its calls stay.
                only = f"{more[: more.index('[[trunks]]')]}\n{second}"
                told = await engine.reload(only.replace("channels = 4", "channels = 5"))
                assert told["event"] == "configuration_taken"
                await client.call(flow, "+14155550210")
                await wait_for(blockers, ["no_trunk"])
                await client.create_did(SECOND, "default", "second", cps=50, channels=10)
                await client.attach_dids(flow, [SECOND])
                await wait_for(up, ["main"] * 4 + ["second"])
    ends = [(call.code, byes_of(call), call.by) for call in read_calls(tmp_path)]
    assert ends == [(200, 1, "caller")] * 5


async def test_what_waits_for_a_restart_is_named_in_the_log_and_in_an_event(tmp_path: Path) -> None:
    def write_certificate() -> None:
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(tmp_path / "both.pem")
        )

    write_certificate()
    both = f'"{tmp_path / "both.pem"}"'
    config = make_config(tmp_path / "data", None).replace(
        "[sip]", f'[sip]\ntls_bind = "127.0.0.1:0"\ntls_cert = {both}\ntls_key = {both}'
    )
    changed = config.replace("[limits]", "[limits]\naccount_calls_per_day = 9")
    with trio.fail_after(PATIENCE_S):
        async with running(tmp_path, config) as engine:
            told = await engine.reload(config)
            assert told["waiting_for_a_restart"] == []
            write_certificate()
            told = await engine.reload(f"{changed}\n[dids]\nrest_s = 60\n")
            waiting = ["limits.account_calls_per_day", "sip.tls_cert", "sip.tls_key"]
            assert told["waiting_for_a_restart"] == waiting
            async with engine.client.follow_sent(since=0) as events:
                data = [(await events.receive()).data for _ in range(2)]
            assert [one["waiting_for_a_restart"] for one in data] == [[], waiting]
