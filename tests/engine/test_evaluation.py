from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nasplug.engine.evaluation import measure_confusion, measure_errors
from nasplug.parts import Batch, Errors


class Guess(nn.Module):
    """Answers with what the image holds."""

    def forward(self, images):
        return nn.functional.one_hot(images.flatten(1)[:, 0].long(), 4).float()


def test_answers_are_counted_by_class_and_answer():
    generator = torch.Generator().manual_seed(0)
    answers, labels = torch.randint(0, 4, (2, 50), generator=generator)
    parts = (slice(0, 20), slice(20, 21), slice(21, 50))
    batches = [Batch(answers[part].view(-1, 1, 1, 1), labels[part]) for part in parts]
    confusion = measure_confusion(Guess(), batches)
    expected = np.zeros((4, 4), np.int64)
    for true, answer in zip(labels.tolist(), answers.tolist(), strict=True):
        expected[true, answer] += 1
    assert (confusion.counts == expected).all()
    entries = [[true, answer, int(expected[true, answer])] for true in range(4) for answer in range(4)]
    assert confusion.to_entries() == [entry for entry in entries if entry[2]]
    assert confusion.errors == measure_errors(Guess(), batches)
    assert confusion.errors.rate == float((answers != labels).double().mean())


def test_errors_of_parts_are_pooled_by_image_and_the_balanced_one_by_class():
    parts = [Errors((1, 0, 0), (8, 0, 2)), Errors((1, 0, 2), (2, 0, 2))]
    pooled = Errors.pooled(parts)
    assert pooled == Errors((2, 0, 2), (10, 0, 4))
    assert pooled.rate == 4 / 14
    assert pooled.balanced == (0.2 + 0.5) / 2


def test_errors_are_counted_by_class_over_all_batches():
    answers, labels = torch.tensor([0, 1, 1, 2, 0, 3, 0]), torch.tensor([0, 0, 1, 2, 2, 2, 0])
    batches = [Batch(answers[part].view(-1, 1, 1, 1), labels[part]) for part in (slice(0, 4), slice(4, 7))]
    errors = measure_errors(Guess(), batches)
    assert (errors.wrong, errors.total) == ((1, 0, 2, 0), (3, 1, 3, 0))
    assert errors.rate == 3 / 7
    assert errors.by_output == [1 / 3, 0.0, 2 / 3, None]
