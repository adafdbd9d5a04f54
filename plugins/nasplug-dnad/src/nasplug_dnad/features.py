"""Distillation of features from a larger network of the same space (Rao et al., DNAD, released code)."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Batch, DistillationTeacher, Network, SearchSpace, Stage, Supernet, key_of, option
from nasplug.parts.random_walk import mutate_towards
from nasplug.supernets import tap_shapes
from nasplug.values import Genotype, ImageShape, StepInfo, Update
from nasplug.values.training import AUGMENTATIONS

PATIENCE = 64
"""Mutations to try for each place of the teacher's genotype."""
RELEASED = (0.2, 0.3, 0.5)
"""Shares of the three taps of a DARTS network in the released code."""


def standardise(features: Tensor) -> Tensor:
    """Batch norm without affine parameters, with the statistics of this batch: (N, C, H, W) to the same shape."""
    return F.batch_norm(features, None, None, training=True)


class FeatureStage(Stage):
    """Cross entropy plus `weight` times the distance of the network's taps from the teacher's.

        KD = sum_l ratio_l MSE(BN0(Conv1x1_l(s_l)), BN0(t_l)),

    where s_l and t_l are the taps of network and teacher, and BN0 is `standardise`. The 1x1 convolutions convert the
    network's channels to the teacher's, and learn together with its weights. Where the taps differ in size, the larger
    one is averaged down to the smaller. Everything is computed in float32. The teacher is no submodule: it is neither
    saved nor moved with this stage, stays in eval mode and gets no gradient.
    """

    static_graph = True

    def __init__(self, adaptors: nn.ModuleList, teacher: Network, ratios: Sequence[float], weight: float) -> None:
        super().__init__()
        self.adaptors = adaptors
        self.ratios = tuple(ratios)
        self.weight = weight
        teacher.requires_grad_(False).eval()
        self._teacher = (teacher,)

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`, the same for every update."""
        out = net.outputs(batch.images)
        loss = batch.loss(out.logits.float())
        with torch.no_grad():
            targets = self._teacher[0].outputs(batch.images).taps
        return loss + self.weight * self.distance(out.taps, targets)

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What the operations of the teacher depend on."""
        return key_of(self._teacher[0], methods=("outputs",))

    def distance(self, taps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """KD of the network's taps and the teacher's taps, (N, C, H, W) each; a scalar."""
        distances = []
        with torch.autocast(taps[0].device.type, enabled=False):
            for adaptor, ratio, tap, target in zip(self.adaptors, self.ratios, taps, targets, strict=True):
                ours, theirs = _match_sizes(adaptor(tap.float()), target.float())
                distances.append(ratio * F.mse_loss(standardise(ours), standardise(theirs)))
        return torch.stack(distances).sum()


def _match_sizes(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    size = (min(ours.shape[2], theirs.shape[2]), min(ours.shape[3], theirs.shape[3]))
    return tuple(x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size) for x in (ours, theirs))  # type: ignore[return-value]


@attrs.define
class Features(DistillationTeacher):
    """A teacher whose features the supernet imitates at the taps of its space.

    The teacher is a wide and dense random network of the same space, trained before the search. (The released one is a
    dense architecture from an earlier search, with 36 channels where the supernet has 16. A random architecture, which
    needs no earlier search, is a choice of this project.) It is trained as networks are retrained, unless the options
    say otherwise.
    """

    weighs_classes = True

    ratios: tuple[float, ...] = option(
        (),
        "share of each tap in the distance, in order; empty: 0.2, 0.3, 0.5 for three taps, else growing linearly",
        at_least=0,
    )
    weight: float = option(1.0, "weight of the distance beside the cross entropy", at_least=0)
    channel_factor: float = option(2.0, "channels of the teacher, as a multiple of the supernet's", above=0)
    candidates: int = option(3, "candidates per place of the teacher, where the space allows", at_least=1)
    epochs: int = option(0, "epochs of the teacher's training; 0: as many as retraining", at_least=0)
    lr: float | None = option(None, "learning rate of the teacher at the start; unset: that of retraining", above=0)
    augment: str | None = option(
        None, "augmentation of the teacher's images; unset: that of retraining", choices=AUGMENTATIONS
    )
    cutout: int | None = option(
        None, "side of the square cut out of the teacher's images, in pixels; unset: as in retraining", at_least=0
    )
    drop_path: float | None = option(
        None, "drop_path of the teacher at the end of its training; unset: that of retraining", at_least=0, below=1
    )
    drop_path_per_operation: float | None = option(
        None, "what it gains for each operation beyond two per place; unset: as in retraining", at_least=0
    )

    def shares(self, taps: int) -> tuple[float, ...]:
        """The share of each tap n: the option `ratios`, else the released shares, else in proportion to n."""
        if self.ratios:
            return self.ratios
        return RELEASED if taps == len(RELEASED) else tuple(2 * n / (taps * (taps + 1)) for n in range(1, taps + 1))

    def check(self, space: SearchSpace) -> None:
        """Raises InputError unless every tap of the space has a share."""
        if space.taps() == 0:
            raise InputError(
                f"The teacher 'features' compares feature maps, but networks of the space '{space.name}' give none; "
                f"take another teacher, such as labels."
            )
        if len(self.shares(space.taps())) != space.taps():
            raise InputError(
                f"Option 'ratios' of teacher features names {len(self.ratios)} taps, but the networks of the space "
                f"'{space.name}' have {space.taps()}; name as many, or none."
            )

    def network(self, space: SearchSpace, generator: random.Random) -> tuple[SearchSpace, Genotype]:
        """The space scaled to more channels, if it has widths, and a genotype of about `candidates` picks per place."""
        channels = space.size().get("channels")
        wide = space if channels is None else space.scaled(channels=max(1, round(self.channel_factor * int(channels))))
        start = wide.random(generator)
        mutations = PATIENCE * len(start.places)
        return wide, mutate_towards(wide, start, self._deviation, generator, mutations=mutations, tolerance=0)

    def training_options(self) -> Mapping[str, Any]:
        """The options of the same names in the section `retrain` that are set here."""
        names = ("lr", "augment", "cutout", "drop_path", "drop_path_per_operation")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _deviation(self, genotype: Genotype) -> int:
        return sum(abs(len(picked) - self.candidates) for _, picked in genotype.picks)

    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """One stage, on the device of the supernet."""
        if teacher is None:
            raise InputError("The teacher 'features' imitates a trained network, but there is none.")
        ours, theirs = ([tap.channels for tap in tap_shapes(network, shape)] for network in (net, teacher))
        if len(ours) != len(theirs):
            raise InputError(
                f"The supernet has {len(ours)} taps to compare features at, but the teacher has {len(theirs)}; "
                f"take a teacher of the same space."
            )
        device = net.choices.alpha.device
        adaptors = nn.ModuleList(nn.Conv2d(s, t, 1) for s, t in zip(ours, theirs, strict=True))
        return (FeatureStage(adaptors.to(device), teacher, self.shares(len(ours)), self.weight),)
