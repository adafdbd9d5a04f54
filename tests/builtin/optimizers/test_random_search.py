from __future__ import annotations

from random import Random
from typing import cast

from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.engine.plain.fixed import Fixed
from nasplug.parts import SearchSpace, SearchState
from nasplug.values import Found, Genotype, ImageShape, StepClock, Update


class Dice:
    """A space of `sides` architectures, as far as random search can see."""

    def __init__(self, sides: int) -> None:
        self.sides = sides

    def random(self, generator: Random) -> Genotype:
        return Genotype("dice", {"side": [str(generator.randrange(self.sides))]})


def search_state(space: SearchSpace, seed: int) -> SearchState:
    return SearchState(
        space, ImageShape(1, 8, 10), net=None, snapshots=(), images=lambda split, count: iter(()), seed=seed
    )


def sampled_genotypes(sides: int, samples: int, seed: int) -> list[Genotype]:
    space = cast("SearchSpace", Dice(sides))
    return [event.genotype for event in map(_found, RandomSearch(samples=samples).decide(search_state(space, seed)))]


def _found(event: object) -> Found:
    assert isinstance(event, Found)
    return event


def test_samples_are_distinct_and_seeded() -> None:
    genotypes = sampled_genotypes(10, 6, seed=1)
    assert len(set(genotypes)) == len(genotypes) == 6
    assert genotypes == sampled_genotypes(10, 6, seed=1)
    assert genotypes != sampled_genotypes(10, 6, seed=2)


def test_a_small_space_gives_what_it_holds() -> None:
    assert len(sampled_genotypes(3, 8, seed=0)) == 3


def test_it_trains_nothing() -> None:
    assert not RandomSearch().trains
    assert not RandomSearch().learns_alpha
    assert tuple(RandomSearch().updates(StepClock(1, 1).at(0))) == ()


def test_fixed_moves_the_weights_alone_and_finds_nothing() -> None:
    assert tuple(Fixed().updates(StepClock(1, 1).at(0))) == (Update("train", moves_weights=True, moves_alpha=False),)
    assert not Fixed().learns_alpha
    assert list(Fixed().decide(search_state(cast("SearchSpace", Dice(2)), 0))) == []
