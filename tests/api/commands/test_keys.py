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
