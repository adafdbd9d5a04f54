"""What the checks of a space look at."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choices, Supernet
from nasplug.testing.case import Case
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import Failed
from nasplug.testing.tiny_search import MEAN, STD
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(channels=2, size=8, classes=4, mean=MEAN, std=STD)
COUNT = 3


def genotypes(case: Case) -> list[Genotype]:
    """Some random architectures, and a mutation of each."""
    space = case.once(space_of)
    drawn = [space.random(Random(seed)) for seed in range(COUNT)]
    return [*drawn, *(space.mutate(genotype, Random(seed)) for seed, genotype in enumerate(drawn))]


def images(shape: ImageShape = SHAPE, count: int = 4) -> Tensor:
    """Random images, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, shape.channels, shape.size, shape.size, generator=generator)


def supernet(case: Case, shape: ImageShape = SHAPE) -> Supernet:
    """A new supernet with alpha not quite equal."""
    torch.manual_seed(0)
    net = case.once(space_of).supernet(shape)
    net.choices.alpha.data.copy_(torch.randn(net.choices.alpha.shape))
    return net.to(memory_format=torch.channels_last)


def restricted(case: Case, genotype: Genotype, choices: Choices) -> Tensor:
    """The mask of a genotype."""
    return case.once(space_of).encode(genotype, choices)


def refused(call: Callable[[], object], what: str) -> None:
    """Fails unless the call is refused with an InputError."""
    remedy = "raise nasplug.errors.InputError, saying what was found and what would work"
    try:
        call()
    except InputError:
        return
    except Exception as error:
        raise Failed(f"{what} raises {type(error).__name__}: {error}", remedy) from error
    raise Failed(f"{what} is accepted", remedy)
