"""A single call with an agent, over real SIP: whoever of the two hangs up, both calls end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from adapters.http_client import HttpClient
from bench.free_ports import free_port
from bench.installation import Installation, make_config, open_installation, open_sipp
from tests.peers import require

SCENARIO = Path(__file__).parent / "sipp" / "one_hangs_up.xml"
HANGS_UP, STAYS = "+141555520{}1", "+141555520{}2"
"""Numbers of one case."""
CASES = [(first, hangs_up) for first in ("agent", "customer") for hangs_up in ("agent", "customer")]
"""Who is called first, and who hangs up."""
END_S_MAX = 30.0


async def ask(engine: Installation, method: str, path: str, body: Any = None) -> Any:
    """One request of the administrator's, and what it is answered with."""
    headers = {
        "Authorization": f"Bearer {engine.admin_key}",
        "Content-Type": "application/json",
    }
    sent = None if body is None else msgspec.json.encode(body)
    answer = await HttpClient().request(
        method, f"{engine.url}/v1/{path}", headers=headers, body=sent
    )
    assert answer.status < 300, answer.body
    return msgspec.json.decode(answer.body)


async def make_flow(engine: Installation, first: str) -> str:
    """A dialer flow in operation that calls this side first; its id."""
    flow = await ask(
        engine,
        "POST",
        "flows",
        {
            "name": f"{first} first",
            "kind": "dialer",
            "definition": {"start": "bye", "nodes": {"bye": {"type": "hangup"}}},
            "settings": {"first": first},
        },
    )
    await engine.client.attach_dids(flow["id"], ["+14155550100"])
    await engine.client.activate_listener(flow["id"])
    return str(flow["id"])


async def wait_over(engine: Installation, contact: str) -> Any:
    """Wait until a contact is completed; its last attempt."""
    while True:
        seen = await ask(engine, "GET", f"contacts/{contact}")
        if seen["status"] == "completed":
            return await ask(engine, "GET", f"attempts/{seen['attempts'][-1]['id']}")
        # Another process has no event to wait for.
        await trio.sleep(0.1)


@pytest.mark.peer
async def test_whoever_hangs_up_ends_both_calls(tmp_path: Path) -> None:
    """Whether the agent or the customer does, and whichever of them was called first; all four at once."""
    require("sipp", "sip-tester")
    port = free_port()
    config = make_config(tmp_path / "data", f"sip:127.0.0.1:{port}")
    calls = ("-m", str(2 * len(CASES)))
    async with (
        open_sipp(tmp_path, port, ("-sf", str(SCENARIO), *calls)) as sipp,
        open_installation(tmp_path, config) as engine,
    ):
        await engine.client.create_did("+14155550100", "default", "main", cps=10, channels=10)
        flows = {first: await make_flow(engine, first) for first in ("agent", "customer")}
        made: list[tuple[str, str]] = []
        for place, (first, hangs_up) in enumerate(CASES):
            leaves, stays = HANGS_UP.format(place), STAYS.format(place)
            agent, to = (leaves, stays) if hangs_up == "agent" else (stays, leaves)
            call = await ask(
                engine, "POST", f"flows/{flows[first]}/calls", {"to": to, "agent": agent}
            )
            made.append((call["contact"], agent))
        with trio.fail_after(END_S_MAX):
            code = await sipp.wait()
            attempts = [await wait_over(engine, contact) for contact, _ in made]
    assert code == 0, "sipp saw something that its scenario does not expect"
    for case, (_, agent), attempt in zip(CASES, made, attempts, strict=True):
        assert (attempt["disposition"], attempt["agent"]) == ("answered", agent), case
        legs = [(leg["number"], leg["outcome"]) for leg in attempt["legs"]]
        assert legs == [(agent, "answered")], case
        assert 2.5 < attempt["duration_s"] < 6.0, case
