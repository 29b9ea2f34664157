"""Whatever peers send, in whatever pieces and however they leave: nothing but failures comes of it."""

from __future__ import annotations

import ssl
from pathlib import Path
from random import Random

import pytest
import trio
import trustme

from adapters.sip.transport.admission import AdmissionLimits
from adapters.sip.transport.framing import PING, PONG
from adapters.sip.transport.stream_transport import StreamLimits
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.transport.stream_lineup import (
    NAME,
    Papers,
    call_up,
    message,
    open_desk,
    read_exactly,
    read_to_end,
)
from tests.adapters.sip.wire.torture import POINTS
from tests.sizes import size

PEERS = size(150, 3000)
GENTLE = StreamLimits(inbound=AdmissionLimits(trunks=100_000))
CORPUS = (message(1), message(2, b"body"), PING, PONG, *(point.data for point in POINTS))


def babble(dice: Random) -> bytes:
    """Some messages, with something wrong in them as a rule."""
    data = bytearray(b"".join(dice.choices(CORPUS, k=dice.randint(1, 6))))
    for _ in range(dice.choice((0, 1, 1, 4))):
        data[dice.randrange(len(data))] = dice.randrange(256)
    if dice.random() < 0.3:
        del data[dice.randrange(len(data)) :]
    return bytes(data)


async def pester(hop: Hop, dice: Random) -> None:
    """Be one peer, from the connect to the end."""
    async with await call_up((hop.host, hop.port)) as stream:
        data = babble(dice)
        try:
            while data:
                length = dice.choice((1, 7, 100, 5000))
                await stream.send_all(data[:length])
                data = data[length:]
            if dice.random() < 0.8:
                await stream.send_eof()
                await read_to_end(stream)
        except trio.BrokenResourceError:
            return


async def pester_over_tls(hop: Hop, dice: Random, context: ssl.SSLContext) -> None:
    """The same inside TLS, at times with something wrong in the records, never with a goodbye."""
    async with await call_up((hop.host, hop.port)) as plain:
        stream = trio.SSLStream(plain, context, server_hostname=NAME)
        try:
            await stream.send_all(babble(dice))
            if dice.random() < 0.3:
                await plain.send_all(dice.randbytes(dice.randint(1, 90)))
            if dice.random() < 0.5:
                await plain.send_eof()
                await read_to_end(plain)
        except trio.BrokenResourceError:
            return


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_no_peer_harms_the_transport(transport: str, tmp_path: Path) -> None:
    papers = Papers(trustme.CA(), tmp_path)
    context = papers.client_side()
    async with open_desk(limits=GENTLE) as desk:
        if transport == "tls":
            cert, key = papers.files_for(NAME)
            hop = Hop(*desk.transport.listen_tls("127.0.0.1", 0, cert, key), "tls", NAME)
        else:
            hop = Hop(*desk.transport.listen_tcp("127.0.0.1", 0), "tcp")
        for seed in range(PEERS):
            dice = Random(seed)
            if transport == "tls":
                await pester_over_tls(hop, dice, context)
            else:
                await pester(hop, dice)
        # Everybody is gone when the last has been looked at.
        with trio.fail_after(30):
            while desk.transport.statistics().open:
                await trio.testing.wait_all_tasks_blocked()
        reasons = {failure.reason for failure in desk.failures_so_far()}
        assert reasons <= {"framing", "closed", "broken", "tls"}
        assert "framing" in reasons
        statistics = desk.transport.statistics()
        assert (statistics.accepted, statistics.failed) == (PEERS, PEERS)
        stream = await call_up((hop.host, hop.port))
        async with (
            trio.SSLStream(stream, context, server_hostname=NAME) if transport == "tls" else stream
        ) as sound:
            await sound.send_all(PING)
            assert await read_exactly(sound, len(PONG)) == PONG
