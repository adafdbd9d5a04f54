"""Auxiliary heads: a second classifier in the middle of the network, for training only (DARTS, cnn/model.py)."""

from __future__ import annotations

from torch import nn

PUBLISHED = {"cifar": (8, 3), "imagenet": (7, 2)}
"""For each stem the map that DARTS's head reads, and the stride of its 5x5 pooling there."""


def auxiliary_head(stem: str, channels: int, size: int, classes: int) -> nn.Module:
    """The head for features (N, channels, size, size); gives logits (N, classes).

    DARTS's heads fit one size of map each, which they pool to 2x2. Maps of any other size are pooled to 2x2
    adaptively. The ImageNet head has no second batch norm, as in DARTS.
    """
    published, stride = PUBLISHED[stem]
    pool: nn.Module = nn.AdaptiveAvgPool2d(2)
    if size == published:
        pool = nn.AvgPool2d(5, stride=stride, count_include_pad=False)
    second = [nn.BatchNorm2d(768)] if stem == "cifar" else []
    return nn.Sequential(
        nn.ReLU(),
        pool,
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        *second,
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )
