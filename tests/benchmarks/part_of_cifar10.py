"""Writes a class-balanced part of CIFAR-10 as one file for `--data arrays:PATH`.

    python tests/benchmarks/part_of_cifar10.py DATA_ROOT OUT.safetensors [--train 500] [--test 100]

DATA_ROOT holds `cifar-10-batches-py`, as torchvision keeps it. Taken are the first images of every class, as many as
the options say.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torchvision.datasets import CIFAR10


def part(data: CIFAR10, per_class: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `per_class` images of every class in their order: uint8 (N, 32, 32, 3) and labels (N,)."""
    labels = np.array(data.targets)
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == each)[:per_class] for each in range(10)]))
    return torch.from_numpy(data.data[chosen].copy()), torch.from_numpy(labels[chosen])


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data_root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=500, help="training images of each class")
    parser.add_argument("--test", type=int, default=100, help="test images of each class")
    arguments = parser.parse_args()
    train, test = (CIFAR10(arguments.data_root, train=which) for which in (True, False))
    images, labels = part(train, arguments.train)
    test_images, test_labels = part(test, arguments.test)
    tensors = {"images": images, "labels": labels, "test_images": test_images, "test_labels": test_labels}
    save_file(tensors, arguments.out, metadata={"classes": json.dumps(train.classes)})


if __name__ == "__main__":
    main()
