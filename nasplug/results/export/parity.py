"""Whether a file answers like the network that it was made from."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import torch
from torch import Tensor

from nasplug.compose import compose, resolve_recorded
from nasplug.data import load_splits
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.results.classifier import Classifier
from nasplug.runs.data import check_count, reload_data
from nasplug.store.run_folder import RunFolder

COUNT = 48
"""Images that are compared."""
TOLERANCE = 1e-4
"""Largest difference of a probability. Other libraries add up in another order; that costs about 1e-6."""

Predict = Callable[[Tensor], Tensor]


@attrs.frozen
class Sample:
    """Images to compare on."""

    images: Tensor
    """uint8 (N, C, H, W)"""
    source: str
    """What they are, in words."""


@attrs.frozen
class Parity:
    """How two networks compare on the same images."""

    source: str
    images: int
    difference: float
    """The largest difference of a probability."""
    agreeing: int
    """Images that both put into the same class."""

    @property
    def holds(self) -> bool:
        """Whether they are the same network, but for rounding."""
        return self.difference <= TOLERANCE and self.agreeing == self.images  # false for a difference that is NaN

    def __str__(self) -> str:
        agree = "all predictions agree" if self.agreeing == self.images else f"{self.agreeing} predictions agree"
        return f"On {self.images} {self.source}: largest difference of a probability {self.difference:.1e}, {agree}."


def check(predict: Predict, reference: Predict, sample: Sample) -> Parity:
    """Compares `predict` with `reference`, in two batches of different size where there are enough images."""
    with torch.inference_mode():
        answers = torch.cat([predict(batch) for batch in sample.images.split(-(-2 * len(sample.images) // 3))])
    expected = reference(sample.images)
    return Parity(
        source=sample.source,
        images=len(sample.images),
        difference=float((answers - expected).abs().max()),
        agreeing=int((answers.argmax(1) == expected.argmax(1)).sum()),
    )


def sample(run: RunFolder, classifier: Classifier) -> Sample:
    """Images of the run's test split, spread over all of it; random ones if its data are not at hand any more."""
    try:
        return _sample_from_run(run, classifier)
    except InputError as error:
        shape = (COUNT, classifier.channels, classifier.size, classifier.size)
        noise = torch.randint(
            0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0), device="cpu"
        )
        return Sample(noise, f"random images (those of the run cannot be used: {str(error).rstrip('.')})")


def _sample_from_run(run: RunFolder, classifier: Classifier) -> Sample:
    layer = run.recipe_layer()
    # A check fetches nothing, and reads a few files rather than decode all of a folder at once.
    modest = {"download": False} | ({"memory": 0} if "memory" in layer["data"] else {})
    plugins = load_plugins()
    layer["data"] |= modest
    splits = load_splits(run.splits)
    name = "test" if len(splits.test) else "training"
    indices = splits.test if len(splits.test) else splits.train
    chosen = indices[np.linspace(0, len(indices) - 1, min(COUNT, len(indices))).round().astype(np.int64)]
    source = "test" if name == "test" and splits.test_from == "test" else "train"
    composition = compose(plugins, resolve_recorded(plugins, layer, run.path))
    data, record = reload_data(run, composition, only={source: chosen})
    if record is None:
        check_count(run, data, splits)
    if (data.channels, data.size) != (classifier.channels, classifier.size):
        raise InputError(
            f"the network takes {classifier.channels} x {classifier.size} x {classifier.size} pixels, and the data "
            f"now have {data.channels} x {data.size} x {data.size}."
        )
    images = data.test if source == "test" else data.train
    if images is None or len(images) <= int(chosen.max()):
        raise InputError(f"'{data.name}' has lost images since the run was started.")
    return Sample(images.read(chosen.tolist()), f"{name} images")
