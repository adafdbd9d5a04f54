"""Whether a file answers like the network that it was made from."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Task
from nasplug.parts.classification import CLASSIFICATION
from nasplug.results.classifier import Classifier
from nasplug.results.export.run_images import RunImages
from nasplug.values.shape import INPUT_WORDS

COUNT = 48
"""Images that are compared."""
TOLERANCE = 1e-4
"""Largest difference of a probability, or of a value in deviations of its targets.

Other libraries add up in another order; that costs about 1e-6.
"""

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
    """The largest difference of a probability, or of a value in deviations of its targets."""
    agreeing: int
    """Images for which both decide alike."""
    answers: str = "probability"
    """What the answer for one output is called."""

    @property
    def holds(self) -> bool:
        """Whether they are the same network, but for rounding."""
        return self.difference <= TOLERANCE and self.agreeing == self.images  # false for a difference that is NaN

    def __str__(self) -> str:
        agree = "all predictions agree" if self.agreeing == self.images else f"{self.agreeing} predictions agree"
        return f"On {self.images} {self.source}: largest difference of a {self.answers} {self.difference:.1e}, {agree}."


def check(predict: Predict, reference: Predict, sample: Sample, task: Task = CLASSIFICATION) -> Parity:
    """Compares `predict` with `reference`, in two batches of different size where there are enough images."""
    with torch.inference_mode():
        answers = torch.cat([predict(batch) for batch in sample.images.split(-(-2 * len(sample.images) // 3))])
    expected = reference(sample.images)
    return Parity(
        source=sample.source,
        images=len(sample.images),
        difference=task.largest_difference(answers, expected),
        agreeing=int(task.agree(answers, expected).sum()),
        answers=task.value,
    )


def sample(tests: RunImages | InputError, classifier: Classifier) -> Sample:
    """Images of the run's test split, spread over all of it; random ones if there is a reason why they are not used."""
    word = INPUT_WORDS[classifier.dims]
    if isinstance(tests, RunImages):
        found = tests.spread(COUNT)
        return Sample(found.read(), f"{'test' if found.split == 'test' else 'training'} {word}s")
    shape, generator = (COUNT, *classifier.tensor_shape), torch.Generator().manual_seed(0)
    if classifier.dtype == "uint8":
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator, device="cpu")
    else:
        noise = torch.randn(shape, generator=generator, device="cpu") * classifier.std[:, None, None]
        noise += classifier.mean[:, None, None]
    return Sample(noise, f"random {word}s (those of the run cannot be used: {str(tests).rstrip('.')})")
