"""Random architectures, random neighbours of an architecture, and all there are."""

from __future__ import annotations

from itertools import product
from random import Random

from nasplug.builtin.nb201.names import EDGES
from nasplug.builtin.nb201.notation import read, write
from nasplug.parts import Paths
from nasplug.values import Genotype


def random(operations: tuple[str, ...], generator: Random) -> Genotype:
    """An operation for every edge, uniformly at random."""
    return write([generator.choice(operations) for _ in EDGES])


def mutate(genotype: Genotype, operations: tuple[str, ...], generator: Random) -> Genotype:
    """Another operation on one edge; the genotype itself if there is no other."""
    named = list(read(genotype))
    edge = generator.randrange(len(EDGES))
    others = [name for name in operations if name != named[edge]]
    if others:
        named[edge] = generator.choice(others)
    return write(named)


def paths(operations: tuple[str, ...]) -> Paths:
    """Every architecture."""
    return Paths(
        count=len(operations) ** len(EDGES),
        enumerate=lambda: map(write, product(operations, repeat=len(EDGES))),
        sample=lambda generator: random(operations, generator),
    )
