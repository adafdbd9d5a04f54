"""What a step of a supernet cannot do without: operations, and numbers to and from memory, layer by layer.

Layers are those of the plain supernet; pools and batch norms without weights that would compute the same from the same
map count once. Operations are the multiplications and additions of convolutions and matrix products, in the direct way
(no Winograd, no Fourier transform). Numbers moved are the least for layers computed one at a time, each of which reads
every number that it needs once and writes its results once:

- a convolution forward reads map and weights and writes a map; backward it reads the map, the weights and the gradient
  of its output, and writes those of its input (not that of the images) and of its weights;
- a batch norm reads and writes a map; backward it reads the map and a gradient and writes a gradient. So the map is
  read once for the statistics and the normalisation together, as if it stayed in a cache between the two;
- a pool reads and writes a map, backward two gradients;
- activations, weighed sums and concatenations are nothing beside them: they could be done on the way.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.builtin.plain_operations import PlainSupernet

WEIGHT_BYTES = 4
"""Weights and their gradients are float32 whatever the maps are."""


@attrs.frozen
class Work:
    """One layer, forward or backward."""

    kind: str
    backward: bool
    operations: float = 0
    maps: float = 0
    """Numbers moved that belong to maps and to their gradients."""
    weights: float = 0
    """The same of weights and their gradients."""

    def moved(self, map_bytes: int) -> float:
        """Bytes, of maps with so many bytes for a number."""
        return self.maps * map_bytes + self.weights * WEIGHT_BYTES


def work_of(net: PlainSupernet, images: Tensor) -> list[Work]:
    """The work of one step on these images, counted on two of them."""
    twin, read = copy.deepcopy(net), images[:2]
    found: list[Work] = []
    names: dict[int, Hashable] = {}
    """What stands for a map, by its id: its origin, or its own id."""
    alive = [read]  # all of them, so that no two have the same id
    seen: set[Hashable] = set()

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        (x,) = inputs
        alive.extend((x, output))
        if not list(module.parameters()):
            names[id(output)] = same = (repr(module), names.get(id(x), id(x)))
            if same in seen:
                return
            seen.add(same)
        found.extend(_of(module, x, output, first=x is read))

    for module in twin.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.MaxPool2d | nn.AvgPool2d):
            module.register_forward_hook(note)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(read)
    assert counter.get_total_flops() == sum(work.operations for work in found if not work.backward)
    times = len(images) / len(read)
    return [attrs.evolve(each, operations=times * each.operations, maps=times * each.maps) for each in found]


def total(work: list[Work], field: str) -> float:
    """The sum of one of their numbers."""
    return sum(float(getattr(each, field)) for each in work)


def _of(module: nn.Module, x: Tensor, output: Tensor, first: bool) -> tuple[Work, Work]:
    if not isinstance(module, nn.Conv2d | nn.Linear):
        norm = isinstance(module, nn.BatchNorm2d)
        maps = x.numel() + output.numel()
        kind = "batch norm" if norm else "pool"
        return Work(kind, False, maps=maps), Work(kind, True, maps=maps + (x.numel() if norm else 0))
    each, inside, wide = output.numel(), x.numel(), module.weight.numel()
    operations = 2 * each * module.weight[0].numel()
    if isinstance(module, nn.Conv2d):  # a 1x1 convolution of stride 2 leaves three quarters of its input out
        inside = min(inside, each // output.shape[1] * x.shape[1] * module.weight[0, 0].numel())
    kind = _kind(module)
    if first:
        return Work(kind, False, operations, inside + each, wide), Work(kind, True, operations, inside + each, wide)
    return (
        Work(kind, False, operations, inside + each, wide),
        Work(kind, True, 2 * operations, 2 * inside + each, 2 * wide),
    )


def _kind(module: Any) -> str:
    if isinstance(module, nn.Linear):
        return "classifier"
    if module.weight[0, 0].numel() == 1:
        return "1x1 convolution"
    return "depthwise convolution" if module.groups == module.in_channels > 1 else "other convolution"
