"""A random walk through a search space towards architectures of a wanted size."""

from __future__ import annotations

from collections.abc import Callable, Container
from random import Random
from typing import TypeVar

from nasplug.parts.space import SearchSpace
from nasplug.values import Genotype

D = TypeVar("D", float, tuple[float, ...])


def mutate_towards(
    space: SearchSpace,
    start: Genotype,
    distance: Callable[[Genotype], D],
    generator: Random,
    *,
    mutations: int,
    tolerance: D | None = None,
    excluded: Container[Genotype] = (),
) -> Genotype:
    """The end of a walk that begins at `start` and accepts every mutation that does not increase `distance`.

    It ends at the first architecture whose distance is at most `tolerance`, or else after `mutations` mutations, also
    where it does not get there. Without a `tolerance` it takes all of them. It neither ends at an architecture in
    `excluded` before that, nor stays at one: the first mutation of it is accepted whatever its distance is.
    """
    genotype, current = start, distance(start)
    for _ in range(mutations):
        if tolerance is not None and current <= tolerance and genotype not in excluded:
            break
        mutated = space.mutate(genotype, generator)
        new = distance(mutated)
        if genotype in excluded or new <= current:
            genotype, current = mutated, new
    return genotype
