"""Making up for classes of unequal size: weights of the classes, and an order in which all are equally frequent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nasplug.data.folds import Indices


def class_weights(labels: Indices, classes: int) -> Tensor:
    """The weight n / (K n_c) of each of K `classes`, float32 (K,), where n_c of the n `labels` are of class c.

    Weighted by them, all classes have the same share of a loss, and the mean weight of an image is 1. A class without
    images, which no batch can hold, has the weight that one image would give it.
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / (classes * np.maximum(counts, 1))).float()


def balanced_order(indices: Indices, labels: Indices, generator: torch.Generator) -> Indices:
    """As many of `indices`, of the classes `labels`, as there are, every class equally often (but for one), mixed.

    The images of a class come in a random order, again and again: none comes twice before all of them have come. Of
    large classes, some do not come at all.
    """
    classes = np.unique(labels)
    quota, more = divmod(len(indices), len(classes))
    favoured = set(torch.randperm(len(classes), generator=generator)[:more].tolist())
    drawn = []
    for place, label in enumerate(classes):
        members, count = indices[labels == label], quota + (place in favoured)
        passes = [_shuffle(members, generator) for _ in range(-(-count // len(members)))]
        drawn.append(np.concatenate([members[:0], *passes])[:count])
    return _shuffle(np.concatenate(drawn), generator)


def _shuffle(indices: Indices, generator: torch.Generator) -> Indices:
    order = torch.randperm(len(indices), generator=generator).numpy()
    return np.take(indices, order)
