"""Checks of stand-alone networks: their outputs, their cost, and that genotype and options take effect."""

from __future__ import annotations

from random import Random

import torch
from torch.utils.flop_counter import FlopCounterMode

from nasplug.compose import check_recorded_size
from nasplug.errors import InputError
from nasplug.parts import Network, SearchSpace
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, images
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.values import Genotype, ImageShape
from nasplug.values.options import build, option_values

OTHER_SHAPES = (ImageShape(1, 9, 2), ImageShape(3, 16, 3))
LARGE_SHAPES = (ImageShape(2, 32, 4), ImageShape(1, 33, 2))
"""Maps larger than any kernel, so that implementations that skip taps in the zero padding count the same MACs."""


@check("space")
def networks_have_the_form_they_declare(case: Case) -> None:
    """A network gives finite logits for every class, a map for each tap, and an auxiliary head where one is asked for.

    It finds heads built for other images or classes than requested, and taps that a teacher would miss.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes)[:2]:
        for auxiliary in {False, space.auxiliary_heads}:
            net = _build(space, genotype, SHAPE, auxiliary)
            out = net.train()(images()), net.outputs(images())
            shape, outputs = tuple(out[0].shape), out[1]
            require(
                shape == (4, SHAPE.classes),
                f"logits have the shape {shape} instead of (4, {SHAPE.classes})",
                "fix the head",
            )
            require(bool(out[0].isfinite().all()), "logits are not finite", "fix the initial weights or the norms")
            require(
                len(outputs.taps) == space.taps() and all(tap.ndim == 4 for tap in outputs.taps),
                f"taps have the shapes {[tuple(tap.shape) for tap in outputs.taps]}, and taps() says {space.taps()}",
                "return one map (N, C, H, W) for each of taps() in Outputs.taps",
            )
            heads = outputs.auxiliary is not None
            require(
                heads == auxiliary,
                f"the auxiliary head is {'there' if heads else 'missing'}",
                "fix network(auxiliary)",
            )


@check("space")
def networks_work_with_any_images(case: Case) -> None:
    """Networks work with a single image, odd sizes, one or three channels, and two classes.

    A batch of one breaks norms, odd sizes break joins of strided branches, two classes break code written for ten.
    """
    space, genotype = case.once(space_of), case.once(genotypes)[0]
    for shape in OTHER_SHAPES:
        net = _build(space, genotype, shape)
        with torch.no_grad():
            logits = net.eval()(images(shape, 1))
        require(
            logits.shape == (1, shape.classes) and bool(logits.isfinite().all()),
            f"one image of {shape.size} pixels gives {tuple(logits.shape)} logits for {shape.classes} classes",
            "build the network for the ImageShape that is passed",
        )
        supernet = space.supernet(shape)
        logits = supernet(images(shape, 2))
        require(
            logits.shape == (2, shape.classes) and bool(logits.isfinite().all()),
            f"the supernet gives {tuple(logits.shape)} logits for two images of {shape.size} pixels",
            "build the supernet for the ImageShape that is passed",
        )


@check("space")
def parameters_are_counted_exactly(case: Case) -> None:
    """`cost` counts exactly the parameters of the network that `network` builds, at two widths.

    Budgets, Pareto fronts and random networks of equal size depend on this count.
    """
    for space in _widths(case.once(space_of)):
        for genotype in case.once(genotypes):
            for shape in (SHAPE, OTHER_SHAPES[0]):
                built = sum(parameter.numel() for parameter in _build(space, genotype, shape).parameters())
                said = space.cost(genotype, shape)["params"]  # as the space gives it, before it is rounded
                require(
                    said == built and type(said) is int,
                    f"cost says {said!r} parameters of {dict(space.size())}, the network has {built}",
                    "fix the params of cost(), a whole number",
                )


@check("space")
def multiplications_are_counted_exactly(case: Case) -> None:
    """`cost` counts exactly the multiply-accumulates of convolutions and linear layers for one image, at two widths.

    Papers confuse MACs and FLOPs, and counts by hand miss a stride.
    """
    for space in _widths(case.once(space_of)):
        for genotype in case.once(genotypes)[:2]:
            for shape in LARGE_SHAPES:
                net = _build(space, genotype, shape).eval()
                with torch.no_grad(), FlopCounterMode(display=False) as counter:
                    net(images(shape, 1))
                counted, said = counter.get_total_flops() // 2, space.cost(genotype, shape)["macs"]
                require(
                    said == counted and type(said) is int,
                    f"cost says {said!r} MACs of {dict(space.size())} for {shape.size} pixels, the network takes "
                    f"{counted}",
                    "fix the macs of cost(), a whole number",
                )


@check("space")
def picks_reach_the_network(case: Case) -> None:
    """Networks of different architectures compute different outputs from the same initial weights.

    It finds final models that are built from a default instead of the architecture found (tinyml-tensorlab#15).
    """
    space, samples = case.once(space_of), case.once(genotypes)
    outputs = []
    for genotype in samples:
        net = _build(space, genotype, SHAPE).eval()
        with torch.no_grad():
            outputs.append(net(images()))
    different = sum(not torch.equal(outputs[0], output) for output in outputs[1:])
    require(
        different >= len(set(samples)) // 2,
        f"of {len(set(samples))} architectures, {len(set(samples)) - different} give one and the same network",
        "build the network from the picks of the genotype that is passed",
    )


@check("space", of_options=True)
def options_reach_the_network(case: Case) -> None:
    """Each whole-numbered option of the space, and each size of `scaled`, changes what is built.

    It finds structural parameters that are set in a search and lost before the final model (tinyml-tensorlab#15).
    Where networks are those of another space (`genotypes_of`), an option may change the supernet alone.
    """
    space = case.once(space_of)
    counts = {name: value for name in case.option_fields() if type(value := getattr(space, name)) is int and value > 0}
    compared = 0
    for name, value in counts.items():
        try:
            other = build(type(space), {**option_values(space), name: 2 * value}, case.title)
            before, after = _fingerprint(space), _fingerprint(other)
            if before == after and space.genotype_space != space.name:
                before, after = _shapes(space.supernet(SHAPE)), _shapes(other.supernet(SHAPE))
        except InputError:
            continue  # out of bounds, or valid only together with another option
        compared += 1
        require(
            before != after,
            f"{name}={2 * value} builds the same as {name}={value}",
            f"use the option '{name}', or drop it",
        )
    for word in ("channels", "cells"):
        size = space.size().get(word)
        if isinstance(size, int) and word not in case.waived_options:
            try:
                scaled = space.scaled(**{word: 2 * size})
            except InputError:
                continue
            compared += 1
            require(
                scaled.size()[word] == 2 * size and _fingerprint(scaled) != _fingerprint(space),
                f"scaled({word}={2 * size}) gives networks of {word}={scaled.size()[word]} that are built as before",
                "make scaled return the space at the size that is passed",
            )
    if not compared:
        raise NotApplicable("it has neither whole-numbered options nor sizes")


@check("space")
def records_the_size_of_its_networks(case: Case) -> None:
    """From what `size` returns, the options of the space give the same networks again, at every size of `scaled`.

    A run records it with each network, and builds the network from it after the search: what it lacks is lost then.
    """
    space = case.once(space_of)
    for sizes in ({}, {"channels": 6}, {"channels": 12}, {"cells": 2}, {"cells": 4}):
        try:
            resized = space.scaled(**sizes)
        except InputError:
            continue
        try:
            check_recorded_size(space, resized)
        except InputError as error:
            raise Failed(
                f"at {sizes or 'its own size'}: {error}", "return every option that scaled sets, by its name"
            ) from error


def _widths(space: SearchSpace) -> list[SearchSpace]:
    """The space, and if its networks have widths, with networks twice as wide."""
    channels = space.size().get("channels")
    if not isinstance(channels, int):
        return [space]
    try:
        return [space, space.scaled(channels=2 * channels)]
    except InputError:
        return [space]


def _fingerprint(space: SearchSpace) -> object:
    """The choices of a space, and the parameter shapes and module count of a random network of it."""
    genotype = space.random(Random(0))
    net = _build(space, genotype, SHAPE)
    return space.choice_list(), _shapes(net), len(list(net.modules()))


def _shapes(net: Network) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in net.parameters()]


def _build(space: SearchSpace, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
    torch.manual_seed(0)
    return space.network(genotype, shape, auxiliary)
