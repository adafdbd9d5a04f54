"""How many images a second are read from files: by nasplug, and by a plain `ImageFolder` with a `DataLoader`.

    python tests/benchmarks/file_throughput.py

Writes JPEGs of 96x96 pixels, then reads epochs of random crops of them, scaled to `--size` and flipped at random, in
turns. Batches are normalised, as a training needs them; nothing is trained. One epoch of each way comes first, untimed:
then the files are in the cache of the system, and decoded images in that of nasplug, where it has one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from nasplug.builtin.data_sets.folder import Folder
from nasplug.data.batches import BatchStream
from nasplug.values import Training

SIDE, CLASSES, BATCH = 96, 10, 64
MEAN, STD = 0.5, 0.25
Epoch = Callable[[int], Iterator[object]]
"""Gives the batches of an epoch."""


def write_images(folder: Path, count: int) -> None:
    """JPEGs with smooth colours and some noise: about as many bytes as photographs of this size have."""
    random = np.random.default_rng(0)
    for number in range(count):
        colours = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        smooth = np.array(colours.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int64)
        noisy = (smooth + random.integers(-12, 13, (SIDE, SIDE, 1))).clip(0, 255).astype(np.uint8)
        path = folder / f"class{number % CLASSES}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(path, quality=90)


def plain_epochs(folder: Path, size: int, workers: int) -> Epoch:
    """What a script of PyTorch does."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(size),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((MEAN,) * 3, (STD,) * 3),
        ]
    )
    images = ImageFolder(str(folder), transform)
    loader = DataLoader(images, BATCH, True, num_workers=workers, drop_last=True, persistent_workers=workers > 0)
    return lambda _: iter(loader)


def our_epochs(folder: Path, size: int, workers: int, memory: int) -> Epoch:
    """What a run of nasplug does."""
    data = Folder(size=size, crops="original", workers=workers, memory=memory).load(str(folder), None, False)
    stream = BatchStream(
        data.train,
        np.arange(len(data.train)),
        training=Training(batch_size=BATCH, augment="imagenet"),
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        flips=True,
        shift=0,
        seed=0,
        phase="retrain",
        split="train",
        device=torch.device("cpu"),
    )

    def batches(epoch: int) -> Iterator[object]:
        first = epoch * stream.steps_per_epoch
        return map(stream.batch, range(first, first + stream.steps_per_epoch))

    return batches


def measure(ways: Mapping[str, Epoch], rounds: int) -> dict[str, list[float]]:
    """Images a second of each way, in turns; the first epoch is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, epoch in ways.items():
            started = time.perf_counter()
            batches = sum(1 for _ in epoch(number))
            if number:
                rates[name].append(batches * BATCH / (time.perf_counter() - started))
    return rates


def report(rates: Mapping[str, list[float]]) -> None:
    """A table; shares are medians over the rounds, each of two epochs that followed each other."""
    plain = next(iter(rates.values()))
    print("| way | images/s | of the DataLoader |\n|---|---|---|")
    for name, found in rates.items():
        share = median(ours / theirs for ours, theirs in zip(found, plain, strict=True))
        print(f"| {name} | {median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f}) | {share:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--workers", type=int, default=2, help="processes of the DataLoader, and of nasplug in one way")
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs of each way")
    parser.add_argument("--folder", type=Path, help="images to read in place of those that are written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        if options.folder is None:
            write_images(folder, options.images)
        size, workers = options.size, options.workers
        ways: dict[str, Epoch] = {
            "ImageFolder, DataLoader": plain_epochs(folder, size, workers),
            "nasplug, threads": our_epochs(folder, size, 0, memory=0),
            "nasplug, processes": our_epochs(folder, size, workers, memory=0),
            "nasplug, cache": our_epochs(folder, size, 0, memory=2048),
        }
        report(measure(ways, options.rounds))


if __name__ == "__main__":
    main()
