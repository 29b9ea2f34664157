"""The product as a browser finds it: an engine that calls the simulated carrier, in a thread of its own,
since the browser's library and trio do not go together in one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import trio
from msgspec import Struct

from api.client import CallwheelClient
from api.commands.demo_list import make_chime
from bench.free_ports import free_port
from bench.installation import Installation, make_config, open_installation
from tests.system.carrier import open_carrier

START_S_MAX: Final = 120.0
CARRIER: Final = """
[shares]
machine = 0.0
busy = 0.12
no_answer = 0.0
invalid = 0.06
declined = 0.05
congested = 0.0
[ring_s]
min = 0.1
mean = 0.2
max = 0.4
[talk_s]
min = 0.5
mean = 1.5
max = 3
"""
"""A profile: calls that are over soon, with a little of everything."""
WATCHED: Final = "watched"
"""The folder below which flows may watch theirs."""
T = TypeVar("T")


class Product(Struct, frozen=True):
    """A running engine, and what its administrator can do with it from another thread."""

    url: str
    admin_key: str
    client: CallwheelClient
    token: trio.lowlevel.TrioToken
    watched: Path
    """Below it flows may watch folders."""

    def post(self, path: str, body: Any, method: str = "POST") -> Any:
        """Ask for something that the client has no method for; the answer."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.admin_key}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def get(self, path: str) -> Any:
        """Read something that the client has no method for."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, headers=headers)
        ) as answer:
            return json.load(answer)

    def run(self, act: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Do something of trio's, as a method of the client, and wait for it."""
        return trio.from_thread.run(act, *args, trio_token=self.token)


@contextmanager
def open_product(folder: Path, mail: str | None = None) -> Iterator[Product]:
    """Run engine and carrier for as long as the block lasts; `mail` is a table of the configuration in place
    of the usual one."""
    ready: Future[tuple[Installation, trio.lowlevel.TrioToken, trio.Event]] = Future()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(trio.run, _host, folder, mail, ready)
        running.add_done_callback(lambda done: _tell_failure(done, ready))
        engine, token, over = ready.result(START_S_MAX)
        try:
            watched = folder / WATCHED
            yield Product(engine.url, engine.admin_key, engine.client, token, watched)
        finally:
            trio.from_thread.run_sync(over.set, trio_token=token)
            running.result(START_S_MAX)


def _tell_failure(done: Future[None], ready: Future[Any]) -> None:
    """Let nobody wait for a start that failed."""
    error = done.exception()
    if error is not None and not ready.done():
        ready.set_exception(error)


async def _host(
    folder: Path,
    mail: str | None,
    ready: Future[tuple[Installation, trio.lowlevel.TrioToken, trio.Event]],
) -> None:
    profile = folder / "profile.toml"
    profile.write_text(CARRIER, encoding="utf-8")
    (folder / WATCHED).mkdir()
    doors = [
        f'[[folders]]\naccount = "default"\npath = "{folder / WATCHED}"',
        mail or f'[mail]\nbind = "127.0.0.1:{free_port()}"\ndomain = "lists.example.com"',
    ]
    over = trio.Event()
    async with (
        open_carrier(folder, str(profile)) as trunk,
        open_installation(
            folder, make_config(folder / "data", trunk, extra="\n".join(doors))
        ) as engine,
    ):
        ready.set_result((engine, trio.lowlevel.current_trio_token(), over))
        await over.wait()


async def make_flow(
    client: CallwheelClient,
    name: str,
    numbers: list[str],
    cps: float = 5,
    doors: dict[str, Any] | None = None,
) -> str:
    """A flow that plays a chime, attached to new numbers, with its listener off; its id."""
    prompt = await client.create_prompt(f"{name}.wav", make_chime(1))
    for number in numbers:
        await client.create_did(number, "default", "main", cps=cps, channels=40)
    definition = {
        "start": "chime",
        "variables": {"name": {"default": "there"}},
        "nodes": {
            "chime": {"type": "play", "play": prompt.id, "next": "bye"},
            "bye": {"type": "hangup"},
        },
    }
    flow = await client.create_flow(
        name, "Europe/Berlin", definition, {"attempts_max": 1, **(doors or {})}
    )
    if numbers:
        await client.attach_dids(flow.id, numbers)
    return flow.id
