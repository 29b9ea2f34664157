"""No question reads more of a table than it answers with."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import msgspec
import pytest
from sqlite_utils import Database

from adapters.sqlite import (
    agents,
    answers,
    attempts,
    dialing,
    do_not_call,
    flows,
    keys,
    moving,
    past_calls,
    reading,
    recordings,
)
from adapters.sqlite.cursors import cursor_of
from adapters.sqlite.schema import migrate
from engine.ports.read_store import AttemptFilter


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(Database(connection))
    yield connection
    connection.close()


def plan_of(database: sqlite3.Connection, sql: str) -> list[str]:
    numbers = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    parameters = [0] * max(numbers, default=sql.count("?"))
    rows = database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    return [str(row[3]) for row in rows]


STATEMENTS: dict[str, str] = {
    name: getattr(module, name)
    for module, names in (
        (
            attempts,
            ("BEGIN_CONTACT", "WHY_NOT_BEGUN", "NOTE_PROGRESS", "END_ATTEMPT", "END_CONTACT"),
        ),
        (
            dialing,
            (
                "OPEN_LIST",
                "DUE_CONTACTS",
                "DEFER_CONTACT",
                "WAITS_FOR",
                "COMPLETE_CONTACT",
                "CANCELED_LISTS",
                "OPEN_CONTACTS_OF",
                "THE_LIST",
            ),
        ),
        (
            reading,
            (
                "GET_LIST",
                "COUNT_LIST",
                "COUNT_WAITS",
                "FIRST_WAITS",
                "GET_CONTACT",
                "LIST_CONTACTS",
                "LIST_RESULTS",
                "LIST_REJECTED",
                "GET_ATTEMPT",
                "EVENTS_AFTER",
            ),
        ),
        (moving, ("THE_LIST", "THE_CONTACT", "MOVING_LIST", "NEXT_ROWS", "MOVE_CONTACT")),
        (flows, ("FIND_FLOW", "LIST_FLOWS", "UNFINISHED_LISTS")),
        (keys, ("FIND_KEY",)),
        (agents, ("GET_AGENT", "FIND_AGENT", "LEGS_OF", "END_LEG")),
        (recordings, ("GET_RECORDING", "LIST_RECORDINGS", "RECORDINGS_OF")),
        (answers, ("FIND_ANSWER", "PURGE_ANSWERS")),
    )
    for name in names
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_neither_scans_a_table_nor_sorts(
    database: sqlite3.Connection, name: str
) -> None:
    plan = plan_of(database, STATEMENTS[name])
    assert [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step] == []


@pytest.mark.parametrize("flow", [None, "flw"])
@pytest.mark.parametrize("cursor", [None, cursor_of(1.0, "lst")])
def test_a_page_of_lists_starts_at_its_key(
    database: sqlite3.Connection, flow: str | None, cursor: str | None
) -> None:
    sql, _ = reading.lists_question("acc", flow, cursor)
    plan = plan_of(database, sql)
    index = "lists_by_account (account=?" if flow is None else "lists_by_flow (flow=?"
    key = ")" if cursor is None else " AND (created_at,id)<(?,?))"
    assert f"SEARCH l USING INDEX {index}{key}" in plan
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in plan)


SEARCHES = [
    (AttemptFilter(), "PRIMARY KEY (account=?"),
    (AttemptFilter(flow="f"), "INDEX attempts_by_flow (flow=?"),
    (AttemptFilter(list="l"), "INDEX attempts_by_list (list=?"),
    (AttemptFilter(list="l", flow="f"), "INDEX attempts_by_list (list=?"),
    (AttemptFilter(is_open=True), "INDEX attempts_open (account=?"),
    (AttemptFilter(list="l", flow="f", is_open=True), "INDEX attempts_open (account=?"),
    (AttemptFilter(contact="c", is_open=True), "INDEX attempts_by_contact (contact=?"),
    (AttemptFilter(contact="c"), "INDEX attempts_by_contact (contact=?"),
    (AttemptFilter(contact="c", list="l", flow="f"), "INDEX attempts_by_contact (contact=?"),
    (AttemptFilter(number="+1"), "INDEX attempts_by_number (account=? AND number=?"),
    (AttemptFilter(number="+1", list="l"), "INDEX attempts_by_number (account=? AND number=?"),
    (AttemptFilter(number="+1", is_open=True), "INDEX attempts_open (account=?"),
    (AttemptFilter(number="+1", contact="c"), "INDEX attempts_by_contact (contact=?"),
]


@pytest.mark.parametrize("cursor", [None, cursor_of("att")])
@pytest.mark.parametrize("from_at", [None, 1.0])
@pytest.mark.parametrize("to_at", [None, 2.0])
@pytest.mark.parametrize(("which", "search"), SEARCHES)
def test_a_page_of_attempts_goes_by_the_narrowest_index_and_starts_at_its_key(
    database: sqlite3.Connection,
    which: AttemptFilter,
    search: str,
    from_at: float | None,
    to_at: float | None,
    cursor: str | None,
) -> None:
    asked = msgspec.structs.replace(which, from_at=from_at, to_at=to_at)
    sql, _ = reading.attempts_question("acc", asked, cursor)
    plan = plan_of(database, sql)
    lower = " AND id>?" if cursor is not None or from_at is not None else ""
    upper = " AND id<?" if to_at is not None else ""
    assert f"SEARCH t USING {search}{lower}{upper})" in plan
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in plan)


def test_what_bars_one_number_is_looked_up_by_its_names_alone(database: sqlite3.Connection) -> None:
    plan = plan_of(database, do_not_call.do_not_call_question(["+19005550100", "+1900*"]))
    assert any("PRIMARY KEY (account=? AND number=?)" in step for step in plan), plan


@pytest.mark.parametrize("statement", [agents.IS_LISTED, dialing.LISTED_CONTACTS])
def test_ranges_are_looked_for_among_ranges_alone(
    database: sqlite3.Connection, statement: str
) -> None:
    plan = plan_of(database, statement)
    found = [step.rpartition("(")[0] for step in plan if step.startswith("SEARCH d USING INDEX")]
    assert found == ["SEARCH d USING INDEX do_not_call_prefixes "]


def test_finding_the_graphs_that_are_needed_reads_open_lists_contacts_and_attempts_only(
    database: sqlite3.Connection,
) -> None:
    plan = plan_of(database, flows.NEEDED_VERSIONS)
    assert plan.count("SEARCH l USING INDEX lists_unfinished (flow=?)") == 2
    assert "SEARCH c USING INDEX contacts_due (list=?)" in plan
    assert "SEARCH t USING INDEX attempts_open (account=?)" in plan
    assert [step for step in plan if step.startswith("SCAN")] == []


@pytest.mark.parametrize(
    "question", [reading.COUNT_LIST, reading.WAITS_OF_MINUTE, reading.FIRST_OF_MINUTE]
)
def test_counting_a_list_reads_of_its_contacts_the_minute_that_passes_in_an_index_only(
    database: sqlite3.Connection, question: str
) -> None:
    plan = plan_of(database, question)
    index = "COVERING INDEX contacts_due (list=? AND due_at>? AND due_at<?)"
    assert [step for step in plan if step.startswith("SEARCH c ")] == [f"SEARCH c USING {index}"]


def test_finding_the_open_lists_reads_lists_that_are_open(database: sqlite3.Connection) -> None:
    plan = plan_of(database, dialing.OPEN_LISTS)
    assert "SEARCH l USING INDEX lists_open (status=?)" in plan
    assert "SEARCH c USING COVERING INDEX contacts_due (list=?)" in plan
    assert [step for step in plan if step.startswith("SCAN")] == []


def test_what_is_asked_at_a_start_reads_open_and_recent_attempts_only(
    database: sqlite3.Connection,
) -> None:
    assert "SCAN t USING INDEX attempts_open" in plan_of(database, attempts.OPEN_ATTEMPTS)
    recent = plan_of(database, past_calls.RECENT_STARTS)
    assert (
        "SEARCH t USING INDEX attempts_by_time (account=? AND initiated_at>? AND initiated_at<?)"
        in recent
    )
    assert "SEARCH g USING INDEX legs_by_time (initiated_at>? AND initiated_at<?)" in recent
    scans = [step for step in recent if step.startswith("SCAN")]
    assert [step.split()[1] for step in scans] == ["a"], "accounts are few"


def test_who_called_a_number_is_found_in_the_index_alone(database: sqlite3.Connection) -> None:
    plan = plan_of(database, past_calls.LAST_CALLERS)
    index = "SEARCH t USING COVERING INDEX attempts_by_number (account=? AND number=?)"
    assert [step for step in plan if " t " in step] == [index]
    assert not [step for step in plan if "TEMP B-TREE" in step]
