"""A database of any earlier schema opens, gives everything back that it holds, and goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import pytest
from sqlite_utils import Database

from adapters.sqlite.schema import MIGRATIONS, migrate
from adapters.sqlite.store import SqliteStore, open_sqlite_store
from engine.model import FlowSettings, Media, SipOutcome
from engine.ports.read_store import AttemptFilter
from tests.contract.store_samples import NOW, FixedClock, about, an_attempt, completed, ended

GRAPH: Final = '{"start":"bye","nodes":{"bye":{"type":"hangup"}}}'
NUMBER: Final = "+1415555012"
"""All digits but the last, which is that of the contact."""
AGENTS: Final = 3
RECORDINGS: Final = 4
VERSIONS: Final = 5
KEY_ENDS: Final = 16
"""Numbers of the migrations that brought these tables."""

_ROWS: Final = (
    f"INSERT INTO accounts (n, id, name, timezone, email, created_at, last_seq) "
    f"VALUES (1, 'acc_1', 'acme', 'Asia/Kolkata', 'a@b.example', {NOW}, 7)",
    f"INSERT INTO keys (id, account, role, sha256, created_at) VALUES ('key_1', 1, 'owner', x'01', {NOW})",
    "INSERT INTO dids (number, account, trunk, cps, channels, caps) "
    "VALUES ('+14155550100', 1, 'main', 2, 3, '[]')",
    f"INSERT INTO flows (n, id, account, name, kind, timezone, definition, settings, version, "
    f"listener_active, dids, calls_list, created_at) VALUES (1, 'flw_1', 1, 'reminder', 'multicast', "
    f"""'UTC', '{GRAPH}', '{{"attempts_max":2}}', 3, 1, '["+14155550100"]', 'lst_1', {NOW})""",
    f"INSERT INTO prompts (account, id, name, duration_s, created_at) VALUES (1, 'prm_1', 'tone', 1, {NOW})",
    f"INSERT INTO do_not_call (account, number, flow, added_at) VALUES (1, '+14155550199', '', {NOW})",
    f"INSERT INTO answers (account, key, fingerprint, status, body, created_at) "
    f"VALUES ('acc_1', 'k', x'02', 202, x'7b7d', {NOW})",
    *(
        f"INSERT INTO lists (n, id, account, flow, flow_version, name, status, report, created_at, "
        f"header, standing, contacts, open, dialing, completed, has_open, unfinished) "
        f"VALUES ({n}, 'lst_{n}', 1, 1, "
        f"""2, 'old', 'running', '{{"rows":2,"accepted":2,"rejected":0}}', {NOW}, '["tel1"]', {standing}, """
        f"{contacts}, {is_open}, {dialing}, {done}, {is_open}, {unfinished})"
        for n, standing, contacts, is_open, dialing, done, unfinished in (
            (1, 1, 0, 0, 0, 0, 0),
            (2, 0, 3, 1, 1, 1, 1),
        )
    ),
    *(
        f"INSERT INTO contacts (id, list, row, tel, variables, starttime, state, due_at, wait_code, "
        f"""tel_index, spent, tries, disposition, completed_at) """
        f"""VALUES ('cnt_{n}', 2, {n}, '["{NUMBER}{n}"]', """
        f"""'{{"name":"Ada"}}', {NOW}, '{state}', {NOW}, 'starttime', 0, 0, NULL, {disposition}, {at})"""
        for n, state, disposition, at in (
            (1, "open", "NULL", "NULL"),
            (2, "dialing", "NULL", "NULL"),
            (3, "completed", "'answered'", str(NOW)),
        )
    ),
    'INSERT INTO rejected (list, place, row, "column", code, detail, cells) '
    "VALUES (2, 0, 9, 'tel1', 'invalid_number', 'It is none.', '[\"x\"]')",
    f"INSERT INTO attempts (account, id, flow, list, contact, number, did, trunk, status, initiated_at) "
    f"VALUES (1, 'att_2', 1, 2, 'cnt_2', '{NUMBER}2', '+14155550100', 'main', 'initiated', {NOW})",
    f"INSERT INTO attempts (account, id, flow, list, contact, number, did, trunk, status, initiated_at, "
    f"disposition, answered_at, ended_at, detail) VALUES (1, 'att_3', 1, 2, 'cnt_3', '{NUMBER}3', "
    f"'+14155550100', 'main', 'completed', {NOW}, 'answered', {NOW + 1}, {NOW + 9}, "
    """'{"sip":{"code":200,"reason":"OK","call_id":"a@b"},"media":{"loss":0.0,"jitter_ms":1.0}}')""",
    "INSERT INTO events (account, seq, list, type, body) "
    "VALUES (1, 7, 2, 'attempt.ended', x'7b7d')",
)
_LATER_ROWS: Final = {
    AGENTS: (
        f"INSERT INTO agents (id, account, flow, number, name, presence, presence_at, created_at) "
        f"VALUES ('agt_1', 1, 1, '+14155550150', 'Eve', 'away', {NOW}, {NOW})",
        f"INSERT INTO legs (id, account, flow, list, number, did, trunk, initiated_at, attempt) VALUES "
        f"('leg_1', 1, 1, 2, '+14155550150', '+14155550100', 'main', {NOW}, 'att_3')",
        "INSERT INTO answer_days (flow, day, answered, abandoned) VALUES (1, 20000, 5, 1)",
    ),
    RECORDINGS: (
        f"INSERT INTO recordings (id, account, attempt, created_at) VALUES ('rec_1', 1, 'att_3', {NOW})",
    ),
    VERSIONS: (
        f"INSERT INTO flow_versions (flow, version, definition) VALUES (1, 3, '{GRAPH}')",
        "UPDATE lists SET flow_version = 3",
        "UPDATE contacts SET flow_version = 3",
    ),
}
"""By the migration that made room for them."""


def make_old(path: Path, level: int) -> None:
    """A database as a release with so many migrations left it, with rows in every table."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(Database(connection), MIGRATIONS[:level])
    later = [row for number, rows in _LATER_ROWS.items() if number <= level for row in rows]
    for statement in (*_ROWS, *later):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("level", range(1, len(MIGRATIONS) + 1))
