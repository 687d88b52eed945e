"""The graph's drawing: nothing overlaps, every edge goes forward, no edge runs through a box."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.recipe.report.layout import Layout, Sizes, layout

NEAR = 0.11
"""Places are rounded to a tenth of a pixel."""


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 40))
    nodes = [f"n{i}" for i in range(size)]
    edges = []
    for head in range(1, size):
        # Mostly near neighbours, as in a real lineage, and some long edges.
        tails = draw(st.lists(st.integers(1, min(head, draw(st.sampled_from((3, 40))))), max_size=4))
        edges += [(nodes[head - back], nodes[head]) for back in tails]
    return nodes, edges


def no_overlap(made: Layout) -> None:
    for i, a in enumerate(made.boxes):
        for b in made.boxes[i + 1 :]:
            apart = a.x + a.width <= b.x + NEAR or b.x + b.width <= a.x + NEAR
            assert apart or a.y + a.height <= b.y or b.y + b.height <= a.y, (a, b)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_report_layout_keeps_boxes_apart_and_edges_forward(graph):
    nodes, edges = graph
    made = layout(nodes, edges)
    boxes = {box.name: box for box in made.boxes}
    assert list(boxes) == nodes
    no_overlap(made)
    assert {(edge.tail, edge.head) for edge in made.edges} == set(edges)
    for edge in made.edges:
        tail, head = boxes[edge.tail], boxes[edge.head]
        assert tail.layer < head.layer
        heights = [y for _, y in edge.points]
        assert heights == sorted(heights)
        assert heights[0] == tail.y + tail.height
        assert heights[-1] == head.y
        assert tail.x < edge.points[0][0] < tail.x + tail.width
        assert head.x < edge.points[-1][0] < head.x + head.width


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_report_layout_long_edges_pass_beside_boxes(graph):
    made = layout(*graph)
    for edge in made.edges:
        for x, y in edge.points[1:-1]:
            for box in made.boxes:
                inside = box.x + NEAR < x < box.x + box.width - NEAR and box.y <= y <= box.y + box.height
                assert not inside, (edge, box)


@settings(max_examples=20, deadline=None)
@given(graphs())
def test_report_layout_fits_its_frame_and_repeats(graph):
    made = layout(*graph)
    assert made == layout(*graph)
    assert all(box.x >= 0 and box.x + box.width <= made.width for box in made.boxes)
    assert all(box.y >= 0 and box.y + box.height <= made.height for box in made.boxes)
    assert all(0 <= x <= made.width for edge in made.edges for x, _ in edge.points)


def test_report_layout_places_inputs_just_above_their_first_reader():
    made = layout(["a", "late", "b", "c"], [("a", "b"), ("b", "c"), ("late", "c")])
    assert {box.name: box.layer for box in made.boxes} == {"a": 0, "b": 1, "late": 1, "c": 2}


def test_report_layout_uncrosses_what_can_be_uncrossed():
    made = layout(["a", "b", "c", "d"], [("a", "d"), ("b", "c")])
    x = {box.name: box.x for box in made.boxes}
    assert (x["a"] < x["b"]) == (x["d"] < x["c"])


def test_report_layout_draws_a_chain_as_a_straight_line():
    made = layout([f"n{i}" for i in range(6)], [(f"n{i}", f"n{i + 1}") for i in range(5)])
    assert len({box.x for box in made.boxes}) == 1
    assert made.width == Sizes().width + 2 * Sizes().margin


def test_report_layout_refuses_backward_edges():
    with pytest.raises(ValueError, match="forward"):
        layout(["a", "b"], [("b", "a")])


def test_report_layout_of_nothing():
    assert layout([], []).boxes == ()
