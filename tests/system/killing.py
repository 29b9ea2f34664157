"""The running product under load, killed at random moments and started again; what it promised; the judge.

The load is a call list and single triggers, each with an idempotency key of its own. A trigger whose answer
did not come before the kill is sent again with its key after the next start, as a program would.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct

from adapters.http_client import HttpFailed
from api.commands import CommandFailed
from bench.installation import (
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from sim.call_log import CallRecord
from tests.system.carrier import open_carrier, read_calls

LISTED: Final = 300
"""Contacts of the list."""
TRIGGERS_MAX: Final = 40
"""Single calls from one start to the next."""
PROGRAMS: Final = 2
"""Which trigger at the same time."""
ALIVE_S: Final = 1.5
"""A kill comes at most so long after a start."""
CALLS_PER_S: Final = 100
GUARD_S: Final = 290.0
POLL_S: Final = 0.1


class Promise(Struct):
    """A single call that a program asked for."""

    key: str
    number: str
    contact: str | None = None
    """The engine's word that it took it; None while no answer has come."""


class Outcome(Struct, frozen=True):
    """What became of a contact: what the API says at the end."""

    number: str
    disposition: str | None
    attempts: int


class Aftermath(Struct, frozen=True):
    """What is known at the end of a run."""

    listed: dict[str, Outcome]
    """Contacts of the list, by id."""
    promises: list[Promise]
    promised: dict[str, Outcome]
    """Contacts of the single calls, by id."""
    calls: list[CallRecord]
    """What the carrier saw."""


async def run_and_kill(
    folder: Path,
    seed: int,
    kills: int,
    variables: Sequence[tuple[str, str]] = (),
    after_kill: Callable[[], object] = lambda: None,
) -> Aftermath:
    """Start the product, kill it so many times at moments drawn from the seed, let it finish.

    The database's folder is `folder / "data"`; `after_kill` may damage it as the machine's end would have.
    """
    chance = Random(seed)
    promises: list[Promise] = []
    flow = call_list = ""

    async def load(engine: Installation) -> str:
        """Begin with the list; the flow."""
        made = await make_flow(engine.client, {"+14155550100": CALLS_PER_S})
        nonlocal call_list
        call_list = (await engine.client.upload_list(made, "people.csv", make_csv(LISTED))).id
        return made

    with trio.fail_after(GUARD_S):
        async with open_carrier(folder) as trunk:
            config = make_config(folder / "data", trunk)
            for _ in range(kills):
                async with _killed(folder, config, variables) as (engine, nursery):
                    flow = flow or await load(engine)
                    nursery.start_soon(_kill, engine, chance.uniform(0.0, ALIVE_S))
                    await _trigger(engine, flow, promises)
                    await trio.Event().wait()  # until it is killed
                after_kill()
            async with open_installation(folder, config, variables) as engine:
                await _keep(engine, flow, promises)
                listed = await _finish_list(engine, call_list)
                promised = {
                    str(one.contact): await _finish(engine, str(one.contact)) for one in promises
                }
                await _ask_again(engine, flow, promises)
    return Aftermath(listed, promises, promised, read_calls(folder))


def judge(aftermath: Aftermath) -> None:
    """Nothing lost, nothing twice."""
    assert len(aftermath.listed) == LISTED
    assert len(aftermath.promised) == len(aftermath.promises), "two triggers share a contact"
    for promise in aftermath.promises:
        assert aftermath.promised[str(promise.contact)].number == promise.number
    outcomes = [*aftermath.listed.values(), *aftermath.promised.values()]
    assert Counter(one.attempts for one in outcomes) == {1: len(outcomes)}
    assert {one.disposition for one in outcomes} <= {"answered", "unknown"}
    invites = Counter(f"+{call.number.lstrip('+')}" for call in aftermath.calls)
    assert max(invites.values()) == 1
    assert set(invites) <= {one.number for one in outcomes}
    answered = {one.number for one in outcomes if one.disposition == "answered"}
    assert answered <= set(invites)


@asynccontextmanager
async def _killed(
    folder: Path, config: str, variables: Sequence[tuple[str, str]]
) -> AsyncIterator[tuple[Installation, trio.Nursery]]:
    """The product, which the block kills; its end is the end of the block."""
    try:
        async with (
            open_installation(folder, config, variables) as engine,
            trio.open_nursery() as nursery,
        ):
            yield engine, nursery
    except* CommandFailed as failed:
        if "code -9" not in str(failed.exceptions):
            raise  # it fell by itself


async def _kill(engine: Installation, after_s: float) -> None:
    await trio.sleep(after_s)  # the moment of the kill is chosen, not waited out
    os.kill(engine.child.pid, signal.SIGKILL)


async def _trigger(engine: Installation, flow: str, promises: list[Promise]) -> None:
    """What is in doubt from the last start, then new calls."""
    await _keep(engine, flow, promises)

    async def program(serial: int) -> None:
        for _ in range(TRIGGERS_MAX // PROGRAMS):
            number = len(promises)
            promise = Promise(f"key-{number}", f"+1415555{number:04}")
            promises.append(promise)
            if not await _ask(engine, flow, promise):
                return  # nobody is there any more

    async with trio.open_nursery() as nursery:
        for serial in range(PROGRAMS):
            nursery.start_soon(program, serial)


async def _keep(engine: Installation, flow: str, promises: list[Promise]) -> None:
    for promise in promises:
        if promise.contact is None:
            await _ask(engine, flow, promise)


async def _ask(engine: Installation, flow: str, promise: Promise) -> bool:
    """Ask for the call; whether an answer came."""
    path = f"/v1/flows/{flow}/calls"
    body = msgspec.json.encode({"to": promise.number})
    # A request ends by itself, as the kill ends its connection.
    with trio.CancelScope(shield=True):
        try:
            status, answer = await _request(engine, "POST", path, body, promise.key)
        except HttpFailed:
            return False  # the kill was faster than the answer
    assert status == 202, answer
    assert promise.contact in (None, answer["contact"]), "the same key made two contacts"
    promise.contact = answer["contact"]
    return True


async def _ask_again(engine: Installation, flow: str, promises: list[Promise]) -> None:
    """The same key gives the same contact, however often the process died in between."""
    for promise in promises[:: max(1, len(promises) // 20)]:
        await _ask(engine, flow, promise)


async def _finish_list(engine: Installation, call_list: str) -> dict[str, Outcome]:
    await wait_completed(engine.client, call_list)
    attempts = Counter(one.contact for one in await engine.client.list_attempts(call_list))
    return {
        one.id: Outcome(one.tel[0], one.disposition, attempts[one.id])
        for one in await engine.client.list_contacts(call_list)
    }


async def _finish(engine: Installation, contact: str) -> Outcome:
    while True:
        status, view = await _request(engine, "GET", f"/v1/contacts/{contact}")
        assert status == 200, f"{contact} was promised, and is not there"
        if view["disposition"] is not None:
            return Outcome(view["tel"][0], view["disposition"], len(view["attempts"]))
        await trio.sleep(POLL_S)


async def _request(
    engine: Installation, method: str, path: str, body: bytes | None = None, key: str | None = None
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {engine.admin_key}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    answer = await engine.client._http.request(
        method, engine.url + path, headers=headers, body=body
    )
    return answer.status, msgspec.json.decode(answer.body)
