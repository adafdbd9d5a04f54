"""How fast supernets learn by single paths: one path all the time, or another random one in every step.

    python tests/benchmarks/supernet_learning.py c10.safetensors [--steps 200] [--batch 64]

The file is one of part_of_cifar10.py. Prints the mean loss of the last 50 steps for each space and each way, and what
chance has (2.303). SGD with momentum 0.9, the learning rate 0.1, gradients of a norm of at most 5, images neither
flipped nor shifted; the same images for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import repeat
from random import Random

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.compact import Compact
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.parts import SearchSpace
from nasplug.values import Genotype, ImageShape

SPACES: dict[str, SearchSpace] = {
    "compact, stages small": Compact(channels=8),
    "compact, stages small, one width": Compact(channels=8, multipliers=(1.0,)),
    "compact, stages deep": Compact(channels=8, stages=("deep",)),
    "mbconv": MBConvSpace(channels=8),
    "nb201": NasBench201(channels=8, cells=1),
}
WINDOW = 50
"""Steps over which losses are averaged."""


def draw_from(space: SearchSpace, generator: Random) -> Iterator[Genotype]:
    """Random architectures without end."""
    while True:
        yield space.random(generator)


def train(space: SearchSpace, paths: Iterator[Genotype], images: Tensor, labels: Tensor, steps: int) -> float:
    """The mean loss of the last steps of a supernet, each with the path of `paths`."""
    torch.manual_seed(0)
    net = space.supernet(ImageShape(channels=3, size=32, classes=10)).train()
    weights = [parameter for parameter in net.parameters() if parameter is not net.choices.alpha]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    losses = []
    for step in range(steps):
        rows = slice(step * len(images) // steps, (step + 1) * len(images) // steps)
        with net.choices.only(space.encode(next(paths), net.choices)):
            loss = F.cross_entropy(net(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 5.0)
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-WINDOW:]) / WINDOW


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="arrays of images and labels")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    asked = parser.parse_args()
    arrays = load_file(asked.file)
    order = torch.randperm(len(arrays["labels"]), generator=torch.Generator().manual_seed(0))
    order = order[: asked.steps * asked.batch]
    images = (arrays["images"][order].permute(0, 3, 1, 2) / 255 - 0.47) / 0.25
    labels = arrays["labels"][order].long()
    print("| space | one path | random paths |\n|---|---|---|")
    for name, space in SPACES.items():
        one = train(space, repeat(space.random(Random(1))), images, labels, asked.steps)
        many = train(space, draw_from(space, Random(1)), images, labels, asked.steps)
        print(f"| {name} | {one:.2f} | {many:.2f} |", flush=True)


if __name__ == "__main__":
    main()
