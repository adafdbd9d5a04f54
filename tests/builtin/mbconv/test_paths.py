from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.values import Genotype


def test_random_genotypes_and_mutants_belong_to_the_space(space):
    generator = Random(1)
    genotype, kinds = space.random(generator), set()
    for _ in range(80):
        space.check(genotype)
        assert space.parse(genotype.to_json()) == genotype
        mutant = space.mutate(genotype, generator)
        changed = {block for block in "012" if _block(genotype, block) != _block(mutant, block)}
        assert len(changed) == 1
        block = changed.pop()
        if genotype[f"{block}/cell"] == mutant[f"{block}/cell"]:
            differing = [place for place in genotype.places if genotype[place] != mutant[place]]
            assert len(differing) == 1
            kinds.add("operation")
        else:
            kinds.add("cell")
        genotype = mutant
    assert kinds == {"operation", "cell"}


def _block(genotype, block):
    return [pick for pick in genotype.picks if pick[0].startswith(f"{block}/")]


def test_the_only_genotype_of_a_space_is_its_own_mutant():
    space = MBConvSpace(blocks=("s1 2x4",), kernels=(3,), expansions=(2,))
    genotype = space.random(Random(0))
    assert space.mutate(genotype, Random(0)) == genotype


def test_cells_are_equally_likely_however_many_paths_they_have(space):
    sampled = [space.random(Random(seed))["1/cell"] for seed in range(200)]
    assert 70 < sampled.count(("1x6s2",)) < 130


@pytest.mark.parametrize("block", [0, 1, 2])
def test_the_paths_of_a_block_are_all_its_parts_of_genotypes_depth_first(space, block):
    paths = space.paths(block)
    every = list(paths.enumerate())
    assert len(every) == len(set(every)) == paths.count == {0: 4 + 16, 1: 4 + 64, 2: 16}[block]
    assert {space.paths(block).sample(Random(seed)) for seed in range(30)} <= set(every)
    # A prefix of layers never comes back once it was left: every step of the tree is taken once.
    prefixes = [[path.picks[:length] for length in range(1, len(path.picks) + 1)] for path in every]
    steps = sum(len(set(after) - set(before)) for before, after in pairwise([[], *prefixes]))
    assert steps == len({prefix for path in prefixes for prefix in path})


def test_paths_of_all_blocks_are_the_genotypes(space):
    paths = space.paths(None)
    assert paths.count == 20 * 68 * 16
    some = list(paths.select(50, Random(0)))
    assert len(set(some)) == 50
    for genotype in some:
        space.check(genotype)
    small = MBConvSpace(blocks=("s1 1x4 2x4", "s2 1x4"), kernels=(3,))
    every = list(small.paths(None).enumerate())
    assert len(set(every)) == len(every) == small.paths(None).count == (2 + 4) * 2
    joined = [
        Genotype.join([first, second]) for first in small.paths(0).enumerate() for second in small.paths(1).enumerate()
    ]
    assert joined == every


def test_dna_has_two_times_ten_to_the_seventeenth_members():
    assert 1.9e17 < MBConvSpace(blocks=("dna",)).paths(None).count < 2e17
    assert MBConvSpace(blocks=("dna-single",)).paths(None).count == 6**19
