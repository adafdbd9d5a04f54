"""A process of several reads its share of the batches that one process would read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.batches import BatchStream
from nasplug.errors import InputError
from nasplug.values import Training
from nasplug.values.share import WHOLE, Share
from tests.data.test_batches import CPU, Slow, in_memory
from tests.data.test_file_images import folder, images  # noqa: F401  # the fixture

AUGMENTED = {
    "standard": {"cutout": 3},
    "imagenet": {"color_jitter": (0.4, 0.4, 0.4, 0.1), "random_erasing": 0.5},
    "autoaugment": {},
    "none": {},
}


def stream(source, share: Share, **training) -> BatchStream:
    options = Training(**{"batch_size": 7, **training})
    norm = {"mean": (0.0, 0.5, 0.5), "std": (1.0, 0.2, 0.2)}
    where = {"flips": True, "shift": 2, "seed": 1, "phase": "search", "split": "train", "device": CPU}
    return BatchStream(source, np.arange(len(source.labels)), training=options, share=share, **norm, **where)


@pytest.mark.parametrize("augment", AUGMENTED)
@pytest.mark.parametrize("source", [in_memory, Slow], ids=["in memory", "read ahead"])
def test_shares_are_the_images_of_the_whole_batch_with_the_same_augmentation(source, augment):
    options = {"augment": augment, **AUGMENTED[augment]}
    whole = stream(source(), WHOLE, **options)
    shares = [stream(source(), Share(rank, 3), **options) for rank in range(3)]
    for step in (0, 1, whole.steps_per_epoch + 2):
        batch, parts = whole.batch(step), [share.batch(step) for share in shares]
        assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
        assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
        assert [part.whole_size for part in parts] == [batch.whole_size] * 3 == [7] * 3


def test_random_crops_of_originals_keep_their_boxes(folder):  # noqa: F811
    options = {"augment": "imagenet", "batch_size": 5}
    whole = stream(images(folder, has_originals=True), WHOLE, **options).batch(1)
    parts = [stream(images(folder, has_originals=True), Share(rank, 2), **options).batch(1) for rank in range(2)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)


def test_a_share_of_a_batch_in_parts_has_as_much_of_each_part():
    batch = stream(in_memory(), WHOLE, batch_size=12, accumulate=2).batch(3)
    share = stream(in_memory(), Share(1, 2), batch_size=12, accumulate=2).batch(3)
    assert torch.equal(share.labels, batch.labels[[3, 4, 5, 9, 10, 11]])


def test_too_many_processes_for_a_batch_are_refused():
    with pytest.raises(InputError, match=r"Batches of 7 images .* among 4 processes, each of which needs at least 2"):
        stream(in_memory(), Share(0, 4))
    with pytest.raises(InputError, match=r"Parts of 6 images .* among 4 processes"):
        stream(in_memory(), Share(0, 4), batch_size=12, accumulate=2)
