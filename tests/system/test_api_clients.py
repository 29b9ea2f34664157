"""The running API as programs meet it that know nothing but its description."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import trio

from bench.installation import Installation, make_config, open_installation
from tests.peers import require_tools
from tests.sizes import size
from tests.system.carrier import open_carrier

PROGRAM = Path(__file__).with_name("api_program.py")
EXAMPLES = size(2, 100)
"""Requests of each route that are made up."""

pytestmark = pytest.mark.peer


@pytest.fixture
def tools() -> Path:
    return require_tools()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Installation]:
    with trio.fail_after(280):
        async with open_carrier(tmp_path) as carrier:
            config = make_config(tmp_path / "data", carrier)
            async with open_installation(tmp_path, config) as installation:
                yield installation


async def run(folder: Path, command: Sequence[str], **environment: str) -> str:
    """What a program printed in this folder, which must have ended well."""
    done = await trio.run_process(
        command,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=folder,
        env={**_clean(os.environ), **environment},
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-3000:]
    return done.stdout.decode()


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Without our own modules, which that Python must not see."""
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


async def test_a_client_generated_from_the_description_makes_a_flow_triggers_it_and_reads_the_result(
    tools: Path, engine: Installation, tmp_path: Path
) -> None:
    described = await engine.client._http.request("GET", f"{engine.url}/openapi.json")
    file = tmp_path / "openapi.json"
    file.write_bytes(described.body)
    generated = tmp_path / "generated"
    await run(
        tmp_path,
        [
            *(str(tools / "openapi-python-client"), "generate", "--path", str(file)),
            *("--meta", "none", "--output-path", str(generated / "callwheel_client")),
        ],
    )
    program = [str(tools / "python"), str(PROGRAM), engine.url, engine.admin_key]
    printed = await run(tmp_path, program, PYTHONPATH=str(generated))
    assert sorted(printed.split("\n")) == ["", "r0 answered", "r1 answered", "r2 answered"]


async def test_no_request_that_the_description_allows_or_forbids_is_answered_with_a_fault_of_ours(
    tools: Path, engine: Installation, tmp_path: Path
) -> None:
    printed = await run(
        tmp_path,
        [
            *(str(tools / "schemathesis"), "run", f"{engine.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {engine.admin_key}"),
            *("--checks", "not_a_server_error", "--phases", "fuzzing"),
            *("--exclude-path", "/v1/events"),  # it never ends
            *("--mode", "all", "--max-examples", str(EXAMPLES), "--seed", "1"),
            *("--workers", "2", "--request-timeout", "30", "--no-color"),
        ],
    )
    assert "Fuzzing" in printed
    assert " passed" in printed
    # It is still there, and well.
    assert (await engine.client._http.request("GET", f"{engine.url}/healthz")).status == 200
