"""Lines over time as SVG: pure functions from points to text. Colours are the page's (`--line-0` …), so that
one picture is good for light and for dark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Final

from bench.scenario import Points

WIDTH: Final = 720
HEIGHT: Final = 240
LEFT: Final = 64
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 32
TICKS: Final = 5
"""About so many on each axis."""
LINES_MAX: Final = 8
"""More in one picture cannot be told apart: those that reach highest are drawn."""
COLOURS: Final = 4
"""The page's."""
DASHES: Final = ("", "6 3")
"""Lines that have the same colour are told apart by them."""


def plot_lines(title: str, unit: str, lines: Mapping[str, Points]) -> str:
    """An SVG of the lines, with a legend; nothing where there is nothing to draw.

    Args:
        unit: of the values; the other axis is seconds.
    """
    drawn = {name: points for name, points in lines.items() if points}
    if not drawn:
        return ""
    highest = sorted(drawn, key=lambda name: -max(value for _, value in drawn[name]))
    names = [name for name in drawn if name in highest[:LINES_MAX]]
    left_out = len(drawn) - len(names)
    last_s = max(at for name in names for at, _ in drawn[name])
    top = max(value for name in names for _, value in drawn[name])
    across, up = _ticks(last_s), _ticks(top)
    axes = _draw_axes(across, up)
    paths = "".join(
        _draw_line(place, drawn[name], across[-1], up[-1]) for place, name in enumerate(names)
    )
    more = f", and {left_out} more that are not drawn" if left_out else ""
    said = f"{unit} over seconds; {', '.join(names)}{more}. At most {_say(top)}."
    legend = "".join(
        f'<li><svg width="28" height="10" aria-hidden="true"><path d="M0 5H28" '
        f"{_style(place)}/></svg> {escape(name)}</li>"
        for place, name in enumerate(names)
    )
    return (
        f"<figure><figcaption>{escape(title)} <small>{escape(unit)}</small></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(said)}</desc>{axes}{paths}</svg>"
        f'<ul class="legend">{legend}</ul></figure>'
    )


def _draw_axes(across: list[float], up: list[float]) -> str:
    parts = []
    for value in up:
        y = _place_y(value, up[-1])
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" class="up">{_say(value)}</text>')
    for value in across:
        x = _place_x(value, across[-1])
        parts.append(
            f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" class="across">{_say(value)}</text>'
        )
    return "".join(parts)


def _draw_line(place: int, points: Points, last_s: float, top: float) -> str:
    steps = " ".join(
        f"{'L' if number else 'M'}{_place_x(at, last_s)} {_place_y(value, top)}"
        for number, (at, value) in enumerate(points)
    )
    if len(points) == 1:
        steps += "h3"
    return f'<path d="{steps}" {_style(place)}/>'


def _style(place: int) -> str:
    dashes = DASHES[place // COLOURS % len(DASHES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'class="line" style="stroke:var(--line-{place % COLOURS})"{dashed}'


def _place_x(at_s: float, last_s: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * at_s / last_s, 1)


def _place_y(value: float, top: float) -> float:
    room = HEIGHT - TOP - BOTTOM
    return round(TOP + room * (1 - max(0.0, value) / top), 1)


def _ticks(top: float) -> list[float]:
    """Round numbers from nought to one that is no less than `top`."""
    if top <= 0 or not math.isfinite(top):
        top = 1.0
    rough = top / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= rough * (1 - 1e-9))
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]


def _say(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
