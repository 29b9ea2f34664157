"""What strangers send to the ports harms neither the process nor the calls that are up."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random

import trio

from bench.installation import (
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from bench.processes import usage_of
from tests.system.carrier import open_carrier, read_calls, write_profile

CALLS = 20
STRINGS = 500
UPGRADE = (
    b"GET /v1/feed HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n!"
)


async def send_to_http(engine: Installation, data: bytes) -> None:
    """Send bytes on a connection of their own, and take what comes until it is closed."""
    host, port = engine.url.removeprefix("http://").split(":")
    with trio.move_on_after(0.2):
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            try:
                await stream.send_all(data)
                while await stream.receive_some(65_536):
                    pass
            except trio.BrokenResourceError:
                return  # it was closed before it had read everything, as it may


async def test_500_random_strings_and_a_broken_upgrade_disturb_no_call(tmp_path: Path) -> None:
    chance = Random(1)
    strings = [chance.randbytes(chance.randrange(1, 2000)) for _ in range(STRINGS)]
    definition = {"start": "stay", "nodes": {"stay": {"type": "wait", "duration_s": 600}}}
    async with (
        open_carrier(tmp_path, write_profile(tmp_path, 8.0)) as trunk,
        open_installation(tmp_path, make_config(tmp_path / "data", trunk)) as engine,
    ):
        flow = await make_flow(engine.client, {"+14155550100": 20}, definition=definition)
        view = await engine.client.upload_list(flow, "people.csv", make_csv(CALLS))
        sip_host, sip_port = engine.child.said[2].split(":")
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(send_to_http, engine, UPGRADE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number, string in enumerate(strings):
                stranger.sendto(string, (sip_host, int(sip_port)))
                stranger.sendto(b"INVITE sip:x SIP/2.0\r\n" + string, (sip_host, int(sip_port)))
                if number % 20 == 0:
                    async with trio.open_nursery() as nursery:
                        for one in strings[number : number + 20]:
                            nursery.start_soon(send_to_http, engine, one)
        assert await engine.client.is_ready()
        dispositions = await wait_completed(engine.client, view.id)
        assert usage_of(engine.child.pid).cpu_s > 0, "it is the same process still"
    calls = read_calls(tmp_path)
    assert dispositions == {"answered": CALLS}
    assert [(call.by, call.acks, call.byes) for call in calls] == [("callee", 1, 0)] * CALLS
