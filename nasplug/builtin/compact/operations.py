"""The operations of layers, as modules of stand-alone networks; the supernet uses their parameters.

All of them are made of convolutions with batch norms behind them, which runtimes fold into the convolutions, and
activations that quantise well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin import layers
from nasplug.builtin.compact.genotype import CONV, INVERTED, POOL, RESIDUAL, SEPARABLE, Operation
from nasplug.builtin.compact.layout import LayerLayout
from nasplug.builtin.layers import Depthwise, Pointwise, pool_arguments
from nasplug.supernets import drop_path
from nasplug.supernets.convolution import drop_unread_edge, is_symbolic
from nasplug.supernets.normalise import NormFactory

Activation = Callable[[Tensor], Tensor]


def relu(x: Tensor) -> Tensor:
    """The rectified map, written over `x`, which nothing else reads: a batch norm's result, or a sum."""
    return F.relu(x, inplace=_may_overwrite(x))


def relu6(x: Tensor) -> Tensor:
    """The same, of at most 6."""
    return F.relu6(x, inplace=_may_overwrite(x))


def _may_overwrite(x: Tensor) -> bool:
    """Recorded graphs are for other programs, to which in-place operations mean nothing."""
    return not (is_symbolic(x) or torch.compiler.is_exporting())


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({"relu": relu, "relu6": relu6})


