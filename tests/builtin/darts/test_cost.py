from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.darts.genotype import OPERATIONS
from nasplug.values import ImageShape

PUBLISHED = json.loads((Path(__file__).parent / "published_cells.json").read_text())["cells"]
CIFAR = ImageShape(3, 32, 10)
NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}
ALL = {"operations": OPERATIONS}


def published_text(cell):
    fields = ", ".join(
        f"{name}={[tuple(edge) for edge in cell[name]]}, {name}_concat=range(2, 6)" for name in ("normal", "reduce")
    )
    return f"Genotype({fields})"


def macs_run(network, shape):
    """Multiply-accumulates counted by watching every convolution and linear layer compute one image."""
    counted = []

    def count(module, inputs, output):
        counted.append(output.numel() * module.weight[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, shape.channels, shape.size, shape.size))
    return sum(counted)


@pytest.mark.parametrize("cell", PUBLISHED, ids=lambda cell: cell["name"])
def test_published_cells_cost_exactly_what_they_should(cell):
    space = Darts(cells=20, channels=36)
    genotype = space.parse(published_text(cell))
    space.check(genotype)
    cost = space.cost(genotype, CIFAR)
    assert (cost.params, cost.macs) == (cell["params"], cell["macs"])


def test_there_are_twelve_published_cells():
    assert len({cell["name"] for cell in PUBLISHED}) == 12


def test_a_published_network_is_built_with_its_parameters():
    with torch.device("meta"):
        network = Darts(cells=20, channels=36).network(Darts().parse(published_text(PUBLISHED[1])), CIFAR)
    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED[1]["params"]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({**ALL, "cells": 5, "channels": 4}, ImageShape(1, 9, 3)),
        ({**ALL, "cells": 3, "channels": 5, "nodes": 3}, ImageShape(1, 8, 3)),
        ({**ALL, "cells": 4, "channels": 6}, ImageShape(3, 67, 7)),
        ({**NADD, "cells": 6, "channels": 4}, ImageShape(1, 13, 3)),
        ({**NADD, "cells": 1, "channels": 4}, ImageShape(1, 8, 3)),
        ({**NADD, "cells": 2, "channels": 4, "nodes": 1}, ImageShape(1, 8, 3)),
    ],
)
def test_counted_cost_is_that_of_the_built_network(options, shape):
    space, generator = Darts(**options), Random(0)
    for _ in range(3):
        genotype = space.random(generator)
        network = space.network(genotype, shape, auxiliary=True)
        cost = space.cost(genotype, shape)
        shipped = [
            parameter.numel() for name, parameter in network.named_parameters() if not name.startswith("auxiliary")
        ]
        assert cost.params == sum(shipped)
        assert cost.macs == macs_run(network, shape)


def test_cost_is_fast_enough_to_search_with():
    space = Darts(cells=20, channels=36)
    genotypes = [space.random(Random(seed)) for seed in range(30)]
    space.cost(genotypes[0], CIFAR)
    start = time.perf_counter()
    for genotype in genotypes:
        space.cost(genotype, CIFAR)
    assert (time.perf_counter() - start) / len(genotypes) < 0.01