async def test_a_database_of_an_earlier_release_gives_everything_back_and_goes_on(
    tmp_path: Path, level: int
) -> None:
    path = tmp_path / "callwheel.db"
    make_old(path, level)
    clock = FixedClock()
    async with open_sqlite_store(path, lambda _events: None, clock) as store:
        account = await store.get_account("acme")
        assert account is not None
        flow = await store.get_flow("acc_1", "flw_1")
        assert flow is not None
        assert (flow.definition, flow.settings) == (
            msgspec.json.decode(GRAPH),
            FlowSettings(attempts_max=2),
        )
        assert (await store.find_key(b"\x01")) is not None
        assert [one.number for one in (await store.list_dids("acc_1", 9, None)).items] == [
            "+14155550100"
        ]
        assert await store.get_prompt("acc_1", "prm_1") is not None
        assert await store.get_answer("acc_1", "k") is not None
        assert len((await store.list_do_not_call("acc_1", 9, None)).items) == 1
        assert len((await store.list_rejected("acc_1", "lst_2", 9, None)).items) == 1
        assert len(await store.events_after("acc_1", 0, 9)) == 1
        attempts = (await store.list_attempts("acc_1", AttemptFilter(), 9, None)).items
        told = {one.id: (one.steps, one.media, one.sip, one.agent) for one in attempts}
        assert told == {
            "att_2": ((), None, None, None),
            "att_3": ((), Media(0.0, 1.0), SipOutcome(200, "OK", "a@b"), None),
        }
        await _check_legs(store, level)

        [waiting] = await store.due_contacts("lst_2", NOW, 9)
        graph = await store.get_definition("acc_1", "flw_1", waiting.flow_version)
        assert (waiting.id, waiting.detour, graph) == ("cnt_1", None, flow.definition)
        [(interrupted, on_line)] = await store.open_attempts()
        assert (interrupted.id, on_line.id, on_line.flow_version) == ("att_2", "cnt_2", 3)
        over = msgspec.structs.replace(ended(interrupted), disposition="unknown")
        assert await store.end_attempt(over, completed(on_line), [about(over, "attempt.ended")])
        attempt = msgspec.structs.replace(
            an_attempt(waiting), id="att_9", flow="flw_1", list="lst_2"
        )
        assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
        assert await store.end_attempt(ended(attempt), completed(waiting), [])
        finished = await store.get_list("acc_1", "lst_2")
        assert finished is not None
        assert finished.status == "completed"


async def _check_legs(store: SqliteStore, level: int) -> None:
    agents = (await store.list_agents("acc_1", "flw_1", 9, None)).items
    legs = [one.id for one in await store.open_legs()]
    recordings = [one.id for one in (await store.list_recordings("acc_1", "att_3", 9, None)).items]
    days = len(await store.answer_days(0))
    assert ([one.id for one in agents], legs, days) == (
        (["agt_1"], ["leg_1"], 1) if level >= AGENTS else ([], [], 0)
    )
    assert recordings == (["rec_1"] if level >= RECORDINGS else [])


async def test_a_key_that_was_made_to_end_knows_for_how_long_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "callwheel.db"
    make_old(path, KEY_ENDS)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE keys SET expires_at = created_at + 3600")
    async with open_sqlite_store(path, lambda _events: None, FixedClock()) as store:
        key = await store.find_key(b"\x01")
    assert key is not None
    assert (key.expires_at, key.life_s) == (NOW + 3600, 3600)
