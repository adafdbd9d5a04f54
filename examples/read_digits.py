"""Reads handwritten digits with the best small network of a finished run.

uv run nasplug run --method dnad --out runs/digits
uv run python examples/read_digits.py runs/digits
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits

import nasplug


def main(run: str) -> None:
    """Prints what the network sees in the first ten images of scikit-learn's digits."""
    digits = load_digits()
    images = torch.from_numpy((digits.images[:10] * 255 / 16).round().astype(np.uint8))[:, None]
    best = nasplug.load(run).best(max_params=50_000)
    seen = best.predict(images).argmax(1)
    print(f"network {best.id}, {best.params:,} params")  # noqa: T201 - printing is what this example is for
    print(f"seen {seen.tolist()}, written {digits.target[:10].tolist()}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
