"""Searches for small networks that classify handwritten digits, and classifies ten images with the best one.

uv run python examples/read_digits.py runs/digits

If the run folder exists, the run is resumed; if it is finished, its result is used.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import nasplug


def main(run: str) -> None:
    """Prints the predicted and the true classes of the first ten images of scikit-learn's digits."""
    started = (Path(run) / "recipe.toml").exists()
    search = nasplug.resume(run) if started else nasplug.search(method="dnad", data="digits", preset="tiny", out=run)
    best = search.result(progress=True).best(max_params=50_000)

    digits = load_digits()
    images = torch.from_numpy((digits.images[:10] * 255 / 16).round().astype(np.uint8))[:, None]
    seen = best.predict(images).argmax(1)
    print(f"network {best.id}, {best.params:,} params")  # noqa: T201 - printing is what this example is for
    print(f"seen {seen.tolist()}, written {digits.target[:10].tolist()}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