class LayerOperation(nn.Module, ABC):
    """A branch that ends with a batch norm; a shortcut is added to it, and an activation applied, where it has them."""

    activates = True
    """Whether an activation comes last; inverted residuals give linear maps (Sandler et al., MobileNetV2)."""
    norm: nn.Module
    """The last batch norm of the branch."""

    def __init__(self, layout: LayerLayout, operation: Operation, activation: Activation) -> None:
        super().__init__()
        self.layout, self.operation, self.activation = layout, operation, activation

    @abstractmethod
    def branch_before_norm(self, x: Tensor) -> Tensor:
        """The branch without its last batch norm, (N, in_channels, H, W) to (N, out_channels, H', W')."""

    def shortcut_of(self, x: Tensor) -> Tensor | None:
        """What is added to the branch; None: nothing."""
        return None

    def forward(self, x: Tensor, drop: float = 0.0) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W').

        `drop` is the probability that the branch is dropped, where its shortcut is the map that it reads.
        """
        out: Tensor = self.norm(self.branch_before_norm(x))
        shortcut = self.shortcut_of(x)
        if shortcut is not None:
            out = (drop_path(out, drop) if drop > 0 and self.layout.keeps_shape else out) + shortcut
        return self.activation(out) if self.activates else out


class Convolution(LayerOperation):
    """Convolution, batch norm, activation."""

    def __init__(self, layout: LayerLayout, operation: Operation, norm: NormFactory, activation: Activation) -> None:
        super().__init__(layout, operation, activation)
        self.convolution = _convolution(layout, layout.in_channels, operation.kernel, layout.stride)
        self.norm = norm(layout.out_channels)

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """The convolution."""
        convolved: Tensor = self.convolution(x)
        return convolved


class ResidualPair(LayerOperation):
    """The basic block of ResNet (He et al., CVPR 2016): two convolutions beside a shortcut.

    The shortcut is the map that is read, or a 1x1 convolution of it, without a batch norm, where the layer changes its
    shape, as in the ResNet-8 of MLPerf Tiny.
    """

    def __init__(self, layout: LayerLayout, operation: Operation, norm: NormFactory, activation: Activation) -> None:
        super().__init__(layout, operation, activation)
        channels = layout.out_channels
        self.convolution = _convolution(layout, layout.in_channels, operation.kernel, layout.stride)
        self.first_norm = norm(channels)
        self.second = _convolution(layout, channels, operation.kernel)
        self.norm = norm(channels)
        self.shortcut = (
            None if layout.keeps_shape else nn.Conv2d(layout.in_channels, channels, 1, layout.stride, bias=False)
        )

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """Convolution, batch norm, activation, convolution."""
        branch: Tensor = self.second(self.activation(self.first_norm(self.convolution(x))))
        return branch

    def shortcut_of(self, x: Tensor) -> Tensor:
        """The map itself, or its 1x1 convolution."""
        if self.shortcut is None:
            return x
        shortcut: Tensor = self.shortcut(drop_unread_edge(x, self.shortcut.weight) if self.layout.stride == 2 else x)
        return shortcut


class Separable(LayerOperation):
    """The depthwise separable convolution of MobileNet (Howard et al., 2017): depthwise, then 1x1 convolution."""

    def __init__(self, layout: LayerLayout, operation: Operation, norm: NormFactory, activation: Activation) -> None:
        super().__init__(layout, operation, activation)
        self.channels = max(1, operation.expansion) * layout.in_channels
        self.depthwise = Depthwise(self.channels, operation.kernel, layout.stride, dims=layout.dims)
        self.depthwise_norm = norm(self.channels)
        self.project = Pointwise(self.channels, layout.out_channels)
        self.norm = norm(layout.out_channels)

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """Depthwise convolution of (N, channels, H, W), batch norm, activation, 1x1 convolution."""
        branch: Tensor = self.project(self.activation(self.depthwise_norm(self.depthwise(x))))
        return branch


class InvertedResidual(Separable):
    """The block of MobileNetV2: a 1x1 convolution that expands, then depthwise and 1x1 convolution without activation.

    With expansion 1 it begins with the depthwise convolution. What it reads is added where it keeps its shape.
    """

    activates = False

    def __init__(self, layout: LayerLayout, operation: Operation, norm: NormFactory, activation: Activation) -> None:
        super().__init__(layout, operation, norm, activation)
        self.expand = Pointwise(layout.in_channels, self.channels) if operation.expansion > 1 else None
        self.expand_norm = norm(self.channels) if operation.expansion > 1 else None

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """The branch for maps (N, in_channels, H, W), before its last norm."""
        if self.expand is not None and self.expand_norm is not None:
            x = self.activation(self.expand_norm(self.expand(x)))
        return super().branch_before_norm(x)

    def shortcut_of(self, x: Tensor) -> Tensor | None:
        """The map itself, where the layer keeps its shape."""
        return x if self.layout.keeps_shape else None


class PooledConvolution(LayerOperation):
    """Average pool over 3x3 pixels, 1x1 convolution, batch norm, activation."""

    def __init__(self, layout: LayerLayout, operation: Operation, norm: NormFactory, activation: Activation) -> None:
        super().__init__(layout, operation, activation)
        self.project = Pointwise(layout.in_channels, layout.out_channels)
        self.norm = norm(layout.out_channels)

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """The pool and the convolution."""
        branch: Tensor = self.project(average_pool(x, self.layout))
        return branch


_CLASSES: Mapping[str, Callable[[LayerLayout, Operation, NormFactory, Activation], LayerOperation]] = MappingProxyType(
    {
        CONV: Convolution,
        RESIDUAL: ResidualPair,
        SEPARABLE: Separable,
        INVERTED: InvertedResidual,
        POOL: PooledConvolution,
    }
)


def make_operation(
    layout: LayerLayout, operation: Operation, norm: NormFactory, activation: Activation
) -> LayerOperation:
    """The module of an operation other than the identity."""
    return _CLASSES[operation.kind](layout, operation, norm, activation)


def average_pool(x: Tensor, layout: LayerLayout) -> Tensor:
    """The mean over 3x3 pixels, or 3 samples of a signal, at the edge over those that there are."""
    return F.avg_pool2d(x, **pool_arguments(layout.stride, layout.dims), count_include_pad=False)


def _convolution(layout: LayerLayout, in_channels: int, kernel: int, stride: int = 1) -> layers.Convolution:
    return layers.Convolution(in_channels, layout.out_channels, kernel, stride, dims=layout.dims)
