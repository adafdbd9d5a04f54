"""The layers that supernets and stand-alone networks are made of (EfficientNet: swish, squeeze-excitation)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.mbconv.names import Operation
from nasplug.builtin.mbconv.plan import LayerPlan, StemPlan
from nasplug.supernets import depthwise, pointwise
from nasplug.supernets.normalise import NormFactory


class Separable(nn.Module):
    """Depthwise convolution, squeeze-excitation, linear 1x1 convolution; no residual."""

    def __init__(self, plan: LayerPlan, channels: int, kernel: int, norm: NormFactory) -> None:
        super().__init__()
        self.plan, self.channels = plan, channels
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, plan.stride, padding=kernel // 2, groups=channels, bias=False
        )
        self.depthwise_norm = norm(channels)
        self.squeeze = nn.Linear(channels, plan.squeezed)
        self.excite = nn.Linear(plan.squeezed, channels)
        self.project = nn.Conv2d(channels, plan.outside, 1, bias=False)
        self.project_norm = norm(plan.outside)

    def gate(self, pooled: Tensor) -> Tensor:
        """From the mean of every channel, (N, channels), to the factor by which it is scaled."""
        factor: Tensor = self.excite(F.silu(self.squeeze(pooled))).sigmoid()
        return factor

    def unnormed(self, x: Tensor) -> Tensor:
        """What `forward` gives, before its last norm."""
        x = F.silu(self.depthwise_norm(depthwise(x, self.depthwise.weight, self.plan.stride)))
        x = x * self.gate(x.mean((2, 3)))[:, :, None, None]
        return pointwise(x, self.project.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, outside, H', W')."""
        normed: Tensor = self.project_norm(self.unnormed(x))
        return normed


class MBConv(Separable):
    """The residual branch of an inverted residual: a 1x1 convolution that expands, then as `Separable`."""

    def __init__(self, plan: LayerPlan, operation: Operation, norm: NormFactory) -> None:
        super().__init__(plan, operation.expansion * plan.inside, operation.kernel, norm)
        self.operation = operation
        self.expand = nn.Conv2d(plan.inside, self.channels, 1, bias=False)
        self.expand_norm = norm(self.channels)

    def unnormed(self, x: Tensor) -> Tensor:
        """What `forward` gives for maps (N, inside, H, W), before its last norm."""
        return super().unnormed(F.silu(self.expand_norm(pointwise(x, self.expand.weight))))


class Stem(nn.Module):
    """3x3 convolution, batch norm, swish, and a depthwise separable layer of half the channels."""

    def __init__(self, plan: StemPlan, norm: NormFactory) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(plan.planes, plan.channels, 3, plan.stride, padding=1, bias=False)
        self.norm = norm(plan.channels)
        self.separable = Separable(plan.separable, plan.channels, 3, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, planes, H, W) to (N, outside, H', W')."""
        features: Tensor = self.separable(F.silu(self.norm(self.convolution(images))))
        return features


class Head(nn.Module):
    """1x1 convolution, batch norm, swish, global average pooling, dropout and a linear classifier."""

    def __init__(self, inside: int, channels: int, classes: int, norm: NormFactory) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inside, channels, 1, bias=False)
        self.norm = norm(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        """(N, inside, H, W) to the logits (N, classes)."""
        pooled = F.silu(self.norm(pointwise(x, self.convolution.weight))).mean((2, 3))
        logits: Tensor = self.classifier(F.dropout(pooled, dropout, self.training))
        return logits
