from __future__ import annotations

from html.parser import HTMLParser
from itertools import combinations

import pytest

from nasplug.report.cells import draw_cell, draw_cells, operation_kind, text_width
from nasplug.report.layer_order import compute_heights, count_crossings, order_layers
from nasplug.report.layout import lay_out
from nasplug.values import Drawing, Edge

CHAIN = Drawing("cell", ("a", "b", "out"), (Edge("a", "b", "conv"), Edge("b", "out", "")))


class Titles(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "title"

    def handle_data(self, data):
        if self.inside:
            self.names.append(data)
        self.inside = False


def titles(svg):
    parser = Titles()
    parser.feed(svg)
    return parser.names


@pytest.fixture
def cells(result, drawings):
    return [cell for network in drawings(result).values() for cell in network]


def test_nothing_covers_anything_else(cells):
    for cell in cells:
        picture = lay_out(cell, text_width)
        boxes = [*picture.nodes.values(), *(route.label for route in picture.routes if route.label)]
        for first, second in combinations(boxes, 2):
            apart = abs(first.y - second.y) >= (first.height + second.height) / 2 - 1e-6
            assert apart or first.right < second.left or second.right < first.left
        for box in boxes:
            assert box.left >= 0
            assert box.right <= picture.width
            assert box.y - box.height / 2 >= 0
            assert box.y + box.height / 2 <= picture.height


def test_lines_do_not_run_through_labels_or_nodes(cells):
    for cell in cells:
        picture = lay_out(cell, text_width)
        boxes = [*picture.nodes.values(), *(route.label for route in picture.routes if route.label)]
        for route in picture.routes:
            for stop in route.stops:
                others = [box for box in boxes if box != stop and box.x == stop.x]
                assert all(abs(stop.y - box.y) > box.height / 2 for box in others)


def test_every_edge_goes_from_its_source_to_its_target(cells):
    for cell in cells:
        picture = lay_out(cell, text_width)
        assert [route.edge for route in picture.routes] == list(cell.edges)
        for route in picture.routes:
            assert route.stops[0] == picture.nodes[route.edge.source]
            assert route.stops[-1] == picture.nodes[route.edge.target]
            assert [stop.x for stop in route.stops] == sorted(stop.x for stop in route.stops)
            assert (route.label in route.stops) == bool(route.edge.operation)


def test_every_edge_is_drawn(cells):
    for cell in cells:
        expected = [
            f"{edge.source} → {edge.target}" + (edge.operation and f": {edge.operation}") for edge in cell.edges
        ]
        assert titles(draw_cell(cell)) == [title.removesuffix(": concat") for title in expected]


def test_operations_between_the_same_two_nodes_have_places_of_their_own():
    edges = tuple(Edge("a", "out", name) for name in ("conv", "pool", "skip", "skip"))
    labels = [route.label for route in lay_out(Drawing("", ("a", "out"), edges), text_width).routes]
    assert len({label.y for label in labels}) == 4


def test_the_output_stands_at_the_far_right():
    drawing = Drawing(
        "", ("a", "b", "unused", "out"), (Edge("a", "b", "x"), Edge("b", "unused", "x"), Edge("a", "out", "x"))
    )
    nodes = lay_out(drawing, text_width).nodes
    assert max(nodes, key=lambda name: nodes[name].x) == "out"


@pytest.mark.parametrize("nodes", [(), ("alone",), ("a", "out")])
def test_cells_without_edges_can_be_drawn(nodes):
    assert draw_cell(Drawing("", nodes, ())).count("<rect") == len(nodes)


def test_identical_neighbours_are_drawn_once():
    cells = [Drawing(f"cell {number}", CHAIN.nodes, CHAIN.edges) for number in range(4)]
    other = Drawing("cell 4", ("a", "out"), (Edge("a", "out", "skip"),))
    drawn = draw_cells([*cells, other])
    assert [caption for caption, _ in drawn] == ["cell 0 to cell 3 (4 alike)", "cell 4"]
    assert all(svg.count("<svg") == 1 for _, svg in drawn)
    assert draw_cells(cells[:2])[0][0] == "cell 0 and cell 1 (alike)"
    assert len(draw_cells([cells[0], other, cells[1]])) == 3


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("sep_conv_3x3", "separable convolution"),
        ("dil_conv_5x5", "dilated convolution"),
        ("nor_conv_1x1", "other convolution"),
        ("avg_pool_3x3", "pooling"),
        ("skip_connect", "skip connection"),
        ("gelu", "other operation"),
    ],
)
def test_kinds_of_operations(operation, kind):
    assert operation_kind(operation) == kind


def test_crossings_are_counted_and_removed():
    layers, links = [["a", "b"], ["x", "y"]], {("a", "y"): 1.0, ("b", "x"): 1.0}
    assert count_crossings(layers, links) == 1
    assert count_crossings(order_layers(layers, links, lambda item: item, 4), links) == 0


def test_a_group_stays_together():
    layers = [["a", "b", "c"], ["x", "y", "z"]]
    links = {("a", "x"): 1.0, ("b", "y"): 1.0, ("c", "z"): 1.0, ("a", "z"): 1.0}
    order = order_layers(layers, links, lambda item: "xz" if item in "xz" else item, 6)[1]
    assert abs(order.index("x") - order.index("z")) == 1


def test_places_keep_order_and_distance():
    heights = compute_heights([["a"], ["x", "y", "z"]], {("a", item): 1.0 for item in "xyz"}, lambda _: 10.0, 6)
    assert heights["y"] - heights["x"] == pytest.approx(10)
    assert heights["z"] - heights["y"] == pytest.approx(10)
    assert heights["y"] == pytest.approx(heights["a"])
