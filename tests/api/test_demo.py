"""The demo's own parts: its list, its measuring, its verdict, its display, its child processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from api.answers import AttemptView, ContactView, Counts, FeedEvent, ListView, SipView
from api.commands import CommandFailed
from api.commands.children import ChildPlan, clean_environment, host_child, read_tail
from api.commands.demo_list import (
    SETTINGS,
    DemoList,
    make_chime,
    make_config,
    make_definition,
    make_list,
)
from api.commands.demo_summary import DidSummary, Run, count_peak, find_faults, measure_dids
from api.commands.live import make_display, make_line, say_duration
from api.commands.progress import DidPace, Progress
from api.config import Trunk, read_config
from api.config.keys import TrunkUri
from engine.flow.definition import read_definition
from engine.intake.rows import Rules
from engine.model import FlowSettings, Report, RowError
from engine.model.variable import Variable
from sim.call_log import CallRecord
from tests.engine.intake.judging import judge

START = datetime(2026, 1, 1, tzinfo=UTC)
SAID = SipView(486, "Busy Here", "call-1")


@pytest.mark.parametrize(("contacts", "seed"), [(1, 1), (3, 2), (1000, 1), (1000, 7)])
def test_the_list_is_taken_as_it_was_meant(contacts: int, seed: int) -> None:
    planned = make_list(contacts, seed)
    rules = Rules(
        destinations=("+1",),
        timezone="America/Los_Angeles",
        variables={"name": Variable("there")},
        now=1.8e9,
    )
    report = judge("file", planned.content, "demo.csv", rules).verdict.report
    assert (report.accepted, tuple(sorted(error.code for error in report.errors))) == (
        contacts,
        planned.codes,
    )
    assert report.warnings == ()


def test_the_same_seed_makes_the_same_list_and_chime_and_another_another() -> None:
    assert make_list(50, 1) == make_list(50, 1)
    assert make_list(50, 1) != make_list(50, 2)
    assert make_chime(1) == make_chime(1)
    assert len({make_chime(seed) for seed in range(20)}) > 1


def test_no_number_of_the_list_is_a_command_to_the_carrier() -> None:
    rows = make_list(5000, 3).content.decode().splitlines()[1:]
    assert [row for row in rows if row.split(",")[0][-4:-3] == "9" and "E+" not in row] == []


def test_the_chime_is_a_recording_of_a_second_or_so() -> None:
    with wave.open(io.BytesIO(make_chime(1))) as chime:
        assert (chime.getnchannels(), chime.getsampwidth(), chime.getframerate()) == (1, 2, 16_000)
        assert chime.getnframes() == 19_200
        assert any(chime.readframes(19_200))


def test_the_flow_and_the_configuration_are_right(tmp_path: Path) -> None:
    read_definition(make_definition("prm_1"))
    msgspec.convert(SETTINGS, FlowSettings)
    config = read_config(make_config(str(tmp_path / 'a "b" \\c'), "sip:127.0.0.1:5070"), {})
    assert (config.data_dir, config.trunks, config.limits.destinations) == (
        str(tmp_path / 'a "b" \\c'),
        (Trunk("main", TrunkUri("127.0.0.1", 5070)),),
        ("+1",),
    )


@given(st.lists(st.integers(0, 5000)))
def test_the_peak_is_that_of_counting_every_window(moments_ms: list[int]) -> None:
    by_force = max(
        (sum(start <= moment < start + 1000 for moment in moments_ms) for start in moments_ms),
        default=0,
    )
    # Milliseconds, because whole numbers are exact as floats and thousandths are not.
    assert count_peak(map(float, moments_ms), window_s=1000.0) == by_force


def call(caller: str, at: float) -> CallRecord:
    """A call as the carrier writes it down."""
    return CallRecord(
        number="14155550000",
        caller=caller,
        call_id=f"{caller}{at}",
        invite_at=at,
        outcome="busy",
        code=486,
    )


def test_the_pace_of_a_did_is_what_the_carrier_saw() -> None:
    calls = [call("+12", 0.0), call("+12", 0.5), call("12", 1.0), call("+13", 0.1)]
    assert measure_dids(calls, {"+12": 2, "+13": 0.5, "+14": 5}) == [
        DidSummary("+12", 3, 2, 2),
        DidSummary("+13", 1, 1, 1),
        DidSummary("+14", 0, 0, 5),
    ]


def good_run(**changes: Any) -> Run:
    """A run of two contacts in which all is well, but for the changes."""
    run = Run(
        planned=DemoList(b"", 2, ("missing_tel",)),
        view=ListView(
            id="lst_1",
            flow="flw_1",
            name="demo.csv",
            status="completed",
            report=Report(3, 2, 1, (RowError(1, "tel1", "missing_tel", "Missing."),)),
            dispositions={"busy": 1, "answered": 1},
        ),
        contacts=[
            ContactView("cnt_1", ("+1",), "completed", "busy"),
            ContactView("cnt_2", ("+2",), "completed", "answered"),
        ],
        attempts=[
            AttemptView("att_1", "cnt_1", "+1", "+12", "busy", START, "busy", SAID),
            AttemptView("att_2", "cnt_2", "+2", "+12", "completed", START, "answered", SAID),
        ],
        calls=[call("+12", 0.0), call("+12", 0.5)],
        cps={"+12": 2},
        told=2,
    )
    return msgspec.structs.replace(run, **changes)


def test_a_run_in_which_all_is_well_has_no_faults() -> None:
    assert find_faults(good_run()) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"told": 3}, "completions that the feed told of: expected 2, found 3."),
        ({"cps": {"+12": 1}}, "+12 made 2 calls within a second; its limit is 1."),
        ({"cps": {"+13": 9}}, "callers that are no DID of the demo: expected 0, found 2."),
        (
            {"calls": [call("+12", 0.0), call("+12", 0.5), call("+12", 9.0)]},
            "calls that the carrier saw: expected 2, found 3.",
        ),
        (
            {"planned": DemoList(b"", 2, ("spreadsheet_damage",))},
            "reasons of rejected rows: expected ['spreadsheet_damage'], found ['missing_tel'].",
        ),
        (
            {
                "contacts": [
                    ContactView("cnt_1", ("+1",), "completed", "busy"),
                    ContactView("cnt_2", ("+2",), "dialing"),
                ]
            },
            "contacts without a disposition: expected 0, found 1.",
        ),
        (
            {
                "attempts": [
                    AttemptView("att_1", "cnt_1", "+1", "+12", "busy", START, "busy", SAID),
                    AttemptView("att_2", "cnt_2", "+2", "+12", "ringing", START),
                ]
            },
            "attempts without a disposition: expected 0, found 1.",
        ),
        (
            {"contacts": [ContactView("cnt_1", ("+1",), "completed", "busy")] * 2},
            "different contacts: expected 2, found 1.",
        ),
    ],
)
def test_what_must_hold_and_does_not_is_said(changes: dict[str, Any], fault: str) -> None:
    assert find_faults(good_run(**changes)) == [fault]


def tell(seq: int, kind: str, after_s: float, **fields: Any) -> FeedEvent:
    """An event of the feed, so many seconds after the start."""
    return FeedEvent(seq, START + timedelta(seconds=after_s), kind, "lst_1", **fields)


def make_progress() -> Progress:
    """Half of a list of four: one answered call has ended, one is up, one rings."""
    progress = Progress(4)
    for event in [
        tell(1, "list.accepted", 0, data={"contacts": 4}),
        tell(2, "attempt.initiated", 1.0, attempt="a", data={"did": "+12"}),
        tell(3, "attempt.initiated", 1.5, attempt="b", data={"did": "+12"}),
        tell(4, "attempt.answered", 2.0, attempt="a"),
        tell(5, "attempt.answered", 2.1, attempt="b"),
        tell(6, "attempt.ended", 2.2, attempt="a", data={"disposition": "answered"}),
        tell(7, "contact.completed", 2.2, contact="c", data={"disposition": "answered"}),
        tell(8, "attempt.initiated", 2.4, attempt="d", data={"did": "+13"}),
        tell(9, "contact.waiting", 2.4, contact="e", data={"blocker": "did_cps"}),
    ]:
        progress.take(event)
    return progress


def test_progress_follows_from_the_events() -> None:
    progress = make_progress()
    assert (progress.completed, progress.calls_up, progress.calls_dialing) == (1, 1, 1)
    assert progress.paces() == (DidPace("+12", 1, 2), DidPace("+13", 1, 1))
    assert progress.left_s == pytest.approx(1.4 * 3)
    assert not progress.has_ended
    progress.take(tell(10, "list.completed", 3.0))
    assert progress.has_ended


def test_progress_takes_over_what_the_engine_knows_better() -> None:
    progress = make_progress()
    counts = Counts(contacts=4, completed=1)
    behind = ListView("lst_1", "flw_1", "n", "running", counts=counts)
    progress.adopt(behind)
    assert progress.dispositions == {"answered": 1}
    counts = Counts(contacts=4, completed=3)
    ahead = msgspec.structs.replace(behind, counts=counts, dispositions={"busy": 3})
    progress.adopt(ahead)
    assert (progress.completed, progress.has_ended) == (3, False)
    # Events of what is counted already do not count twice.
    progress.take(tell(10, "contact.completed", 3.0, contact="f", data={"disposition": "busy"}))
    assert (progress.completed, progress.told) == (3, 2)
    progress.adopt(msgspec.structs.replace(ahead, status="canceled"))
    assert progress.has_ended


def test_progress_says_what_is_waited_for_while_no_call_goes_on() -> None:
    progress = Progress(4)
    waits = {"calling_window": 1, "retry_wait": 2}
    progress.take(tell(1, "list.waiting", 0.0, data={"blocked": waits}))
    assert make_line(progress).endswith(" | waits: retry_wait=2 calling_window=1")
    written = io.StringIO()
    Console(width=100, file=written).print(make_display(progress, "demo.csv"))
    assert "waits: retry_wait=2 calling_window=1" in written.getvalue()
    progress.take(tell(1, "list.waiting", 0.0, data={"blocked": {"[/a]": 1}}))
    Console(width=100, file=written).print(make_display(progress, "demo.csv"))
    assert "waits: [/a]=1" in written.getvalue()
    progress.take(tell(2, "attempt.initiated", 1.0, attempt="a", data={"did": "+12"}))
    assert "waits" not in make_line(progress)
    view = ListView("lst_1", "flw_1", "n", "running", blocked={"list_paused": 3})
    quiet = Progress(4)
    quiet.adopt(view)
    assert make_line(quiet).endswith(" | waits: list_paused=3")
    quiet.adopt(msgspec.structs.replace(view, status="canceled"))
    assert "waits" not in make_line(quiet)


def test_progress_in_a_line_and_in_a_block() -> None:
    progress = make_progress()
    assert make_line(progress) == ("1/4 done, 1 up, 1 dialing, 2 calls/s, 1 s | answered=1")
    written = io.StringIO()
    console = Console(width=100, file=written, markup=False, highlight=False)
    console.print(make_display(progress, "demo.csv"))
    text = written.getvalue()
    assert [
        part for part in ("demo.csv", "1 of 4", "answered", "+12", "+13") if part not in text
    ] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (7.4, "7 s"), (59.6, "1:00 min"), (125, "2:05 min"), (3725, "1:02:05 h")],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, text: str) -> None:
    assert say_duration(seconds) == text


def plan_child(folder: Path, *arguments: str) -> ChildPlan:
    """A child of the test."""
    environment = clean_environment({"PATH": "/bin", "CALLWHEEL_HTTP__BIND": "x"}, [("A", "b")])
    assert environment == {"PATH": "/bin", "A": "b"}
    return ChildPlan(
        "the child", arguments, environment, folder / "child.log", r"takes calls at (sip:\S+)"
    )


async def test_a_child_is_ready_when_it_says_so_and_gone_when_it_is_cancelled(
    tmp_path: Path,
) -> None:
    plan = plan_child(tmp_path, "sim", "--bind", "127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        ready = (await nursery.start(host_child, plan)).said
        nursery.cancel_scope.cancel()
    port = int(ready[1].rpartition(":")[2])
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as free:
        # It can be bound again only because the child has gone.
        await free.bind(("127.0.0.1", port))
    assert plan.log.read_text().startswith("The simulated carrier takes calls at sip:127.0.0.1:")


async def test_a_child_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    plan = plan_child(tmp_path, "sim", "--bind", "nowhere")
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await nursery.start(host_child, plan)
    (error,) = caught.value.exceptions
    assert isinstance(error, CommandFailed)
    assert str(error) == (
        "the child ended by itself with code 1."
        "\n  | callwheel sim: bind nowhere: expected ADDRESS:PORT."
    )


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert read_tail(log) == " It has written nothing."
    log.write_text("".join(f"line {i}\n" for i in range(5000)))
    assert read_tail(log).splitlines()[1::14] == ["  | line 4985", "  | line 4999"]


def test_the_demo_dials_its_list_to_the_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api", "demo", "--contacts", "12", "--seed", "5"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo.csv uploaded: 18 rows, 12 accepted, 6 rejected" in done.stdout
    assert "Each of the 12 accepted contacts ended in exactly one disposition" in done.stdout
    assert list(tmp_path.iterdir()) == []
