from __future__ import annotations

from random import Random

import pytest

from nasplug.builtin.darts import Darts
from nasplug.builtin.darts.genotype import OPERATIONS, read_genotype
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(1, 8, 5)
PER_CELL = {"topology": "per-cell", "operations": ("nadd3",)}
NADD = {**PER_CELL, "choices": "node"}
ALL = {"operations": OPERATIONS}


@pytest.mark.parametrize("options", [ALL, {**NADD, "cells": 3}, {"topology": "per-cell", "cells": 2}])
def test_random_genotypes_and_mutants_belong_to_the_space(options):
    space, generator = Darts(**options), Random(1)
    genotype = space.random(generator)
    for _ in range(40):
        space.check(genotype)
        assert space.parse(genotype.to_json()) == genotype
        mutant = space.mutate(genotype, generator)
        changed = [place for place in genotype.places if genotype[place] != mutant[place]]
        assert len(changed) == 1
        difference = set(genotype[changed[0]]) ^ set(mutant[changed[0]])
        assert len(difference) == (1 if space.choices == "node" else 2)
        genotype = mutant


def test_random_edges_are_two_distinct_inputs_per_node():
    space = Darts()
    for seed in range(20):
        for cell in read_genotype(space.random(Random(seed))).values():
            for node in cell.nodes:
                assert len({pick.input for pick in node}) == 2
    assert space.random(Random(3)) == space.random(Random(3))


def test_random_subsets_are_of_all_densities():
    space = Darts(**NADD)
    sizes = [sum(len(picks) for _, picks in space.random(Random(seed)).picks) for seed in range(60)]
    assert min(sizes) < 0.2 * 8 * 42
    assert max(sizes) > 0.8 * 8 * 42


def test_the_only_genotype_of_a_space_is_its_own_mutant():
    space = Darts(operations=("skip_connect",), nodes=1)
    genotype = space.random(Random(0))
    assert space.mutate(genotype, Random(0)) == genotype


@pytest.mark.parametrize("choices", ["edge", "node"])
def test_paths_are_all_there_are(choices):
    space = Darts(**PER_CELL, cells=3, nodes=2, choices=choices)
    if choices == "node":
        space = Darts(topology="per-cell", operations=("skip_connect",), cells=4, nodes=2, choices=choices)
    paths = space.paths(1)
    every = list(paths.enumerate())
    assert len(every) == len(set(every)) == paths.count
    assert {paths.sample(Random(seed)) for seed in range(50)} <= set(every)
    assert sorted(path.to_json() for path in paths.select(paths.count, Random(0))) == sorted(
        path.to_json() for path in every
    )
    few = list(paths.select(5, Random(0)))
    assert len(set(few)) == 5
    assert few == list(paths.select(5, Random(0)))


def test_costs_of_paths_add_up_to_that_of_a_network_that_needs_all_its_cells():
    space = Darts(**PER_CELL, cells=5, nodes=2, channels=4)
    equal = 0
    for seed in range(40):
        generator = Random(seed)
        paths = [space.paths(block).sample(generator) for block in range(3)]
        genotype = Genotype.join(paths)
        whole = space.cost(genotype, SHAPE)
        parts = [space.path_cost(block, path, None, SHAPE) for block, path in enumerate(paths)]
        total = (sum(part.params for part in parts), sum(part.macs for part in parts))
        assert total[0] >= whole.params
        assert total[1] >= whole.macs
        equal += total == (whole.params, whole.macs)
    assert equal > 0
