"""Webhooks of the running product, to a receiver on loopback and to `callwheel webhooks listen`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import h11
import msgspec
import trio

from adapters.webhook import sign
from api.commands.children import clean_environment
from bench.installation import make_config, make_csv, make_flow, open_installation
from engine.model.events import EventType
from tests.adapters.test_http_client import serve

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALLOWED = '[webhooks]\nallow = ["127.0.0.0/8"]'
CONTACTS = 20
KINDS = [kind for kind in get_args(EventType) if kind != "list.waiting"]
"""All events but the one that comes every few seconds, and so may come before the list is canceled."""


async def test_what_happens_reaches_the_receiver_signed_and_in_order_though_it_fails_at_first(
    tmp_path: Path,
) -> None:
    seen: list[tuple[dict[str, str], dict[str, Any]]] = []
    is_complete = trio.Event()
    refusals = 3

    def exchange(request: h11.Request, body: bytes) -> bytes:
        nonlocal refusals
        headers = {name.decode(): value.decode() for name, value in request.headers}
        id_, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == sign(SECRET, id_, timestamp, body)
        if refusals:
            refusals -= 1
            return b"HTTP/1.1 500 X\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
        seen.append((headers, msgspec.json.decode(body)))
        # A refused event comes again after events of other contacts, the list's last one included.
        if len(seen) >= CONTACTS + 2:
            is_complete.set()
        return b"HTTP/1.1 204 X\r\n\r\n"

    with trio.fail_after(90):
        config = make_config(tmp_path / "data", None, extra=ALLOWED)
        async with serve(exchange) as place, open_installation(tmp_path, config) as engine:
            hook = {"url": f"http://{place}/hook", "secret": SECRET, "events": KINDS}
            flow = await make_flow(engine.client, {"+14155550100": 1}, settings={"webhook": hook})
            listener = await _listen(engine.url, engine.admin_key, flow)
            view = await engine.client.upload_list(flow, "people.csv", make_csv(CONTACTS))
            answer = await engine.client._http.request(
                "POST",
                f"{engine.url}/v1/lists/{view.id}/cancel",
                headers={"Authorization": f"Bearer {engine.admin_key}"},
            )
            assert answer.status == 200
            await is_complete.wait()
            printed = await _read(listener)
    kinds = [event["type"] for _, event in seen]
    assert kinds.count("contact.completed") == CONTACTS
    of_list = [kind for kind in kinds if kind.startswith("list.")]
    assert of_list == ["list.accepted", "list.completed"]
    ids = [headers["webhook-id"] for headers, _ in seen]
    assert len(set(ids)) == len(ids)
    bodies = {headers["webhook-id"]: event for headers, event in seen}
    # The command shows the same requests, byte for byte but for the moment of sending.
    assert {id_: body for id_, body in printed.items() if id_ in bodies} == bodies
    assert len(printed) == CONTACTS + 2


async def _listen(url: str, key: str, flow: str) -> trio.Process:
    command = [sys.executable, "-P", "-m", "api", "webhooks", "listen", "--flow", flow]
    command += ["--secret", SECRET, "--since", "0", "--count", str(CONTACTS + 2)]
    command += [word for kind in KINDS for word in ("--event", kind)]
    variables = [("CALLWHEEL_URL", url), ("CALLWHEEL_KEY", key)]
    process: trio.Process = await trio.lowlevel.open_process(
        command,
        stdout=subprocess.PIPE,
        env=clean_environment(os.environ, variables),
    )
    return process


async def _read(process: trio.Process) -> dict[str, Any]:
    """What the command printed: the events by their ids."""
    assert process.stdout is not None
    text = b""
    async for chunk in process.stdout:
        text += chunk
    await process.wait()
    found: dict[str, Any] = {}
    id_ = ""
    for line in text.decode().splitlines():
        if line.startswith("webhook-id: "):
            id_ = line.removeprefix("webhook-id: ")
        elif line.startswith("{"):
            found[id_] = msgspec.json.decode(line)
    return found
