"""Stand-alone networks of a space: their form, their cost and what of the space reaches them."""

from __future__ import annotations

from random import Random

import torch
from torch.utils.flop_counter import FlopCounterMode

from nasplug.errors import InputError
from nasplug.parts import Network, SearchSpace
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, images
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import NotApplicable, require
from nasplug.values import Genotype, ImageShape
from nasplug.values.options import build, option_values, options_of

OTHER_SHAPES = (ImageShape(1, 9, 2), ImageShape(3, 16, 3))
LARGE_SHAPES = (ImageShape(2, 32, 4), ImageShape(1, 33, 2))
"""Maps that are larger than any kernel, so that nobody is tempted to leave out what only sees the border."""


@check("space")
def networks_have_the_form_they_declare(case: Case) -> None:
    """A network that was decoded, built and run gives finite logits for every class, and a map for each tap.

    Heads that fit other images or classes than asked for, and teachers that compare taps that are not there.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes)[:2]:
        for auxiliary in {False, space.auxiliary_heads}:
            net = _built(space, genotype, SHAPE, auxiliary)
            out = net.train()(images()), net.outputs(images())
            form, outputs = tuple(out[0].shape), out[1]
            require(
                form == (4, SHAPE.classes),
                f"logits have the form {form} instead of (4, {SHAPE.classes})",
                "mend the head",
            )
            require(bool(out[0].isfinite().all()), "logits are not finite", "mend the initial weights or the norms")
            require(
                len(outputs.taps) == space.taps() and all(tap.ndim == 4 for tap in outputs.taps),
                f"taps have the forms {[tuple(tap.shape) for tap in outputs.taps]}, and taps() says {space.taps()}",
                "return one map (N, C, H, W) for each of taps() in Outputs.taps",
            )
            heads = outputs.auxiliary is not None
            require(
                heads == auxiliary,
                f"the auxiliary head is {'there' if heads else 'missing'}",
                "mend network(auxiliary)",
            )


@check("space")
def networks_work_with_any_images(case: Case) -> None:
    """Networks work with one image at a time, of odd size, in one plane or three, and with two classes.

    A batch of one breaks norms, odd sizes break strided joins, and two classes break what was written for ten.
    """
    space, genotype = case.once(space_of), case.once(genotypes)[0]
    for shape in OTHER_SHAPES:
        net = _built(space, genotype, shape)
        with torch.no_grad():
            logits = net.eval()(images(shape, 1))
        require(
            logits.shape == (1, shape.classes) and bool(logits.isfinite().all()),
            f"one image of {shape.size} pixels gives {tuple(logits.shape)} logits for {shape.classes} classes",
            "build the network for the ImageShape that is asked for",
        )
        supernet = space.supernet(shape)
        logits = supernet(images(shape, 2))
        require(
            logits.shape == (2, shape.classes) and bool(logits.isfinite().all()),
            f"the supernet gives {tuple(logits.shape)} logits for two images of {shape.size} pixels",
            "build the supernet for the ImageShape that is asked for",
        )


@check("space")
def parameters_are_counted_exactly(case: Case) -> None:
    """`cost` counts exactly the parameters of the network that `network` builds.

    Budgets, fronts and random networks of equal size rest on this count.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes):
        for shape in (SHAPE, OTHER_SHAPES[0]):
            built = sum(each.numel() for each in _built(space, genotype, shape).parameters())
            said = space.cost(genotype, shape).params
            require(said == built, f"cost says {said} parameters, the network has {built}", "mend cost().params")


@check("space")
def multiplications_are_counted_exactly(case: Case) -> None:
    """`cost` counts exactly the multiply-accumulates of convolutions and linear layers for one image.

    Papers confuse MACs and FLOPs, and counts by hand miss a stride.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes)[:2]:
        for shape in LARGE_SHAPES:
            net = _built(space, genotype, shape).eval()
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                net(images(shape, 1))
            found, said = counter.get_total_flops() // 2, space.cost(genotype, shape).macs
            require(
                said == found,
                f"cost says {said} MACs for {shape.size} pixels, the network takes {found}",
                "mend cost().macs",
            )


@check("space")
def picks_reach_the_network(case: Case) -> None:
    """Networks of different architectures compute different things from the same initial weights.

    A final model that is built from a default instead of the architecture found (tinyml-tensorlab#15).
    """
    space, drawn = case.once(space_of), case.once(genotypes)
    outputs = []
    for genotype in drawn:
        net = _built(space, genotype, SHAPE).eval()
        with torch.no_grad():
            outputs.append(net(images()))
    different = sum(not torch.equal(outputs[0], each) for each in outputs[1:])
    require(
        different >= len(set(drawn)) // 2,
        f"of {len(set(drawn))} architectures, {len(set(drawn)) - different} give one and the same network",
        "build the network from the picks of the genotype that is handed in",
    )


@check("space")
def options_reach_the_network(case: Case) -> None:
    """Each whole-numbered option of the space, and each size of `scaled`, shows in what is built.

    Structural parameters that are set in a search and lost on the way to the final model (tinyml-tensorlab#15).
    """
    space = case.once(space_of)
    counts = {
        name: value for name in options_of(type(space)) if type(value := getattr(space, name)) is int and value > 0
    }
    looked = 0
    for name, value in counts.items():
        try:
            other = build(type(space), {**option_values(space), name: 2 * value}, case.title)
            before, after = _fingerprint(space), _fingerprint(other)
        except InputError:
            continue  # out of bounds, or not without another option
        looked += 1
        require(
            before != after,
            f"{name}={2 * value} builds the same as {name}={value}",
            f"use the option '{name}', or drop it",
        )
    for word in ("channels", "cells"):
        size = space.size().get(word)
        if isinstance(size, int):
            try:
                scaled = space.scaled(**{word: 2 * size})
            except InputError:
                continue
            looked += 1
            require(
                scaled.size()[word] == 2 * size and _fingerprint(scaled) != _fingerprint(space),
                f"scaled({word}={2 * size}) gives networks of {word}={scaled.size()[word]} that are built as before",
                "let scaled return the space with the size that is asked for",
            )
    if not looked:
        raise NotApplicable("it has neither whole-numbered options nor sizes")


def _fingerprint(space: SearchSpace) -> object:
    """What a space offers and builds, in figures."""
    genotype = space.random(Random(0))
    net = _built(space, genotype, SHAPE)
    return space.choice_list(), [tuple(each.shape) for each in net.parameters()], len(list(net.modules()))


def _built(space: SearchSpace, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
    torch.manual_seed(0)
    return space.network(genotype, shape, auxiliary)
