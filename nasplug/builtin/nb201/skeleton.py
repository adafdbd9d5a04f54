"""What networks of the space have around their cells: stem, residual blocks and classifier (AutoDL, TinyNetwork)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.nb201.plan import NetworkPlan
from nasplug.parts import Outputs
from nasplug.supernets.normalise import NormFactory


def relu_conv_norm(inside: int, outside: int, kernel: int, stride: int, norm: NormFactory) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, norm(outside))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a pooled 1x1 convolution: doubles the channels and halves the map."""

    def __init__(self, inside: int, outside: int, norm: NormFactory) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            relu_conv_norm(inside, outside, 3, 2, norm), relu_conv_norm(outside, outside, 3, 1, norm)
        )
        # With ceil_mode a map of odd size agrees with the branch; even sizes are pooled as published.
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(inside, outside, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) to (N, outside, ceil(H / 2), ceil(W / 2))."""
        doubled: Tensor = self.shortcut(x) + self.branch(x)
        return doubled


class Skeleton(nn.Module):
    """A network without its cells."""

    def __init__(self, plan: NetworkPlan, norm: NormFactory) -> None:
        super().__init__()
        widths = [stage.channels for stage in plan.stages]
        self.stem = nn.Sequential(nn.Conv2d(plan.images.channels, widths[0], 3, padding=1, bias=False), norm(widths[0]))
        self.residuals = nn.ModuleList(Residual(inside, outside, norm) for inside, outside in pairwise(widths))
        self.norm = norm(widths[-1])
        self.classifier = nn.Linear(widths[-1], plan.images.classes)

    def enter(self, stage: int, x: Tensor) -> Tensor:
        """What the first cell of a stage reads, from the output of the stage before, or from images (N, C, H, W)."""
        entered: Tensor = self.stem(x) if stage == 0 else self.residuals[stage - 1](x)
        return entered

    def classify(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """Logits (N, classes) from the maps of the last stage."""
        pooled = F.relu(self.norm(x)).mean((2, 3))
        logits: Tensor = self.classifier(F.dropout(pooled, dropout, self.training))
        return logits

    def run(self, images: Tensor, stage: Callable[[int, Tensor], Tensor], dropout: float = 0.0) -> Outputs:
        """Logits, and as taps the outputs of the stages; `stage` computes the cells of a stage, by its number."""
        taps: list[Tensor] = []
        x = images
        for number in range(len(self.residuals) + 1):
            x = stage(number, self.enter(number, x))
            taps.append(x)
        return Outputs(logits=self.classify(x, dropout), taps=tuple(taps))
