"""What a run leaves: JSON of a fixed form, a page that needs nothing but itself, and bounded series."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import trio

from api.__main__ import run
from bench import run as running
from bench.page import make_page
from bench.plots import LINES_MAX, plot_lines
from bench.recorder import POINTS_MAX, Recorder, Series, name_process
from bench.scenario import Limit, Measurement, NotMeasured, Scenario, Show, Size

METRICS = {"calls_per_s": 100.0, "late_ms_p99": 5.0}


async def measure(size: Size, show: Show) -> Measurement:
    """A scenario that takes a moment and notes two figures."""
    show(f"the size {size}")
    show.note(calls_per_s=90.0, late_ms_p99=4.0)
    await trio.sleep(0.01)
    show.note(calls_per_s=110.0, late_ms_p99=6.0)
    limits = [Limit("late_ms_p99", 5.0, most=100.0), Limit("calls_per_s", 100.0, least=200.0)]
    return Measurement("tiny", METRICS, {"calls_per_s": 200.0}, {"calls_per_s": 0.5}, limits=limits)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SCENARIOS", {"tiny": Scenario("tiny", "a moment", measure)})


@pytest.mark.usefixtures("tiny")
def test_the_json_has_the_form_of_the_contract_and_more_only_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, page = tmp_path / "made" / "a.json", tmp_path / "a.html"
    assert run(["bench", "tiny", "--json", str(file), "--html", str(page), "--repeat", "3"]) == 0
    (one,) = json.loads(file.read_bytes())
    assert (one["name"], one["metrics"]) == ("tiny", METRICS)
    assert (one["floor"], one["ratio"]) == ({"calls_per_s": 200.0}, {"calls_per_s": 0.5})
    assert set(one["machine"]) == {"cpu", "cores", "system", "python"}
    assert len(one["runs"]) == 3
    assert [value for _, value in one["series"]["calls_per_s"]] == [90.0, 110.0]
    said = capsys.readouterr().out
    assert "tiny (3 of 3) a moment\n  the size quick\n" in said
    assert "tiny: NOT KEPT: calls_per_s 100, at least 200" in said
    assert str(page) in said.replace("\n", "")
    assert "<h2>tiny</h2>" in page.read_text()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotMeasured("too few calls are up."), 1, "NOT MEASURED: too few calls are up."),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()]), 130, ""),
    ],
    ids=["cannot", "Ctrl-C"],
)
def test_what_was_measured_is_written_though_another_scenario_does_not_end(
    error: BaseException,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def break_off(size: Size, show: Show) -> Measurement:
        raise error

    scenarios = {"tiny": Scenario("tiny", "a moment", measure)}
    scenarios["broken"] = Scenario("broken", "no end", break_off)
    monkeypatch.setattr(running, "SCENARIOS", scenarios)
    file = tmp_path / "a.json"
    assert run(["bench", "--json", str(file)]) == code
    assert [one["name"] for one in json.loads(file.read_bytes())] == ["tiny"]
    assert said in capsys.readouterr().out


def test_the_page_is_whole_html_that_fetches_nothing() -> None:
    series = {"calls_per_s": [(0.0, 1.0), (1.0, 2.0)], "late_ms_p99": [(0.5, 3.0)]}
    processes = {"<engine>": {"cpu_cores": [(1.0, 0.5)], "resident_mb": [(1.0, 60.0)]}}
    page = make_page([Measurement("a", METRICS, series=series, processes=processes)])

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            fetched.extend(name for name, value in attrs if name in ("src", "srcset", "data"))
            links.extend(value or "" for name, value in attrs if name == "href")

    tags: list[str] = []
    fetched: list[str] = []
    links: list[str] = []
    Reader().feed(page)
    assert (fetched, links) == ([], ["#a"])
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert tags.count("figure") == 4
    assert "@import" not in page
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page
    assert "<engine>" not in page


def test_a_plot_is_an_svg_with_a_title_that_says_what_is_in_it() -> None:
    text = plot_lines("CPU <1>", "cores", {"a & b": [(0.0, 0.0), (10.0, 2.0)], "none": []})
    figure = ET.fromstring(text)
    picture = figure.find("svg[@role='img']")
    assert picture is not None
    assert picture.findtext("title") == "CPU <1>"
    assert picture.findtext("desc") == "cores over seconds; a & b. At most 2."
    # Nought stands at the lower left, the most at the upper right.
    (line,) = [path for path in picture.findall("path") if path.get("class") == "line"]
    assert line.get("d") == "M64.0 208.0 L708.0 12.0"
    assert plot_lines("nothing", "s", {"none": []}) == ""


def test_no_two_lines_of_a_plot_look_the_same() -> None:
    names = [f"line {n}" for n in range(LINES_MAX + 1)]
    text = plot_lines("many", "s", {name: [(0.0, 1.0), (1.0, 2.0)] for name in names})
    figure = ET.fromstring(text)
    looks = [
        (path.get("style"), path.get("stroke-dasharray"))
        for path in figure.findall("svg/path[@class='line']")
    ]
    assert len(set(looks)) == len(looks) == LINES_MAX
    assert "and 1 more that are not drawn" in str(figure.findtext("svg/desc"))


def test_a_series_is_thinned_out_evenly_and_never_longer_than_its_bound() -> None:
    series = Series()
    for at in range(10 * POINTS_MAX):
        series.add(float(at), float(at))
    gaps = {after[0] - one[0] for one, after in zip(series.points, series.points[1:], strict=False)}
    assert POINTS_MAX / 2 <= len(series.points) <= POINTS_MAX
    assert gaps == {16.0}


def test_the_processor_time_and_the_memory_of_each_process_are_written_down() -> None:
    now = 0.0
    recorder = Recorder(lambda: now)
    busy = (
        "import sys\nprint(flush=True)\nsum(range(20_000_000))\nprint(flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", busy]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        recorder.look(os.getpid())
        child.stdout.readline()
        now = 1.0
        recorder.look(os.getpid())
        running_now = {name for name, _, _ in recorder.running()}
        child.communicate()
    recorder.look(os.getpid())
    found = recorder.processes()
    [name] = {Path(sys.executable).name} & set(found)
    [(at, cores)] = found[name]["cpu_cores"]
    assert at == 1.0
    assert cores > 0.1
    assert found[name]["resident_mb"][0][1] > 1
    assert {"the bench itself", name} <= running_now  # and whatever other tests have left running
    assert name not in {one for one, _, _ in recorder.running()}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/usr/bin/sipp", "-sn", "uas"], "sipp"),
        (["/x/python", "-P", "-m", "api", "serve", "--config", "x"], "callwheel serve"),
        (["/x/python", "-P", "-m", "adapters.media.plane.loop"], "adapters.media.plane.loop"),
        (["/x/python", "-c", "from multiprocessing.spawn import spawn_main"], "worker"),
        ([], "?"),
    ],
)
def test_a_process_is_called_by_what_it_runs(command: list[str], name: str) -> None:
    assert name_process(command) == name
