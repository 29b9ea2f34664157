"""A single call with an agent, over real SIP: whoever of the two hangs up, both calls end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from adapters.http_client import HttpClient
from bench.installation import Installation, free_port, make_config, open_installation, open_sipp
from tests.peers import require

SCENARIO = Path(__file__).parent / "sipp" / "one_hangs_up.xml"
HANGS_UP, STAYS = "+14155552001", "+14155552002"
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


@pytest.mark.peer
@pytest.mark.parametrize("first", ["agent", "customer"])
@pytest.mark.parametrize(
    ("agent", "customer"), [(HANGS_UP, STAYS), (STAYS, HANGS_UP)], ids=["agent", "customer"]
)
async def test_whoever_hangs_up_ends_both_calls(
    tmp_path: Path, agent: str, customer: str, first: str
) -> None:
    require("sipp", "sip-tester")
    port = free_port()
    config = make_config(tmp_path / "data", f"sip:127.0.0.1:{port}")
    async with (
        open_sipp(tmp_path, port, ("-sf", str(SCENARIO), "-m", "2")) as sipp,
        open_installation(tmp_path, config) as engine,
    ):
        await engine.client.create_did("+14155550100", "default", "main", cps=10, channels=10)
        flow = await ask(
            engine,
            "POST",
            "flows",
            {
                "name": "desk",
                "kind": "dialer",
                "definition": {"start": "bye", "nodes": {"bye": {"type": "hangup"}}},
                "settings": {"first": first},
            },
        )
        await engine.client.attach_dids(flow["id"], ["+14155550100"])
        await engine.client.activate_listener(flow["id"])
        made = await ask(
            engine, "POST", f"flows/{flow['id']}/calls", {"to": customer, "agent": agent}
        )
        with trio.fail_after(END_S_MAX):
            code = await sipp.wait()
            while True:
                contact = await ask(engine, "GET", f"contacts/{made['contact']}")
                if contact["status"] == "completed":
                    break
                # Another process has no event to wait for.
                await trio.sleep(0.1)
        attempt = await ask(engine, "GET", f"attempts/{contact['attempts'][0]['id']}")
    assert code == 0, "sipp saw something that its scenario does not expect"
    assert (attempt["disposition"], attempt["agent"]) == ("answered", agent)
    assert [(leg["number"], leg["outcome"]) for leg in attempt["legs"]] == [(agent, "answered")]
    assert 2.5 < attempt["duration_s"] < 6.0
