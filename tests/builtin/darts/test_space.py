from __future__ import annotations

from random import Random

import pytest

from nasplug.builtin.darts import Darts
from nasplug.builtin.darts.names import OPERATIONS
from nasplug.builtin.darts.topology import read
from nasplug.errors import InputError
from nasplug.values import ImageShape
from nasplug.values.options import build, option_values

CIFAR = ImageShape(3, 32, 10)
NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}
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
        for cell in read(space.random(Random(seed))).values():
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
