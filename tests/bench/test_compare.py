"""What counts as moved between two files of figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.__main__ import run
from bench.compare import Change, NotComparable, check_machines, compare, read_figures
from bench.figures import better, combine
from bench.report import write_json
from bench.scenario import Measurement

HERE = {"cpu": "a", "cores": "2"}


def measured(*per_s: float, floor: float | None = None, name: str = "dial") -> Measurement:
    """A scenario whose runs came to these."""
    floors = {} if floor is None else {"calls_per_s": floor}
    return combine(
        [
            Measurement(
                name,
                {"calls_per_s": one},
                floors,
                {figure: one / value for figure, value in floors.items()},
                HERE,
            )
            for one in per_s
        ]
    )


def judged(a: Measurement, b: Measurement) -> tuple[str, str]:
    (change,) = compare([a], [b])
    return change.movement, change.judgement


def test_several_runs_come_to_their_median_and_keep_what_each_was() -> None:
    one = measured(90, 110, 100)
    assert one.metrics == {"calls_per_s": 100}
    assert [part.metrics["calls_per_s"] for part in one.runs] == [90, 110, 100]


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ((100, 101, 102), (110, 111, 112), ("moved", "better")),
        ((100, 101, 102), (90, 91, 92), ("moved", "worse")),
        ((100, 101, 102), (102, 103, 104), ("within noise", "")),
        ((80, 100, 120), (110, 120, 130), ("within noise", "")),
        ((100,), (120,), ("within noise", "")),
        ((100,), (126,), ("moved", "better")),
    ],
)
def test_a_figure_has_moved_when_it_did_so_by_more_than_runs_differ(
    a: tuple[float, ...], b: tuple[float, ...], verdict: tuple[str, str]
) -> None:
    assert judged(measured(*a), measured(*b)) == verdict


def test_where_both_have_a_floor_the_ratio_counts_so_that_a_slow_hour_is_no_change() -> None:
    a, b = measured(100, 101, 102, floor=200), measured(50, 50.5, 51, floor=100)
    assert compare([a], [b]) == [
        Change("dial", "calls_per_s (ratio)", 0.505, 0.505, 0.05, "within noise", "")
    ]


def test_what_only_one_side_has_is_said() -> None:
    changes = compare([measured(1)], [measured(1, name="sip")])
    assert [(one.scenario, one.movement) for one in changes] == [
        ("dial", "only in A"),
        ("sip", "only in B"),
    ]


@pytest.mark.parametrize(
    ("figure", "wanted"),
    [
        ("calls_per_s", "more"),
        ("lag_within_250_ms_share", "more"),
        ("play_streams_sockets", "more"),
        ("cpu_us_per_call", "less"),
        ("late_ms_p99", "less"),
        ("resident_mb_before", "less"),
        ("ready_to_invite_s_1000", "less"),
        ("packets_lost", "less"),
        ("clients", None),
        ("contacts_canceled", None),
    ],
)
def test_the_name_of_a_figure_says_which_way_is_better(figure: str, wanted: str | None) -> None:
    assert better(figure) == wanted


def test_machines_that_differ_are_refused() -> None:
    other = Measurement("dial", {}, machine={"cpu": "b", "cores": "2"})
    with pytest.raises(NotComparable, match="machines differ \\(cpu a against b\\)"):
        check_machines([measured(1)], [other])


def test_the_command_fails_on_worse_only_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    write_json(a, [measured(100, 101, 102)])
    write_json(b, [measured(50, 51, 52)])
    assert read_figures(a) == [measured(100, 101, 102)]
    assert run(["bench", "compare", str(a), str(b)]) == 0
    assert run(["bench", "compare", str(a), str(b), "--fail-on-worse"]) == 1
    assert run(["bench", "compare", str(b), str(a), "--fail-on-worse"]) == 0
    assert "moved: worse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("compare", "a.json"), 2, "compare takes two files, A.json and B.json."),
        (("compare", "none.json", "b"), 1, "none.json cannot be read: No such file or directory."),
        (("--fail-on-worse",), 2, "--fail-on-worse and --other-machine are for compare."),
        (("wheel", "--repeat", "0"), 2, "--repeat takes 1 to 100."),
    ],
)
def test_a_mistake_in_the_command_is_said(
    arguments: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == code
    assert capsys.readouterr().err == f"callwheel bench: {said}\n"
