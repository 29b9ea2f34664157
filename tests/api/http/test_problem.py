from __future__ import annotations

import re
from pathlib import Path

import pytest
import structlog

from api.http import problem
from api.http.problem import KINDS, Problem, problem_of
from engine.form import Invalid, Mistake
from engine.intake.refused import Refused
from engine.model import RowError
from engine.ports.prompts import PromptRefused
from engine.ports.stored import Conflict, StoreUnavailable
from engine.ports.workers import WorkerFailed
from tests.api.http.world import PUBLIC_URL, World

ROOT = Path(problem.__file__).parents[2]


def test_a_problem_is_written_as_rfc_9457_has_it() -> None:
    found = problem_of(
        Invalid("invalid_body", "Wrong.", (Mistake("/a", "missing_field", "No a."),)), "i"
    )
    assert found.encode("https://x.example").decode() == (
        '{"type":"https://x.example/docs/errors/invalid_body",'
        '"title":"The body is not as it should be","status":422,"code":"invalid_body",'
        '"detail":"Wrong.","errors":[{"code":"missing_field","detail":"No a.","pointer":"/a"}]}'
    )


def test_an_error_of_a_row_keeps_its_place() -> None:
    refused = Refused("missing_tel", "No.", [RowError(3, "tel1", "missing_tel", "No number.")])
    assert problem_of(refused, "i").encode("").decode() == (
        '{"type":"/docs/errors/missing_tel","title":"A telephone number is missing","status":422,'
        '"code":"missing_tel","detail":"No.","errors":[{"code":"missing_tel",'
        '"detail":"No number.","row":3,"column":"tel1"}]}'
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict("no_dids", "x"), 409, "no_dids"),
        (Refused("listener_inactive", "x"), 409, "listener_inactive"),
        (Refused("file_too_large", "x"), 413, "file_too_large"),
        (Refused("a_code_of_tomorrow", "x"), 422, "a_code_of_tomorrow"),
        (PromptRefused("not_audio", "x"), 422, "not_audio"),
        (StoreUnavailable("disk full"), 503, "store_unavailable"),
        (WorkerFailed("died"), 503, "busy"),
        (Problem("forbidden", "x"), 403, "forbidden"),
        (RuntimeError("secret"), 500, "internal"),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, code: str) -> None:
    with structlog.testing.capture_logs():
        found = problem_of(error, "i")
    assert (found.kind.status, found.code) == (status, code)


def test_every_code_that_is_raised_anywhere_is_in_the_table() -> None:
    raised = re.compile(r"\b(?:Conflict|Refused|Invalid|Problem|PromptRefused)\(\s*\"([a-z_]+)\"")
    found = {
        code
        for folder in ("engine", "api/http", "adapters/sqlite", "adapters/media")
        for file in (ROOT / folder).rglob("*.py")
        for code in raised.findall(file.read_text())
    }
    assert found - set(KINDS) == set()


async def test_an_error_that_is_ours_shows_nothing_of_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[str]:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(world.engine, "problems", fail)
    with structlog.testing.capture_logs() as logs:
        reply = await world.stranger.get("/readyz")
    assert reply.problem == (500, "internal")
    assert b"secret" not in reply.body
    [entry] = logs
    assert entry["incident"] in reply.json["detail"]
    assert "the secret inside" in entry["traceback"]


async def test_readiness_says_what_is_missing(world: World) -> None:
    assert (await world.stranger.get("/healthz")).json == {"status": "alive"}
    assert (await world.stranger.get("/readyz")).json == {"status": "ready"}
    world.engine.obstacles = ["No trunk is configured.", "The engine is starting."]
    reply = await world.stranger.get("/readyz")
    assert reply.problem == (503, "not_ready")
    assert reply.json == {
        "type": f"{PUBLIC_URL}/docs/errors/not_ready",
        "title": "No call can be made at the moment",
        "status": 503,
        "code": "not_ready",
        "detail": "No trunk is configured. The engine is starting.",
        "errors": [
            {"code": "not_ready", "detail": "No trunk is configured."},
            {"code": "not_ready", "detail": "The engine is starting."},
        ],
    }


@pytest.mark.parametrize("by", ["shortcut", "view"])
async def test_what_a_request_met_that_could_not_be_stored_is_logged_with_what_it_was_about(
    world: World, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    async def fail(*_args: object) -> None:
        raise StoreUnavailable("disk full")

    flow = await world.make_flow()
    client = world.client("operator")
    with structlog.testing.capture_logs() as logs:
        if by == "shortcut":
            monkeypatch.setattr(world.store, "accept_call", fail)
            reply = await client.post(f"/v1/flows/{flow}/calls", {"to": "+14155550123"})
        else:
            monkeypatch.setattr(world.store, "get_flow", fail)
            reply = await client.get(f"/v1/flows/{flow}")
    assert reply.problem == (503, "store_unavailable")
    assert [line["flow"] for line in logs if line["event"] == "store_unavailable"] == [flow]
