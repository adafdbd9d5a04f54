"""The stems: what comes between the images and the first cell (DARTS, cnn/model.py)."""

from __future__ import annotations

from torch import Tensor, nn

from nasplug.supernets.normalise import NormFactory


class CifarStem(nn.Sequential):
    """3x3 convolution and batch norm; both inputs of the first cell are its output."""

    def __init__(self, planes: int, channels: int, norm: NormFactory) -> None:
        super().__init__(nn.Conv2d(planes, channels, 3, padding=1, bias=False), norm(channels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, planes, H, W) to the states of the cells "before the first"."""
        features = images
        for layer in self:
            features = layer(features)
        return features, features


class ImagenetStem(nn.Module):
    """Two convolutions of stride 2, and a third: the first cell reads maps at a quarter and at an eighth."""

    def __init__(self, planes: int, channels: int, norm: NormFactory) -> None:
        super().__init__()
        half = max(1, channels // 2)
        self.quarter = nn.Sequential(
            nn.Conv2d(planes, half, 3, stride=2, padding=1, bias=False),
            norm(half),
            nn.ReLU(),
            nn.Conv2d(half, channels, 3, stride=2, padding=1, bias=False),
            norm(channels),
        )
        self.eighth = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
            norm(channels),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, planes, H, W) to maps of a quarter and of an eighth of their size."""
        quarter = self.quarter(images)
        return quarter, self.eighth(quarter)


def build_stem(stem: str, planes: int, channels: int, norm: NormFactory = nn.BatchNorm2d) -> nn.Module:
    """The stem of this name with `channels` output channels and affine batch norms."""
    return (CifarStem if stem == "cifar" else ImagenetStem)(planes, channels, norm)
