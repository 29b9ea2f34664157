"""What strangers send to the ports harms neither the process nor the calls and the feeds that are up."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import pytest
import trio
import trio_websocket
from msgspec import Struct

from bench.installation import (
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from bench.processes import usage_of
from tests.sizes import size
from tests.system.carrier import byes_of, open_carrier, read_calls, write_profile

CALLS: Final = 200
FEEDS: Final = 50
OPENINGS: Final = size(1_876, 100_000)
DATAGRAMS: Final = 1_000
AT_ONCE: Final = 40
TALK_S: Final = 3_000
"""Longer than it all takes: the account is stopped when it is over, which ends its calls."""
TAKE_S: Final = 0.05
"""How long a stranger waits for an answer, or for its end."""

UPGRADE: Final = (
    b"GET /v1/feed HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def upgrade(key: str) -> bytes:
    """A whole opening of the feed."""
    return UPGRADE + b"Authorization: Bearer %b\r\n\r\n" % key.encode()


def trailing_bytes(chance: Random, key: str) -> bytes:
    """pgjones/hypercorn#225."""
    return upgrade(chance.choice([key, "wrong"])) + chance.randbytes(chance.randrange(1, 300))


def half_frame(chance: Random, key: str) -> bytes:
    """A frame that says it is longer than it is."""
    length = chance.choice([b"\xfe\xff\xff", b"\xff" + chance.randbytes(8), b"\x85"])
    return upgrade(key) + bytes([0x80 | chance.randrange(16)]) + length


def wrong_mask(chance: Random, key: str) -> bytes:
    """Frames without a mask, with reserved bits, with opcodes that there are not, pings that are too long."""
    data = chance.randbytes(chance.randrange(126))
    return upgrade(key) + bytes([chance.randrange(256), len(data)]) + data


def huge_headers(chance: Random, _key: str) -> bytes:
    """Many headers, or one that is long, or a line that never ends."""
    many = b"".join(b"x-%d: y\r\n" % n for n in range(chance.randrange(5_000)))
    long = b"X: " + b"a" * chance.randrange(100_000)
    return b"GET / HTTP/1.1\r\n" + chance.choice([many, long, UPGRADE * 50]) + b"\r\n"


def other_protocol(chance: Random, _key: str) -> bytes:
    """HTTP/2 with and without settings, a wish for it, TLS, SIP."""
    settings = b"\0\0\0\4\0\0\0\0\0"
    wish = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    frames = PREFACE + settings * chance.randrange(100) + chance.randbytes(50)
    tls = b"\x16\x03\x01\x02\0\x01" + chance.randbytes(500)
    return chance.choice([PREFACE, frames, wish + PREFACE, tls, b"OPTIONS sip:x SIP/2.0\r\n\r\n"])


def broken_body(chance: Random, key: str) -> bytes:
    """Lengths that contradict each other, chunks that are none, bodies that are not what they say."""
    head = b"POST /v1/dnc HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n" % key.encode()
    framing = chance.choice(
        [
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Transfer-Encoding: chunked\r\nContent-Length: 4",
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue\r\nContent-Length: 1000",
        ]
    )
    return head + framing + b"\r\n\r\n" + chance.randbytes(chance.randrange(200))


def garbage(chance: Random, _key: str) -> bytes:
    """Anything."""
    return chance.randbytes(chance.randrange(1, 2000))


def broken_request(chance: Random, key: str) -> bytes:
    """A good opening of which a few bytes are others."""
    data = bytearray(upgrade(key))
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


OPENERS: Final[tuple[Callable[[Random, str], bytes], ...]] = (
    trailing_bytes,
    half_frame,
    wrong_mask,
    huge_headers,
    other_protocol,
    broken_body,
    garbage,
    broken_request,
)


def make_openings(count: int, key: str) -> Iterator[bytes]:
    """Hostile openings, of each kind as many."""
    chance = Random(1)
    for number in range(count):
        yield OPENERS[number % len(OPENERS)](chance, key)


async def send_to_http(engine: Installation, data: bytes) -> None:
    """Send bytes on a connection of their own, and take what comes until it is closed or a moment is over."""
    host, port = engine.url.removeprefix("http://").split(":")
    with trio.move_on_after(TAKE_S):
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            try:
                await stream.send_all(data)
                while await stream.receive_some(65_536):
                    pass
            except trio.BrokenResourceError:
                return  # it was closed before it had read everything, as it may


