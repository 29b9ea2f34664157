"""The plain form of the client, and the examples of its page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
import trio

from api.client import CallwheelClient
from api.sync_client import SyncCallwheelClient
from tests.api.http.serving import serving
from tests.api.http.world import opened_world

PAGE: Final = Path(__file__).parents[2] / "docs" / "api-client.md"


def _methods_of(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def _examples() -> Iterator[str]:
    return iter(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))


def test_the_plain_client_does_all_that_the_other_awaits() -> None:
    awaited = {
        name
        for name in _methods_of(CallwheelClient)
        if inspect.iscoroutinefunction(getattr(CallwheelClient, name))
    }
    assert _methods_of(SyncCallwheelClient) == awaited
    assert _methods_of(CallwheelClient) - awaited == {"follow", "follow_sent"}


async def test_the_examples_of_the_page_print_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLWHEEL_KEY", "owner-ours")
    printed: list[list[str]] = []

    def run(example: str) -> None:
        with redirect_stdout(StringIO()) as output:
            exec(compile(example, str(PAGE), "exec"), {})
        printed.append(output.getvalue().splitlines())

    async with opened_world() as world, serving(world.app, closing=world.hub.close) as server:
        monkeypatch.setenv("CALLWHEEL_URL", f"http://{server.host}:{server.port}")
        for example in _examples():
            await trio.to_thread.run_sync(run, example)
    assert printed == [["1 to call", "not_found"], ["1 list.accepted"]]
