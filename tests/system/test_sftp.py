"""From a file on a real SFTP server, or in a watched folder, to calls and a report beside it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import trio

from api.commands import CommandFailed
from bench.installation import (
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from tests.peers import require
from tests.sizes import size
from tests.sshd import Sshd, make_key, open_sshd
from tests.system.carrier import open_carrier, read_calls

CONTACTS = 5
ROWS = make_csv(CONTACTS) + b"nonsense\n"
WAIT_S = 60.0


@pytest.fixture
def server() -> Iterator[Sshd]:
    with open_sshd() as sshd:
        yield sshd


@pytest.mark.peer
async def test_a_file_on_an_sftp_server_is_dialled_once_the_host_key_is_right_and_reported(
    server: Sshd, tmp_path: Path
) -> None:
    make_key(require("ssh-keygen", "openssh-client"), tmp_path / "other")
    right = msgspec.to_builtins(server.setting("lists"))
    wrong = {**right, "host_key": (tmp_path / "other.pub").read_text()}
    async with open_carrier(tmp_path) as trunk:
        allow = '[sftp]\nallow = ["127.0.0.0/8"]'
        async with open_installation(
            tmp_path, make_config(tmp_path / "data", trunk, extra=allow)
        ) as engine:
            flow = await make_flow(
                engine.client, {"+14155550100": 100}, settings={"sftp": wrong}, channels=100
            )
            state = await wait_state(engine, flow, "sftp", lambda view: view["code"] is not None)
            assert (state["code"], state["failures"] > 0) == ("wrong_host_key", True)
            assert not (server.home / "lists").exists()
            await change_settings(engine, flow, {"sftp": right})
            state = await wait_state(engine, flow, "sftp", lambda view: view["code"] == "ok")
            assert state["place"] == f"sftp://{server.user}@127.0.0.1:{server.port}/~/lists"
            server.drop("people.csv", ROWS, "lists")
            pickup = await wait_pickup(engine, flow)
            await wait_completed(engine.client, pickup["list"])
            shown = await ask(engine, "GET", f"/v1/flows/{flow}")
    assert shown["settings"]["sftp"]["private_key"] == "********"
    assert shown["triggers"]["sftp"] == f"{state['place']}/incoming"
    assert len(read_calls(tmp_path)) == CONTACTS
    assert server.names("lists/incoming") == []
    check_report(server.home / "lists", pickup)


@pytest.mark.parametrize("seed", range(size(1, 20)))
async def test_a_file_in_a_watched_folder_is_dialled_once_though_the_engine_is_killed(
    seed: int, tmp_path: Path
) -> None:
    """The first time it is killed as soon as the file is gone, then at moments of chance."""
    leads = tmp_path / "mounted" / "leads"
    leads.parent.mkdir()
    given = f'[[folders]]\naccount = "default"\npath = "{leads.parent}"'
    flow = ""
    async with open_carrier(tmp_path) as trunk:
        config = make_config(tmp_path / "data", trunk, extra=given)
        try:
            async with open_installation(tmp_path, config) as engine:
                flow = await make_flow(
                    engine.client,
                    {"+14155550100": 100},
                    settings={"folder": {"path": "leads", "every_s": 1}},
                    channels=100,
                )
                await wait_state(engine, flow, "folder", lambda view: view["code"] == "ok")
                (leads / "incoming" / "people.csv").write_bytes(ROWS)
                (leads / "incoming" / "picture.csv").write_bytes(b"\x89PNG\x00\x00")
                if seed:
                    # The moment of the kill is chosen, not waited out.
                    await trio.sleep(Random(seed).uniform(0.5, 4.0))
                else:
                    await wait_empty(leads / "incoming")
                os.kill(engine.child.pid, signal.SIGKILL)
                await trio.sleep_forever()
        except* CommandFailed:
            assert (leads / "incoming").is_dir(), "the engine fell before it was killed"
        async with open_installation(tmp_path, config) as engine:
            pickup = await wait_pickup(engine, flow, count=2)
            await wait_completed(engine.client, pickup["list"])
            view = await ask(engine, "GET", f"/v1/lists/{pickup['list']}")
            lists = await ask(engine, "GET", f"/v1/lists?flow={flow}")
    assert (view["source"], view["counts"]["completed"]) == ("folder", CONTACTS)
    assert [one["id"] for one in lists["items"]] == [pickup["list"]]
    assert max(Counter(call.number for call in read_calls(tmp_path)).values()) == 1
    assert list((leads / "incoming").iterdir()) == []
    check_report(leads, pickup)
    refused = [one.name for one in (leads / "rejected").glob("picture.csv.pck_*")]
    assert len(refused) == 1


def check_report(home: Path, pickup: dict[str, Any]) -> None:
    """What was put beside the list is there once, and says what became of it."""
    name = f"people.csv.{pickup['list']}"
    assert [one.name for one in (home / "reports").glob("people*")] == [f"{name}.txt"]
    assert [one.name for one in (home / "rejected").glob("people*")] == [f"{name}.csv"]
    report = (home / "reports" / f"{name}.txt").read_text()
    assert report.startswith(f"people.csv: {CONTACTS} of {CONTACTS + 1} rows were taken")
    assert f"rejected/{name}.csv" in report
    rejected = (home / "rejected" / f"{name}.csv").read_text().splitlines()
    assert rejected[0] == "tel1,row,column,code,detail"
    assert rejected[1].startswith(f"nonsense,{CONTACTS + 1},tel1,invalid_number,")


async def wait_empty(folder: Path) -> None:
    """Wait until nothing is left in a folder."""
    with trio.fail_after(WAIT_S):
        while any(not name.startswith(".") for name in os.listdir(folder)):  # noqa: ASYNC110
            await trio.sleep(0.01)  # another process has no event to wait for


async def ask(engine: Installation, method: str, path: str, body: Any = None) -> Any:
    answer = await engine.client._tell(method, path, body)
    return msgspec.json.decode(answer.body)


async def change_settings(engine: Installation, flow: str, settings: dict[str, Any]) -> None:
    """Give a flow other settings; nothing else of it changes."""
    shown = await ask(engine, "GET", f"/v1/flows/{flow}")
    body = {name: shown[name] for name in ("name", "kind", "timezone", "definition")}
    await ask(engine, "PUT", f"/v1/flows/{flow}", {**body, "settings": settings})


async def wait_state(
    engine: Installation, flow: str, door: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """How a door stands once it is as it is wanted to be."""
    with trio.fail_after(WAIT_S):
        while True:
            view: dict[str, Any] = await ask(engine, "GET", f"/v1/flows/{flow}/{door}")
            if wanted(view):
                return view
            await trio.sleep(0.1)  # another process has no event to wait for


async def wait_pickup(engine: Installation, flow: str, count: int = 1) -> dict[str, Any]:
    """The pick-up that made a list, once so many files are removed and reported."""
    with trio.fail_after(WAIT_S):
        while True:
            page = await ask(engine, "GET", f"/v1/flows/{flow}/pickups")
            done = [one for one in page["items"] if one["removed_at"] and one["reported_at"]]
            if len(done) == count:
                [pickup] = [one for one in done if one["list"]]
                return dict(pickup)
            await trio.sleep(0.1)  # as above
