from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from nasplug.builtin.darts import Darts
from nasplug.errors import InputError
from nasplug.values import ImageShape
from nasplug.values.options import build, option_values

PUBLISHED = json.loads((Path(__file__).parent / "published_cells.json").read_text())["cells"]
CIFAR = ImageShape(3, 32, 10)
NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}


def test_options_are_refused_with_what_would_fit():
    with pytest.raises(InputError, match="darts7, nadd3"):
        Darts(choices="node")
    with pytest.raises(InputError, match="Did you mean 'sep_conv_3x3'"):
        Darts(operations=("sep_conv_3x4",))
    with pytest.raises(InputError, match="other than 'none'"):
        Darts(operations=("none",))
    with pytest.raises(InputError, match="more than once"):
        Darts(operations=("nadd3", "skip_connect"))
    assert build(Darts, option_values(Darts(**NADD)), "space darts") == Darts(**NADD)


def test_check_names_what_does_not_belong():
    genotype = Darts(nodes=2).random(Random(0))
    with pytest.raises(InputError, match="nodes=4"):
        Darts().check(genotype)
    with pytest.raises(InputError, match="topology='per-cell'"):
        Darts(topology="per-cell", nodes=2).check(genotype)
    with pytest.raises(InputError, match="leaves out"):
        Darts(operations=("conv_7x1_1x7",), nodes=2).check(genotype)
    own = Darts(**NADD, cells=3)
    with pytest.raises(InputError, match="3 cells"):
        own.scaled(cells=4).check(own.random(Random(0)))
    with pytest.raises(InputError, match="set cells=3"):
        own.scaled(cells=4).network(own.random(Random(0)), CIFAR)


def test_scaled_changes_the_size_alone():
    space = Darts(**NADD).scaled(channels=36)
    assert space.size() == {"cells": 8, "channels": 36, "stem": "auto"}
    assert Darts().scaled(cells=20).size() == {"cells": 20, "channels": 16, "stem": "auto"}
    assert (space.topology, space.choices) == ("per-cell", "node")


def test_drawings_show_every_edge_of_every_distinct_cell():
    edges = {name: [tuple(edge) for edge in PUBLISHED[0][name]] for name in ("normal", "reduce")}
    genotype = Darts().parse(f"Genotype(normal={edges['normal']}, reduce={edges['reduce']})")
    normal, reduce = Darts().drawings(genotype)
    assert (normal.title, reduce.title) == ("normal", "reduce")
    assert normal.nodes == ("c_{k-2}", "c_{k-1}", "2", "3", "4", "5", "c_{k}")
    assert [(edge.source, edge.target, edge.operation) for edge in normal.edges[:2]] == [
        ("c_{k-2}", "2", "sep_conv_3x3"),
        ("c_{k-1}", "2", "sep_conv_3x3"),
    ]
    assert len(normal.edges) == 8 + 4
    space = Darts(**NADD, cells=3)
    assert [drawing.title for drawing in space.drawings(space.random(Random(0)))] == ["cell 0", "cell 1", "cell 2"]
