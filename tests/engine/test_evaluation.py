from __future__ import annotations

import torch
from torch import nn

from nasplug.engine.evaluation import measure_errors
from nasplug.parts import Batch


class Guess(nn.Module):
    """Answers with what the image holds."""

    def forward(self, images):
        return nn.functional.one_hot(images.flatten(1)[:, 0].long(), 4).float()


def test_errors_are_counted_by_class_over_all_batches():
    answers, labels = torch.tensor([0, 1, 1, 2, 0, 3, 0]), torch.tensor([0, 0, 1, 2, 2, 2, 0])
    batches = [Batch(answers[part].view(-1, 1, 1, 1), labels[part]) for part in (slice(0, 4), slice(4, 7))]
    errors = measure_errors(Guess(), batches, 4)
    assert (errors.wrong, errors.images) == ((1, 0, 2, 0), (3, 1, 3, 0))
    assert errors.rate == 3 / 7
    assert errors.by_class == [1 / 3, 0.0, 2 / 3, None]
