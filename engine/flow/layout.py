"""Where the nodes of a flow stand in a drawing: layer below layer, as a call passes them. Pure.

This is the layered drawing of Sugiyama, Tagawa and Toda (1981) in its plain form. A way that leads back up
is turned round while the layers are made; one that passes layers gets a bend in each of them, which takes
its room in the row as a node does, so that no line crosses a box. Rows are then put in the order of their
neighbours' middles, and moved towards them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

ORDERING_SWEEPS: Final = 12
"""Times that the rows are ordered, down and up in turn."""
MOVING_SWEEPS: Final = 24
"""Times that they are moved."""

PLACES_MAX: Final = 1_500
"""Nodes and bends together. In a graph that needs more, ways go straight, over whatever lies between: nobody
could follow them in either form, and the time that ordering takes is bounded."""

Point = tuple[float, float]


class Measures(Struct, frozen=True):
    """Sizes, in the drawing's units."""

    box_width: float
    box_height: float
    gap: float
    """Between two boxes of a row."""
    row_height: float
    """From one row's top to the next one's."""
    bend_width: float
    """What a line that passes takes of a row."""


class Layout(Struct, frozen=True):
    """A drawing's geometry; y grows downwards."""

    width: float
    height: float
    boxes: dict[str, Point]
    """Top left corner of each node's box."""
    lines: list[list[Point]]
    """For each edge, in the order in which they came: its points, from box to box."""


def lay_out(
    start: str, names: Sequence[str], edges: Sequence[tuple[str, str]], measures: Measures
) -> Layout:
    """Place nodes, and the lines between them.

    Args:
        start: the node on top.
        names: all nodes, `start` among them.
        edges: (from, to); both are nodes. Several between the same two are several lines.
    """
    backward = _find_backward(start, names, edges)
    downward = [
        (b, a) if turned else (a, b) for (a, b), turned in zip(edges, backward, strict=True)
    ]
    layer = _assign_layers(names, downward)
    rows, chains = _add_bends(names, downward, layer)
    _order(rows, chains)
    x = _place(rows, chains, measures)
    return _measure(rows, chains, backward, x, layer, measures)


def _find_backward(
    start: str, names: Sequence[str], edges: Sequence[tuple[str, str]]
) -> list[bool]:
    """Which edges lead back to where the search comes from, depth first; those from a node to itself too."""
    outgoing: dict[str, list[int]] = defaultdict(list)
    for number, (source, _) in enumerate(edges):
        outgoing[source].append(number)
    backward = [False] * len(edges)
    done: set[str] = set()
    for root in (start, *names):
        path: dict[str, list[int]] = {} if root in done else {root: list(outgoing[root])}
        while path:
            name = next(reversed(path))
            if not path[name]:
                del path[name]
                done.add(name)
                continue
            number = path[name].pop(0)
            target = edges[number][1]
            if target in path:
                backward[number] = True
            elif target not in done:
                path[target] = list(outgoing[target])
    return backward


