"""The report as one HTML page that needs nothing but itself: no script, font or picture from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from bench.plots import plot_lines
from bench.report import describe_limit, say_value
from bench.scenario import Limit, Measurement, Points

KINDS: Final = (
    ("Throughput", "a second", "_per_s"),
    ("Latency", "ms", "_ms"),
    ("Lateness and latency", "s", "_s"),
)
"""Title, unit and how the names end of what is drawn together. The first that fits counts."""

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fbfbf9; --faint: #d8dbe0;
  --line-0: #1f5fbf; --line-1: #c2410c; --line-2: #15803d; --line-3: #7e22ce; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --paper: #14181f; --faint: #39414d;
  --line-0: #7fb2ff; --line-1: #ff9d66; --line-2: #6fdc8c; --line-3: #d6a4ff; --bad: #ff8a80; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9rem; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child { text-align: left; }
td { font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; }
svg text { fill: var(--ink); font-size: 12px; } .up { text-anchor: end; dominant-baseline: middle; }
.across { text-anchor: middle; } .grid { stroke: var(--faint); fill: none; }
.line { fill: none; stroke-width: 2; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem;
  font-size: .85rem; }
.broken { color: var(--bad); font-weight: 600; }
nav a { margin-right: 1rem; } a { color: var(--line-0); }
"""


def make_page(measured: Sequence[Measurement]) -> str:
    """The whole page."""
    machine = ", ".join(measured[0].machine.values()) if measured else ""
    links = "".join(f'<a href="#{escape(one.name)}">{escape(one.name)}</a>' for one in measured)
    sections = "".join(_make_section(one) for one in measured)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Callwheel: what was measured</title><style>{_STYLE}</style></head><body>"
        f"<h1>What was measured</h1><p>{escape(machine)}</p><nav>{links}</nav>"
        f"<main>{sections}</main></body></html>\n"
    )


def _make_section(one: Measurement) -> str:
    limits = "".join(
        f'<li class="{_class_of(limit)}">{escape(describe_limit(limit))}</li>'
        for limit in one.limits
    )
    return (
        f'<section id="{escape(one.name)}"><h2>{escape(one.name)}</h2>{_make_table(one)}'
        + (f"<ul>{limits}</ul>" if limits else "")
        + _plot_noted(one.series)
        + _plot_processes(one.processes)
        + "</section>"
    )


def _class_of(limit: Limit) -> str:
    return "kept" if limit.is_kept else "broken"


def _make_table(one: Measurement) -> str:
    titles = ["figure", "measured", "floor or peer", "ratio"]
    if one.runs:
        titles.append(f"least and most of {len(one.runs)} runs")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    rows = []
    for name, value in one.metrics.items():
        cells = [escape(name), say_value(value), say_value(one.floor.get(name))]
        cells.append(say_value(one.ratio.get(name)))
        if one.runs:
            runs = [run.metrics[name] for run in one.runs if name in run.metrics]
            cells.append(f"{say_value(min(runs))} … {say_value(max(runs))}" if runs else "")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    for name, value in one.floor.items():
        if name not in one.metrics:
            cells = [escape(name), "", say_value(value), say_value(one.ratio.get(name))]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _plot_noted(series: Mapping[str, Points]) -> str:
    left = dict(series)
    plots = []
    for title, unit, ending in KINDS:
        lines = {name: left.pop(name) for name in list(left) if _ends(name, ending)}
        plots.append(plot_lines(title, unit, lines))
    plots += [plot_lines(name, "", {name: points}) for name, points in left.items()]
    return "".join(plots)


def _ends(name: str, ending: str) -> bool:
    """Whether a name ends in this unit; percentiles and shares may stand after it (`_ms_p99`)."""
    head, _, tail = name.rpartition("_")
    return name.endswith(ending) or (tail.startswith("p") and head.endswith(ending))


def _plot_processes(processes: Mapping[str, Mapping[str, Points]]) -> str:
    cores = {name: used["cpu_cores"] for name, used in processes.items()}
    memory = {name: used["resident_mb"] for name, used in processes.items()}
    return plot_lines("CPU of each process", "cores", cores) + plot_lines(
        "Memory of each process", "MiB", memory
    )
