"""Checks of spaces that list the layers of their networks: together these have what the networks have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.parts import LayerSpec, SearchSpace
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.networks import LARGE_SHAPES
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, images
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import NotApplicable, require
from nasplug.values import Genotype


@check("space")
def layers_make_up_the_network(case: Case) -> None:
    """The layers that a space lists have all parameters and multiply-accumulates of the network that it builds.

    Costs that are summed over them would otherwise miss a layer, or count one twice.
    """
    space = case.once(space_of)
    for number, genotype in enumerate(case.once(genotypes)):
        shape = LARGE_SHAPES[number % len(LARGE_SHAPES)]
        layers = space.layer_list(genotype, shape)
        if layers is None:
            raise NotApplicable("it lists no layers")
        net = space.network(genotype, shape)
        pairs = zip(("parameters", "MACs"), _count(layers), _count_module(net, images(shape, 1).shape[1:]), strict=True)
        for name, listed, built in pairs:
            require(
                listed == built,
                f"the layers have {listed} {name}, the network {built}",
                "list each layer of `network` as often as it occurs, with the shape of its input",
            )


@check("space")
def equal_layers_cost_the_same(case: Case) -> None:
    """Layers of the same key and input are built the same, whatever genotype or size they come from.

    Each is measured once, and kept for other runs.
    """
    space = case.once(space_of)
    sizes = [space, *(_scaled(space))]
    counted: dict[LayerSpec, tuple[int, int]] = {}
    for each in sizes:
        for genotype in case.once(genotypes)[:3]:
            for layer in each.layer_list(genotype, SHAPE) or ():
                counts = _count([layer])
                known = counted.setdefault(layer, counts)
                require(
                    counts == known,
                    f"'{layer.key}' on {layer.shape} has {known[0]} parameters and {known[1]} MACs in one network, and "
                    f"{counts[0]} and {counts[1]} in another",
                    "name in the key whatever the layer is built from: options, output channels, stride",
                )
    if not counted:
        raise NotApplicable("it lists no layers")


@check("space")
def layers_of_blocks_add_up(case: Case) -> None:
    """The layers of the paths through all blocks have what the network has, or slightly more.

    A limit that is checked block by block must also hold for the network that is built.
    """
    space = case.once(space_of)
    blocks = sorted({number for choice in space.choice_list() for number in choice.blocks})
    if any(len(choice.blocks) > 1 for choice in space.choice_list()) or len(blocks) < 2:
        raise NotApplicable("its blocks share their choices, or it has one block")
    for seed in range(3):
        generator = Random(seed)
        paths = [space.paths(block).sample(generator) for block in blocks]
        whole = space.layer_list(Genotype.join(paths), SHAPE)
        if whole is None:
            raise NotApplicable("it lists no layers")
        befores = [None, *paths[:-1]]
        parts = [
            layer
            for block, path, before in zip(blocks, paths, befores, strict=True)
            for layer in space.path_layers(block, path, before, SHAPE) or ()
        ]
        for name, total, exact in zip(("parameters", "MACs"), _count(parts), _count(whole), strict=True):
            require(
                exact <= total <= 1.5 * exact + 1000,
                f"the layers of all blocks have {total} {name}, those of the network {exact}",
                "list in path_layers what path_cost counts: the stem in the first block, the head in the last",
            )


def _scaled(space: SearchSpace) -> Iterable[SearchSpace]:
    channels = space.size().get("channels")
    return (space.scaled(channels=2 * channels),) if isinstance(channels, int) else ()


def _count(layers: Iterable[LayerSpec]) -> tuple[int, int]:
    """Parameters and multiply-accumulates of all layers together."""
    params = macs = 0
    for layer, times in Counter(layers).items():
        own = _count_module(layer.build(), layer.shape)
        params, macs = params + times * own[0], macs + times * own[1]
    return params, macs


def _count_module(module: nn.Module, shape: Iterable[int]) -> tuple[int, int]:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *shape))
    return sum(parameter.numel() for parameter in module.parameters()), counter.get_total_flops() // 2
