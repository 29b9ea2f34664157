"""The log that judges read."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sim.call_log import CallLog, CallRecord, CarrierStatistics, LateRequest, read_call_log


def record(call_id: str) -> CallRecord:
    return CallRecord(
        number="+14155550100", caller="+14155550199", call_id=call_id, invite_at=1.5,
        outcome="human", code=200, answered_at=2.0, ended_at=9.0, by="caller", acks=1, byes=1,
    )  # fmt: skip


def test_a_line_is_json_with_the_names_that_the_documentation_gives(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    log.write([record("a")])
    log.close()
    assert msgspec.json.decode((tmp_path / "calls.jsonl").read_bytes()) == {
        "type": "call", "number": "+14155550100", "caller": "+14155550199", "call_id": "a",
        "invite_at": 1.5, "outcome": "human", "code": 200, "answered_at": 2.0, "ended_at": 9.0,
        "by": "caller", "acks": 1, "byes": 1, "bye_retransmissions": 0, "cancels": 0,
        "invite_retransmissions": 0, "resent": 0, "rtp_received": 0, "rtp_gaps": 0,
    }  # fmt: skip


def test_what_came_late_is_added_to_its_call(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    log = CallLog(path)
    log.write([record("a"), LateRequest("a", "bye"), record("b"), LateRequest("c", "bye")])
    log.write([LateRequest("a", "bye", is_repeated=True)])
    log.write([LateRequest("a", "ack"), LateRequest("b", "invite"), LateRequest("b", "cancel")])
    log.write([CarrierStatistics(invites=2)])
    log.close()
    a, b = record("a"), record("b")
    a.acks, a.byes, a.bye_retransmissions = 2, 3, 1
    b.invite_retransmissions, b.cancels = 1, 1
    assert read_call_log(path) == ([a, b], CarrierStatistics(invites=2))


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    log = CallLog(path)
    log.write([record("a"), record("b")])
    log.close()
    path.write_bytes(path.read_bytes()[:-20])
    assert read_call_log(path) == ([record("a")], None)


def test_a_log_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    for call_id in ("a", "b"):
        log = CallLog(path)
        log.write([record(call_id)])
        log.close()
    assert read_call_log(path) == ([record("a"), record("b")], None)
