"""`callwheel keys`."""

from __future__ import annotations

import json

import pytest

from api.__main__ import run
from tests.api.commands.answering import serve


def test_keys_are_listed_replaced_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    key = {"id": "key_1", "account": "acc_1", "role": "owner", "name": "CRM", "scopes": ["lists"]}
    answers = {
        "/v1/keys?limit=1000": (200, {"items": [key], "next": None}),
        "/v1/keys/key_1/rotate": (201, {**key, "id": "key_2", "key": "cw_x"}),
        "/v1/keys/key_1": (200, {}),
    }
    with serve(answers) as (url, seen):
        at = ["--url", url, "--key", "cw_k"]
        assert run(["keys", "list", *at]) == 0
        assert run(["keys", "rotate", "key_1", "--overlap", "2", *at]) == 0
        assert run(["keys", "revoke", "key_1", *at]) == 0
    assert [request[:2] for request in seen.requests] == [
        ("GET", "/v1/keys?limit=1000"),
        ("POST", "/v1/keys/key_1/rotate"),
        ("DELETE", "/v1/keys/key_1"),
    ]
    assert json.loads(seen.bodies[1]) == {"overlap_s": 7200.0}
    listed = "key_1\tacc_1\towner\tgood\tnever used\tlists\tCRM\n"
    assert capsys.readouterr().out == f"{listed}cw_x\n"


@pytest.mark.usefixtures("in_india")
def test_the_moments_of_a_key_are_those_of_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    key = {"id": "key_1", "account": "acc_1", "role": "owner"}
    at = {"last_used_at": "2030-07-01T09:30:00.000Z", "expires_at": "2030-08-01T09:30:00.000Z"}
    revoked = {"id": "key_2", "revoked_at": "2030-07-01T09:30:00.000Z"}
    items = [{**key, **at}, {**key, **revoked}]
    answers = {
        "/v1/keys?limit=1000": (200, {"items": items, "next": None}),
        "/v1/keys/key_1/rotate": (201, {**key, "id": "key_3", "key": "cw_x"}),
    }
    with serve(answers) as (url, _):
        assert run(["keys", "list", "--url", url, "--key", "cw_k"]) == 0
        assert run(["keys", "rotate", "key_1", "--overlap", "1", "--url", url, "--key", "k"]) == 0
    out, err = capsys.readouterr()
    assert [line.split("\t")[3:5] for line in out.splitlines()[:2]] == [
        ["good until Thu 1 August 2030, 15:00 IST", "used Mon 1 July 2030, 15:00 IST"],
        ["revoked Mon 1 July 2030, 15:00 IST", "never used"],
    ]
    assert "which stays good for 1 hour. " in err


def test_keys_create_prints_the_key_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"id": "key_1", "key": "cw_x", "account": "acc_1", "role": "owner"}
    monkeypatch.setenv("CALLWHEEL_ADMIN_KEY", "cw_admin")
    with serve({"/v1/keys": (201, made)}) as (url, seen):
        monkeypatch.setenv("CALLWHEEL_URL", url)
        assert run(["keys", "create", "--account", "sales", "--role", "owner"]) == 0
    assert seen.requests == [("POST", "/v1/keys", "Bearer cw_admin")]
    assert json.loads(seen.bodies[0]) == {"account": "sales", "role": "owner"}
    assert capsys.readouterr() == (
        "cw_x\n",
        "A key of sales as owner (key_1). It is shown this once; keep it.\n",
    )
