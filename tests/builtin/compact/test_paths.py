from __future__ import annotations

from collections import Counter
from random import Random

from nasplug.builtin.compact import Compact

SPACE = Compact(stages=("s1 2x8", "s2 1x16"), multipliers=(0.5, 1.0), operations=("conv3", "pool", "skip"))


def test_paths_are_enumerated_depth_first():
    lines = [" ".join(names[0] for _, names in path.picks) for path in SPACE.paths(0).enumerate()]
    assert len(lines) == SPACE.paths(0).count == 18
    assert lines[:4] == ["4s1 conv3 conv3", "4s1 conv3 pool", "4s1 conv3 skip", "4s1 pool conv3"]
    assert lines[9] == "8s1 conv3 conv3"
    assert SPACE.paths(None).count == 18 * 4


def test_random_architectures_are_uniform():
    generator = Random(0)
    drawn = Counter(SPACE.paths(1).sample(generator) for _ in range(4000))
    assert len(drawn) == 4
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in drawn.values())


def test_a_mutation_changes_one_place_and_each_equally_often():
    genotype, generator = SPACE.random(Random(1)), Random(0)
    changed = Counter()
    for _ in range(2500):
        mutated = SPACE.mutate(genotype, generator)
        SPACE.check(mutated)
        (place,) = (a for (a, before), (_, after) in zip(genotype.picks, mutated.picks, strict=True) if before != after)
        changed[place] += 1
    assert set(changed) == set(genotype.places)
    assert all(abs(count - 500) < 5 * 500**0.5 for count in changed.values())


def test_where_there_is_no_alternative_nothing_is_mutated():
    space = Compact(stages=("s2 1x8",), multipliers=(1.0,), operations=("pool", "skip"))
    genotype = space.random(Random(0))
    assert space.mutate(genotype, Random(0)) == genotype