def _assign_layers(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way from above decides. The edges have no cycle but those of one node."""
    incoming = dict.fromkeys(names, 0)
    below: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        if source != target:
            incoming[target] += 1
            below[source].append(target)
    layer = dict.fromkeys(names, 0)
    ready = [name for name in names if not incoming[name]]
    while ready:
        name = ready.pop()
        for target in below[name]:
            layer[target] = max(layer[target], layer[name] + 1)
            incoming[target] -= 1
            if not incoming[target]:
                ready.append(target)
    return layer


def _add_bends(
    names: Sequence[str], edges: Sequence[tuple[str, str]], layer: Mapping[str, int]
) -> tuple[list[list[str]], list[list[str]]]:
    """The rows with their bends, and for each edge the places that its line passes, from above."""
    rows: list[list[str]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in names:
        rows[layer[name]].append(name)
    chains: list[list[str]] = []
    bends = sum(max(0, layer[target] - layer[source] - 1) for source, target in edges)
    has_room = len(names) + bends <= PLACES_MAX
    for number, (source, target) in enumerate(edges):
        chain = [source]
        for passed in range(layer[source] + 1, layer[target]) if has_room else ():
            # Every name of a node is printable.
            bend = f"\0{number}.{passed}"
            rows[passed].append(bend)
            chain.append(bend)
        chains.append([*chain, target])
    return rows, chains


def _neighbours(
    chains: Sequence[Sequence[str]],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = defaultdict(list)
    below: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for upper, lower in pairwise(chain):
            if upper != lower:
                above[lower].append(upper)
                below[upper].append(lower)
    return above, below


def _order(rows: list[list[str]], chains: Sequence[Sequence[str]]) -> None:
    """Order each row by the middles of its neighbours in the row before."""
    above, below = _neighbours(chains)
    place = {name: float(at) for row in rows for at, name in enumerate(row)}
    for sweep in range(ORDERING_SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for row in rows if downwards else reversed(rows):
            middle = {
                name: _mean([place[n] for n in neighbours[name]], place[name]) for name in row
            }
            row.sort(key=middle.__getitem__)
            place |= {name: float(at) for at, name in enumerate(row)}


def _place(
    rows: Sequence[Sequence[str]], chains: Sequence[Sequence[str]], measures: Measures
) -> dict[str, float]:
    """The middle of every place. Rows are pulled towards their neighbours and keep their order."""
    above, below = _neighbours(chains)
    x: dict[str, float] = {}
    for row in rows:
        at = 0.0
        for left, name in zip((None, *row), row, strict=False):
            at += 0.0 if left is None else _distance(left, name, measures)
            x[name] = at
        shift = at / 2
        for name in row:
            x[name] -= shift
    for sweep in range(MOVING_SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for row in rows if downwards else reversed(rows):
            wanted = [_mean([x[n] for n in neighbours[name]], x[name]) for name in row]
            x |= zip(row, _spread(row, wanted, measures), strict=True)
    return x


def _spread(row: Sequence[str], wanted: Sequence[float], measures: Measures) -> list[float]:
    """Places as near to the wanted ones as the distances between them allow: neighbours that want the same
    room share it around the middle of what they want (pool adjacent violators)."""
    offsets = [0.0]
    for left, name in pairwise(row):
        offsets.append(offsets[-1] + _distance(left, name, measures))
    blocks: list[tuple[float, int]] = []
    for at, offset in zip(wanted, offsets, strict=True):
        total, count = at - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before_total, before_count = blocks.pop()
            total, count = total + before_total, count + before_count
        blocks.append((total, count))
    bases = [total / count for total, count in blocks for _ in range(count)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def _distance(left: str, right: str, measures: Measures) -> float:
    return (_width(left, measures) + _width(right, measures)) / 2 + measures.gap


def _width(name: str, measures: Measures) -> float:
    return measures.bend_width if name.startswith("\0") else measures.box_width


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _measure(
    rows: Sequence[Sequence[str]],
    chains: Sequence[Sequence[str]],
    backward: Sequence[bool],
    x: Mapping[str, float],
    layer: Mapping[str, int],
    measures: Measures,
) -> Layout:
    left = min(at - _width(name, measures) / 2 for name, at in x.items())
    right = max(at + _width(name, measures) / 2 for name, at in x.items())
    boxes = {
        name: (x[name] - measures.box_width / 2 - left, layer[name] * measures.row_height)
        for name in layer
    }
    row_of = {name: number for number, row in enumerate(rows) for name in row}
    lines = []
    for chain, turned in zip(chains, backward, strict=True):
        points = _points(chain, row_of, x, left, measures)
        lines.append(points[::-1] if turned and chain[0] != chain[-1] else points)
    height = (len(rows) - 1) * measures.row_height + measures.box_height
    return Layout(right - left, height, boxes, lines)


def _points(
    chain: Sequence[str],
    row_of: Mapping[str, int],
    x: Mapping[str, float],
    left: float,
    measures: Measures,
) -> list[Point]:
    """From the bottom of the upper box to the top of the lower one; straight down through each bend."""
    top = row_of[chain[0]] * measures.row_height + measures.box_height
    points = [(x[chain[0]] - left, top)]
    for bend in chain[1:-1]:
        at, row = x[bend] - left, row_of[bend] * measures.row_height
        points += [(at, row), (at, row + measures.box_height)]
    return [*points, (x[chain[-1]] - left, row_of[chain[-1]] * measures.row_height)]
