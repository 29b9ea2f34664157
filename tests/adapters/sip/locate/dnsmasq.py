"""A real nameserver for a test, started with the records that the test needs."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.message
import trio

from bench.free_ports import free_port

HOST = "127.0.0.1"


@asynccontextmanager
async def running_dnsmasq(
    program: str, *records: str, ttl_s: int = 300
) -> AsyncIterator[tuple[str, int]]:
    """A dnsmasq that knows the zone `test` and nothing else, until the block is left."""
    port = free_port()
    command = [
        program,
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--no-daemon",
        "--pid-file",
        "--user=",
        "--bind-interfaces",
        f"--listen-address={HOST}",
        f"--port={port}",
        "--local=/test/",
        f"--local-ttl={ttl_s}",
        *records,
    ]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with trio.fail_after(10):
            await _wait_until_it_answers(port, process)
        yield HOST, port
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _wait_until_it_answers(port: int, process: trio.Process) -> None:
    backend = dns.asyncbackend.get_backend("trio")
    while True:
        assert process.poll() is None, "dnsmasq ended"
        query = dns.message.make_query("ready.test.", "A")
        try:
            await dns.asyncquery.udp(query, HOST, timeout=0.1, port=port, backend=backend)
        except dns.exception.Timeout:
            continue
        return
