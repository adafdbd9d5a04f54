"""The walk towards a size ends where it should, and draws one mutation a step."""

from __future__ import annotations

from random import Random

import pytest

from nasplug.parts.random_walk import mutate_towards
from nasplug.testing.toy.space import Toy
from nasplug.values import ImageShape

SPACE = Toy(cells=4)
SHAPE = ImageShape(channels=3, size=8, classes=2)


def params(genotype):
    return SPACE.cost(genotype, SHAPE).params


@pytest.fixture
def genotypes():
    return sorted((SPACE.random(Random(seed)) for seed in range(30)), key=params)


def walk(genotypes, **settings):
    target = params(genotypes[-1])
    generator = Random(1)
    end = mutate_towards(
        SPACE, genotypes[0], lambda genotype: abs(params(genotype) - target), generator, mutations=200, **settings
    )
    return end, generator.getstate()


def test_it_ends_at_the_target_as_soon_as_it_is_there(genotypes):
    end, state = walk(genotypes, tolerance=0)
    assert params(end) == params(genotypes[-1])
    assert state != walk(genotypes)[1]  # without a tolerance it goes on mutating
    assert params(walk(genotypes)[0]) == params(genotypes[-1])


def test_it_ends_at_no_excluded_architecture(genotypes):
    end, _ = walk(genotypes, tolerance=0)
    other, _ = walk(genotypes, tolerance=0, excluded={end})
    assert other != end
    assert params(other) == params(end)


def test_it_stays_where_it_is_close_enough_already(genotypes):
    end, state = walk(genotypes, tolerance=10**9)
    assert (end, state) == (genotypes[0], Random(1).getstate())
