from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nasplug.data import BatchStream, MemoryImages
from nasplug.data.balance import balanced_order, class_weights
from nasplug.values import Training

CPU = torch.device("cpu")


def test_weights_give_every_class_the_same_share():
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    weights = class_weights(labels, 3)
    assert weights.tolist() == pytest.approx([100 / 30, 100 / 90, 100 / 180])
    assert [float(weights[labels[labels == c]].sum()) for c in range(3)] == pytest.approx([100 / 3] * 3)
    assert float(weights[labels].mean()) == pytest.approx(1)
    assert class_weights(np.array([0, 0, 2, 2]), 3).isfinite().all()


@pytest.mark.parametrize("counts", [[100, 1], [7, 11, 5], [3, 3, 3, 3], [50]])
def test_an_order_has_every_class_equally_often_and_no_image_twice_before_all_have_come(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    indices = 1000 + np.random.default_rng(0).permutation(len(labels))
    order = balanced_order(indices, labels, torch.Generator().manual_seed(0))
    assert len(order) == len(indices)
    uses = {index: int((order == index).sum()) for index in indices.tolist()}
    by_class = [[uses[index] for index in indices[labels == c].tolist()] for c in range(len(counts))]
    totals = [sum(each) for each in by_class]
    assert max(totals) - min(totals) <= 1
    assert all(max(each) - min(each) <= 1 for each in by_class)


def stream(**changes):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (101, 1, 4, 4), dtype=torch.uint8, generator=generator)
    labels = np.array([0] * 100 + [1])
    options = {"mean": [0.5], "std": [0.25], "flips": False, "shift": 0, "seed": 1, "phase": "p", "split": "train"}
    training = Training(batch_size=20, augment="none", **changes)
    return BatchStream(MemoryImages(pixels, labels), np.arange(101), training=training, device=CPU, **options)


def test_batches_of_a_balanced_epoch_hold_both_classes_alike_and_are_a_function_of_the_step():
    balanced, plain = stream(balance="sampling"), stream()
    assert balanced.steps_per_epoch == plain.steps_per_epoch == 5
    for epoch in range(3):
        labels = torch.cat([balanced.batch(5 * epoch + step).labels for step in range(5)])
        assert len(labels) == 100
        assert 48 <= int(labels.sum()) <= 51  # of 101, one of which is dropped
    again = stream(balance="sampling")
    assert torch.equal(again.batch(7).images, balanced.batch(7).images)  # asked for in another order
    assert not torch.equal(balanced.batch(0).images, balanced.batch(5).images)
    other = [balanced.batch(step).class_weights for step in range(2)]
    assert other == [None, None]


def test_weighted_batches_are_the_plain_ones_with_weights():
    weighted, plain = stream(balance="weights"), stream()
    for step in (0, 6):
        ours, theirs = weighted.batch(step), plain.batch(step)
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
        assert ours.class_weights.tolist() == pytest.approx([101 / 200, 101 / 2])
        assert theirs.class_weights is None
    assert weighted.batch(0).class_weights is weighted.batch(1).class_weights


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weighted_loss_is_the_weighted_mean_of_the_images(smoothing):
    batch = stream(balance="weights").batch(0)
    logits = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weights = class_weights(np.array([0] * 100 + [1]), 2).double()
    labels = torch.tensor([0] * 18 + [1] * 2)
    batch = type(batch)(batch.images, labels, weights)
    log_shares = logits.log_softmax(1)
    targets = (1 - smoothing) * F.one_hot(labels, 2) + smoothing / 2
    losses = -(targets * weights * log_shares).sum(1)  # in a smoothed target every class has its own weight
    expected = losses.sum() / weights[labels].sum()
    torch.testing.assert_close(batch.cross_entropy(logits, smoothing), expected)
    same = F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
    torch.testing.assert_close(batch.cross_entropy(logits, smoothing), same)
