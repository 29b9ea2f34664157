"""A flow's graph as an SVG picture: a box for each node, and its ways as lines with what leads along them.

It holds no script and loads nothing, so that it may stand in any page, and every text in it is escaped.
The colours follow the reader's light or dark setting. The same definition gives the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Final

from msgspec import Struct

from engine.flow.definition import Definition
from engine.flow.edges import edges_of
from engine.flow.layout import Layout, Measures, Point, lay_out
from engine.flow.nodes import (
    Branch,
    Gather,
    Node,
    Play,
    Record,
    Request,
    Say,
    Set,
    Transfer,
    Wait,
    prompts_in,
)

MEASURES: Final = Measures(box_width=216, box_height=62, gap=28, row_height=132, bend_width=36)
MARGIN: Final = 24
LOOP_WIDTH: Final = 34
"""How far a way from a node to itself swings out."""
TEXT_LENGTH_MAX: Final = 27
"""Characters of a line in a box."""
LABEL_LENGTH_MAX: Final = 18
RISING_SHIFT: Final = 44.0
"""How far from the middle of its box a way that leads back up begins and ends."""
SPREAD: Final = 58
"""How far apart the ways of one box begin."""
END: Final = "end"

STYLE: Final = """\
svg{font:13px system-ui,"DejaVu Sans",sans-serif}
text{fill:#1c2430}.kind,.label{fill:#5b6675;font-size:11.5px}.name{font-weight:600}
rect{stroke:#8a96a6;stroke-width:1.2}.paper{fill:#fff;stroke:none}
.ask{fill:#eaf1ff}.do{fill:#eefaf1}.out{fill:#fff4e5}.end{fill:#f3f4f6}.start{stroke-width:2.6}
.way{fill:none;stroke:#8a96a6;stroke-width:1.4}.tip{fill:#8a96a6}
.label{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
@media(prefers-color-scheme:dark){
text{fill:#e8edf4}.kind,.label{fill:#a3afbf}rect,.way{stroke:#6b7788}.tip{fill:#6b7788}.paper{fill:#1a212b}
.ask{fill:#1d2b45}.do{fill:#1b3326}.out{fill:#3a2c17}.end{fill:#262d37}.label{stroke:#1a212b}
}
"""
"""Plain colours, no variables: not every reader of SVG knows those."""


def draw(definition: Definition, title: str) -> str:
    """The picture, as an SVG document.

    Args:
        title: what the flow is called; told to those who hear the page read.
    """
    names = list(definition.nodes)
    ways = _find_ways(definition)
    pairs = [(way.source, way.target) for way in ways]
    layout = lay_out(definition.start, names, pairs, MEASURES)
    width, height = layout.width + 2 * MARGIN + LOOP_WIDTH, layout.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="t d">',
        f'<title id="t">{_write(title)}</title>',
        f'<desc id="d">{_write(_describe(definition))}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
        f'<g transform="translate({MARGIN} {MARGIN})">',
        *_draw_ways(ways, layout),
        *(
            _draw_box(name, node, layout.boxes[name], is_start=name == definition.start)
            for name, node in definition.nodes.items()
        ),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


class _Way(Struct, frozen=True):
    """One line: all edges between the same two nodes."""

    source: str
    target: str
    label: str


def _find_ways(definition: Definition) -> list[_Way]:
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, node in definition.nodes.items():
        for edge in edges_of(node):
            labels[name, edge.target] += [edge.label] if edge.label else []
    return [_Way(source, target, ", ".join(those)) for (source, target), those in labels.items()]


def _describe(definition: Definition) -> str:
    """The graph in words."""
    lines = [f"A call begins with {definition.start}."]
    for name, node in definition.nodes.items():
        ways = [f"{edge.label or 'then'}: {edge.target}" for edge in edges_of(node)]
        lines.append(f"{name} ({_kind(node)}) – {', '.join(ways) or 'the call ends'}.")
    return " ".join(lines)


def _draw_ways(ways: Sequence[_Way], layout: Layout) -> list[str]:
    drawn: list[str] = []
    labels: list[str] = []
    shifts = _find_shifts(ways, layout)
    for way, points, shift in zip(ways, layout.lines, shifts, strict=True):
        if way.target == way.source:
            path, label = _loop(layout.boxes[way.source])
        else:
            path, label = _line(points, shift)
        drawn.append(f'<path class="way" d="{path}" marker-end="url(#tip)"/>')
        if way.label:
            labels.append(_draw_label(way.label, label))
    return drawn + labels


def _draw_label(text: str, middle: Point) -> str:
    x, y = middle
    shown = _write(_cut(text, LABEL_LENGTH_MAX))
    return f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{shown}</text>'


def _find_shifts(ways: Sequence[_Way], layout: Layout) -> list[float]:
    """How far from the middle of its box each way begins: in the order of where they lead, so that they do
    not cross."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, way in enumerate(ways):
        if not _rises(layout.lines[number]):
            numbers[way.source].append(number)
    shifts = [RISING_SHIFT] * len(ways)
    for those in numbers.values():
        those.sort(key=lambda number: layout.lines[number][1][0])
        for place, number in enumerate(those):
            shifts[number] = _shift(place, len(those))
    return shifts


def _shift(place: int, count: int) -> float:
    """How far from the middle of a box one of its ways begins."""
    room = MEASURES.box_width * 0.8
    step = min(SPREAD, room / max(1, count - 1))
    return (place - (count - 1) / 2) * step


def _rises(points: Sequence[Point]) -> bool:
    """Whether a line leads back up, or from a node to itself."""
    return points[0][1] >= points[-1][1]


def _line(points: Sequence[Point], shift: float) -> tuple[str, Point]:
    """A smooth line through these points, and where its label stands."""
    first, *others = points
    x, y = first[0] + shift, first[1]
    down = -1 if _rises(points) else 1
    if down < 0:
        # Beside the ways that come down between the same two.
        last = others[-1]
        others[-1] = (last[0] + shift, last[1])
    path = [f"M{x:.1f} {y:.1f}"]
    at = (x, y)
    for point in others:
        reach = abs(point[1] - at[1]) * 0.45 * down
        path.append(
            f"C{at[0]:.1f} {at[1] + reach:.1f} {point[0]:.1f} {point[1] - reach:.1f} "
            f"{point[0]:.1f} {point[1]:.1f}"
        )
        at = point
    lean = (others[0][0] - x) * 0.12
    return "".join(path), (x + lean, y + (19 if down > 0 else -10))


def _loop(box: Point) -> tuple[str, Point]:
    x, y = box[0] + MEASURES.box_width, box[1]
    low, high = y + MEASURES.box_height * 0.75, y + MEASURES.box_height * 0.25
    out = x + LOOP_WIDTH
    path = f"M{x:.1f} {low:.1f}C{out:.1f} {low:.1f} {out:.1f} {high:.1f} {x:.1f} {high:.1f}"
    return path, (x + LOOP_WIDTH * 0.6, y + 9)


def _draw_box(name: str, node: Node, corner: Point, *, is_start: bool) -> str:
    x, y = corner
    middle = x + MEASURES.box_width / 2
    classes = f"{_family(node)} start" if is_start else _family(node)
    lines = [
        f'<rect class="{classes}" x="{x:.1f}" y="{y:.1f}" width="{MEASURES.box_width:g}" '
        f'height="{MEASURES.box_height:g}" rx="9"/>',
        f'<text class="name" x="{middle:.1f}" y="{y + 19:.1f}" text-anchor="middle">'
        f"{_write(_cut(name, TEXT_LENGTH_MAX))}</text>",
        f'<text class="kind" x="{middle:.1f}" y="{y + 36:.1f}" text-anchor="middle">'
        f"{_write(_kind(node))}</text>",
        f'<text x="{middle:.1f}" y="{y + 53:.1f}" text-anchor="middle">'
        f"{_write(_cut(_say(node), TEXT_LENGTH_MAX))}</text>",
    ]
    return "".join(lines)


def _family(node: Node) -> str:
    match node:
        case Gather() | Branch() | Record():
            return "ask"
        case Transfer() | Request():
            return "out"
        case Play() | Say() | Set() | Wait():
            return "do"
        case _:
            return "end"


def _kind(node: Node) -> str:
    kind = str(node.__struct_config__.tag).replace("_", " ")
    return kind if edges_of(node) or kind == "hangup" else f"{kind}, then {END}"


def _say(node: Node) -> str:
    """What a node does, in a few words."""
    heard = " / ".join(prompt.say or f"♪ {prompt.play}" for _, prompt in prompts_in(node))
    match node:
        case Branch():
            return f"by {node.on}"
        case Set():
            return ", ".join(f"{name} = {text}" for name, text in node.variables.items())
        case Transfer():
            return f"to {node.to}"
        case Request():
            return f"{node.method} {node.url}"
        case Wait():
            return f"{node.duration_s:g} s"
        case Record():
            return f"up to {node.max_s:g} s"
        case _:
            return heard


def _cut(text: str, length_max: int) -> str:
    """A text with its end left out where it is too long."""
    return text if len(text) <= length_max else f"{text[: length_max - 1]}…"


def _write(text: str) -> str:
    """A text as XML holds it; what it cannot hold becomes space (XML 1.0 §2.2)."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return escape(plain)
