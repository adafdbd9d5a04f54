"""Genotypes, images and supernets that the checks of a space share."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Supernet
from nasplug.testing.case import Case
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import Failed
from nasplug.testing.tiny_search import MEAN, STD
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(channels=2, size=8, classes=4, mean=MEAN, std=STD)
COUNT = 3


def genotypes(case: Case) -> list[Genotype]:
    """COUNT random architectures, then a mutation of each."""
    space = case.once(space_of)
    sampled = [space.random(Random(seed)) for seed in range(COUNT)]
    return [*sampled, *(space.mutate(genotype, Random(seed)) for seed, genotype in enumerate(sampled))]


def images(shape: ImageShape = SHAPE, count: int = 4) -> Tensor:
    """Normally distributed images (count, C, H, W), the same at every call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, shape.channels, shape.size, shape.size, generator=generator)


def supernet(case: Case, shape: ImageShape = SHAPE) -> Supernet:
    """A new supernet, with normally distributed alpha."""
    torch.manual_seed(0)
    net = case.once(space_of).supernet(shape)
    net.choices.alpha.data.copy_(torch.randn(net.choices.alpha.shape))
    return net.to(memory_format=torch.channels_last)


def require_refusal(call: Callable[[], object], what: str) -> None:
    """Raises Failed unless the call raises an InputError."""
    remedy = "raise nasplug.errors.InputError, saying what was found and what would work"
    try:
        call()
    except InputError:
        return
    except Exception as error:
        raise Failed(f"{what} raises {type(error).__name__}: {error}", remedy) from error
    raise Failed(f"{what} is accepted", remedy)