class Feed(Struct):
    """What one reader has seen."""

    seqs: list[int] = msgspec.field(default_factory=list)
    ended: list[str] = msgspec.field(default_factory=list)
    """Contacts whose calls it saw end."""


async def read_feed(engine: Installation, feed: Feed, task_status: trio.TaskStatus[None]) -> None:
    """Read until every call has ended."""
    host, port = engine.url.removeprefix("http://").split(":")
    headers = [("Authorization", f"Bearer {engine.admin_key}")]
    async with trio_websocket.open_websocket(
        host, int(port), "/v1/feed", use_ssl=False, extra_headers=headers
    ) as websocket:
        task_status.started()
        while len(feed.ended) < CALLS:
            for event in msgspec.json.decode(await websocket.get_message()):
                feed.seqs.append(event["seq"])
                if event["type"] == "contact.completed":
                    feed.ended.append(event["contact"])


async def send_all_to_http(engine: Installation) -> None:
    """All openings, so many at a time."""
    openings = make_openings(OPENINGS, engine.admin_key)

    async def send_some() -> None:
        for data in openings:
            await send_to_http(engine, data)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(send_some)


def send_to_sip(engine: Installation) -> None:
    """Datagrams that are nothing, or begin as an INVITE does."""
    chance = Random(2)
    host, port = engine.child.said[2].split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(DATAGRAMS):
            data = chance.randbytes(chance.randrange(1, 2000))
            head = b"INVITE sip:x SIP/2.0\r\n" if number % 2 else b""
            stranger.sendto(head + data, (host, int(port)))


async def wait_dialing(engine: Installation, call_list: str) -> None:
    """Until all calls of the list are up."""
    with trio.fail_after(60):
        while True:
            if (await engine.client.get_list(call_list)).counts.dialing == CALLS:
                return
            await trio.sleep(0.1)  # another process has no event to wait for


@pytest.mark.timeout(size(300, 3_000))
async def test_hostile_openings_disturb_no_call_and_no_feed(tmp_path: Path) -> None:
    """1,876 of them, and 100,000 in the long run, while 200 calls are up and 50 feeds are read."""
    definition = {"start": "stay", "nodes": {"stay": {"type": "wait", "duration_s": 3000}}}
    feeds = [Feed() for _ in range(FEEDS)]
    async with (
        open_carrier(tmp_path, write_profile(tmp_path, float(TALK_S))) as trunk,
        open_installation(tmp_path, make_config(tmp_path / "data", trunk)) as engine,
    ):
        flow = await make_flow(engine.client, {"+14155550100": CALLS}, definition=definition)
        pid, before_mb = engine.child.pid, usage_of(engine.child.pid).resident_mb
        async with trio.open_nursery() as nursery:
            for feed in feeds:
                await nursery.start(read_feed, engine, feed)
            view = await engine.client.upload_list(flow, "people.csv", make_csv(CALLS))
            await wait_dialing(engine, view.id)
            begun = trio.current_time()
            send_to_sip(engine)
            await send_all_to_http(engine)
            took_s = trio.current_time() - begun
            still_up = (await engine.client.get_list(view.id)).counts.dialing
            assert await engine.client.is_ready()
            await engine.client.stop_account("default")
            dispositions = await wait_completed(engine.client, view.id)
        assert (engine.child.pid, usage_of(pid).cpu_s > 0) == (pid, True)
        grown_mb = usage_of(pid).resident_mb - before_mb
    print(
        f"{OPENINGS:,} hostile openings in {took_s:.1f} s, {still_up} of {CALLS} calls up at their end; "
        f"{FEEDS} feeds of {len(feeds[0].seqs):,} events each; memory grew by {grown_mb:.0f} MiB"
    )
    calls = read_calls(tmp_path)
    assert dispositions == {"answered": CALLS}
    assert still_up == CALLS
    assert [(call.by, call.acks > 0, byes_of(call)) for call in calls] == [
        ("caller", True, 1)
    ] * CALLS
    for feed in feeds:
        assert feed.seqs == list(range(feed.seqs[0], feed.seqs[0] + len(feed.seqs)))
        assert len(set(feed.ended)) == CALLS
