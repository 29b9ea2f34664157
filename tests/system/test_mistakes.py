"""What users get wrong is answered with a clear error, by the running product."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from api.answers import ApiError
from bench.installation import Installation, make_config, make_csv, make_flow, open_installation


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Installation]:
    with trio.fail_after(60):
        config = make_config(tmp_path / "data", "sip:127.0.0.1:9")
        async with open_installation(tmp_path, config) as installation:
            yield installation


async def refusal_of(engine: Installation, flow: str, file: bytes = make_csv(1)) -> tuple[int, str]:
    """How an upload is refused: status and code."""
    with pytest.raises(ApiError) as caught:
        await engine.client.upload_list(flow, "people.csv", file)
    return caught.value.status, caught.value.code


async def test_what_a_trigger_can_get_wrong_has_a_code_each(engine: Installation) -> None:
    client = engine.client
    flow = await make_flow(client, {"+14155550100": 1})
    asleep = await client.create_flow(
        "asleep", "UTC", {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
    )
    assert await refusal_of(engine, asleep.id) == (409, "listener_inactive")
    assert await refusal_of(engine, "flw_nowhere") == (404, "not_found")
    assert await refusal_of(engine, flow, b"name,phone\nAda,1\n") == (422, "missing_tel")
    view = await client.upload_list(flow, "people.csv", b"tel1\n+442079460018\n")
    assert [error.code for error in view.report.errors] == ["number_not_allowed"]
    assert view.status == "rejected"
    answer = await client._http.request(
        "POST",
        f"{engine.url}/v1/flows/{flow}/multicast",
        headers={
            "Authorization": f"Bearer {engine.admin_key}",
            "Content-Type": "application/json",
        },
        body=b'{"contacts": [',
    )
    assert (answer.status, b'"invalid_json"' in answer.body) == (400, True)


def test_an_unknown_configuration_key_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "callwheel.toml"
    file.write_text('[http]\nbind = "127.0.0.1:0"\nbnid = 1\n', encoding="utf-8")
    for command in (["config", "check"], ["serve"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "api", *command, "--config", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode != 0
        assert "callwheel.toml" in done.stderr + done.stdout
        assert "bnid" in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
