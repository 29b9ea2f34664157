"""Where nodes and lines stand in a drawing."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.flow.layout import Measures, lay_out

MEASURES = Measures(box_width=100, box_height=40, gap=10, row_height=80, bend_width=20)


def test_a_chain_stands_in_a_column() -> None:
    layout = lay_out("a", ["a", "b", "c"], [("a", "b"), ("b", "c")], MEASURES)
    assert layout.boxes == {"a": (0, 0), "b": (0, 80), "c": (0, 160)}
    assert layout.lines == [[(50, 40), (50, 80)], [(50, 120), (50, 160)]]
    assert (layout.width, layout.height) == (100, 200)


def test_a_way_that_passes_a_row_has_room_in_it() -> None:
    layout = lay_out("a", ["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")], MEASURES)
    line = layout.lines[2]
    left = layout.boxes["b"][0]
    passing = [x for x, y in line if 80 <= y <= 120]
    assert len(passing) == 2
    assert all(x < left or x > left + 100 for x in passing)


def test_a_graph_that_nobody_could_follow_is_drawn_with_straight_ways() -> None:
    names = [f"n{number}" for number in range(60)]
    edges = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    assert {len(line) for line in lay_out("n0", names, edges, MEASURES).lines} == {2}


graphs = st.integers(1, 12).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=24
    ).map(lambda edges: (count, edges))
)


@given(graphs)
def test_no_two_boxes_overlap_and_every_line_joins_its_nodes(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, numbered = graph
    names = [f"n{number}" for number in range(count)]
    edges = [(f"n{a}", f"n{b}") for a, b in numbered]
    layout = lay_out("n0", names, edges, MEASURES)
    assert list(layout.boxes) == names
    for (x1, y1), (x2, y2) in combinations(layout.boxes.values(), 2):
        assert y1 != y2 or abs(x1 - x2) >= 100 - 1e-6
    for (source, target), line in zip(edges, layout.lines, strict=True):
        for name, (x, y) in ((source, line[0]), (target, line[-1])):
            box = layout.boxes[name]
            assert abs(x - box[0] - 50) < 1e-6
            assert y in (box[1], box[1] + 40)
        assert all(first != second or source == target for first, second in pairwise(line))
    assert all(-1e-6 <= x <= layout.width - 100 + 1e-6 for x, _ in layout.boxes.values())
