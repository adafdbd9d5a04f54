"""Images of the run that a network comes from, to calibrate and to compare on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs
import numpy as np
import torch
from torch import Tensor

from nasplug.compose import compose, resolve_recorded
from nasplug.data import load_splits
from nasplug.data.splits import Indices
from nasplug.errors import InputError
from nasplug.parts import Images
from nasplug.plugins import load_plugins
from nasplug.results.classifier import Classifier
from nasplug.runs.data import check_count, reload_data
from nasplug.store.run_folder import RunFolder

CHUNK = 256
"""Images read at a time."""


@attrs.frozen(eq=False)
class RunImages:
    """Some images of a split of a run, spread over all of it."""

    split: Literal["train", "test"]
    images: Images
    indices: tuple[int, ...]

    @classmethod
    def of(cls, run: RunFolder, classifier: Classifier, split: Literal["train", "test"], count: int) -> RunImages:
        """At most `count` images of a split; of the training images, if the run tests on none.

        Raises InputError if the run's data are not at hand any more, or are others.
        """
        layer = run.recipe_layer()
        # An export fetches nothing, and reads a few files rather than decode all of a folder at once.
        layer["data"] |= {"download": False} | ({"memory": 0} if "memory" in layer["data"] else {})
        splits = load_splits(run.splits)
        split = split if len(getattr(splits, split)) else "train"
        chosen = _spread(getattr(splits, split), count)
        source = "test" if split == "test" and splits.test_from == "test" else "train"
        composition = compose(plugins := load_plugins(), resolve_recorded(plugins, layer, run.path))
        data, record = reload_data(run, composition, only={source: chosen})
        if record is None:
            check_count(run, data, splits)
        if (data.tensor_shape, data.dtype) != (classifier.tensor_shape, classifier.dtype):
            raise InputError(
                f"the network takes {' x '.join(map(str, classifier.tensor_shape))} pixels of {classifier.dtype}, and "
                f"the data now have {' x '.join(map(str, data.tensor_shape))} of {data.dtype}."
            )
        images = data.test if source == "test" else data.train
        if images is None or len(images) <= int(chosen.max()):
            raise InputError(f"'{data.name}' has lost images since the run was started.")
        return cls(split, images, tuple(chosen.tolist()))

    def spread(self, count: int) -> RunImages:
        """At most `count` of them, spread over all."""
        return attrs.evolve(self, indices=tuple(_spread(np.array(self.indices, np.int64), count).tolist()))

    def __len__(self) -> int:
        return len(self.indices)

    def read(self) -> Tensor:
        """All of them, uint8 (N, C, H, W)."""
        return torch.cat([pixels for pixels, _ in self.batches()])

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images, uint8 (N, C, H, W), and their labels, batch by batch."""
        for start in range(0, len(self.indices), CHUNK):
            indices = list(self.indices[start : start + CHUNK])
            yield self.images.read(indices), torch.from_numpy(self.images.labels[indices])


def find_test_images(run: RunFolder, classifier: Classifier, count: int) -> RunImages | InputError:
    """At most `count` of the run's test images, as `RunImages.of`, or why they cannot be used."""
    try:
        return RunImages.of(run, classifier, "test", count)
    except InputError as error:
        return error


def _spread(indices: Indices, count: int) -> Indices:
    return indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(np.int64)]
