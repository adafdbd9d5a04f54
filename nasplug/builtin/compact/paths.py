"""The paths through stages, random architectures, and mutations of an architecture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from random import Random

import attrs

from nasplug.builtin.compact.choices import StageChoices
from nasplug.builtin.compact.genotype import Stage, read_genotype, write_genotype
from nasplug.parts import Paths
from nasplug.values import Genotype


def random_genotype(numbers: Sequence[int], stages: Sequence[StageChoices], generator: Random) -> Genotype:
    """For each of these stages a width and operations, uniformly at random."""
    return write_genotype(
        {
            number: Stage(generator.choice(stages[number].widths), tuple(map(generator.choice, stages[number].layers)))
            for number in numbers
        }
    )


def make_paths(numbers: Sequence[int], stages: Sequence[StageChoices]) -> Paths:
    """All ways to fill these stages, depth-first: width by width, and the last layer changes fastest."""

    def fillings(stage: StageChoices) -> Iterator[Stage]:
        for width in stage.widths:
            yield from (Stage(width, operations) for operations in product(*stage.layers))

    def every() -> Iterator[Genotype]:
        for chosen in product(*(list(fillings(stages[number])) for number in numbers)):
            yield write_genotype(dict(zip(numbers, chosen, strict=True)))

    return Paths(
        count=prod(len(stages[number].widths) * prod(map(len, stages[number].layers)) for number in numbers),
        enumerate=every,
        sample=lambda generator: random_genotype(numbers, stages, generator),
    )


def mutate_genotype(genotype: Genotype, stages: Sequence[StageChoices], generator: Random) -> Genotype:
    """Another width of one stage, or another operation in one layer; each place is equally likely.

    The genotype itself if no place has an alternative.
    """
    filled = dict(enumerate(read_genotype(genotype)))
    mutations = []
    for number, (stage, offered) in enumerate(zip(filled.values(), stages, strict=True)):
        mutations.append(
            [(number, attrs.evolve(stage, width=width)) for width in offered.widths if width != stage.width]
        )
        for layer, candidates in enumerate(offered.layers):
            before, after = stage.operations[:layer], stage.operations[layer + 1 :]
            mutations.append(
                [
                    (number, attrs.evolve(stage, operations=(*before, operation, *after)))
                    for operation in candidates
                    if operation != stage.operations[layer]
                ]
            )
    mutations = [alternatives for alternatives in mutations if alternatives]
    if not mutations:
        return genotype
    number, changed = generator.choice(generator.choice(mutations))
    return write_genotype(filled | {number: changed})
