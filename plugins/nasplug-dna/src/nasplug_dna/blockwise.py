"""The teacher `blockwise`: each block learns from the same block of a trained network (Li et al., DNA, CVPR 2020)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
import torch

from nasplug.errors import InputError, Missing
from nasplug.parts import Choice, DistillationTeacher, Network, SearchSpace, Stage, Supernet, option
from nasplug.values import Genotype, ImageShape
from nasplug_dna.bridge import ADAPTORS, build_bridge
from nasplug_dna.dense import NOMINAL, find_dense_genotype
from nasplug_dna.distance import LOSSES, RATINGS
from nasplug_dna.frozen_teacher import MODES, FrozenTeacher, freeze, tap_features, tap_key
from nasplug_dna.stage import BlockStage, BlockwiseSetup
from nasplug_dna.torchvision_networks import UNTRAINED, build_network, cut, find_block_ends, load_network
from nasplug_dna.weights import check_file

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@attrs.define
class Blockwise(DistillationTeacher):
    """Every block of the supernet learns to reproduce the output of the same block of a trained network.

    A block reads the output of the teacher's previous block, so that the blocks do not depend on each other. The
    teacher's network is a large network of the space, trained first or taken from another run (--teacher-from), or a
    network of torchvision (option `model`).
    """

    blockwise = True

    order: str = option(
        "one-by-one",
        "train blocks one after the other, each for all epochs, or together from one pass of the teacher",
        choices=("one-by-one", "together"),
    )
    epochs_per: str = option(
        "block",
        "what search.epochs is the length of: the training of a block, or of each of its cells (a block of three cells "
        "is trained for three times as many epochs)",
        choices=("block", "cell"),
    )
    block_input: str = option(
        "teacher",
        "whose features a block reads: the teacher's, or those of the student's own previous block",
        choices=("teacher", "student"),
    )
    loss: str = option("mse", "distance from the teacher's features in training", choices=tuple(LOSSES))
    rating: str = option("relative-l1", "distance from them in rating", choices=tuple(RATINGS))
    rates: tuple[float, ...] = option((), "factor of each block's learning rate; empty: 1", above=0)
    block_weights: tuple[float, ...] = option((), "weight of each block's loss; empty: 1", above=0)
    adaptors: str = option(
        "auto", "1x1 convolutions around a block; auto: where channels differ from the teacher's", choices=ADAPTORS
    )
    teacher_mode: str = option(
        "batch",
        "statistics that the teacher normalises with: those of the batch, in rating measured ones, or its own (eval)",
        choices=MODES,
    )
    resolution: int = option(0, "pixels to which images are resized for the teacher; 0: none", at_least=0)
    model: str = option(
        "", "a network of torchvision as teacher, or tf_efficientnet_b7 and the like of timm; empty: one of the space"
    )
    weights: str = option("", f"file of the model's weights (.pth, .pt, .safetensors); {UNTRAINED}: initial weights")
    taps: tuple[str, ...] = option((), "nodes of the model after which its blocks end; empty: those of its family")
    model_mean: tuple[float, ...] = option(IMAGENET_MEAN, "mean of the images that the model expects", length=3)
    model_std: tuple[float, ...] = option(IMAGENET_STD, "their standard deviation", length=3, above=0)
    channel_factor: float = option(
        2.0, "channels of a teacher of the space, as a multiple of the supernet's (inferred)", above=0
    )
    candidates: int = option(
        3, "candidates per place of a teacher of the space, where the space allows (inferred)", at_least=1
    )
    epochs: int = option(0, "epochs for which a teacher of the space is trained; 0: as many as retraining", at_least=0)

    def check(self, space: SearchSpace) -> None:
        """Raises InputError unless there are as many teacher features, rates and weights as blocks."""
        blocks = count_blocks(space)
        if blocks == 1:
            _refuse_whole(space)
        for name in ("rates", "block_weights"):
            if (values := getattr(self, name)) and len(values) != blocks:
                raise InputError(
                    f"Option '{name}' of teacher blockwise has {len(values)} values, but the supernet of the space "
                    f"'{space.name}' has {blocks} blocks; give as many, or none: teacher.{name}=[]."
                )
        if self.epochs_per == "cell" and self.order == "together":
            raise InputError(
                "Blocks that are trained together are trained equally long, so teacher.epochs_per=cell needs "
                "teacher.order=one-by-one."
            )
        if self.model:
            self._check_model(blocks)
            return
        for name in ("weights", "taps"):
            if getattr(self, name):
                raise InputError(
                    f"Option '{name}' of teacher blockwise belongs to a network of torchvision, but none is named; "
                    f"set teacher.model, for example to efficientnet_b0."
                )
        if space.taps() != blocks:
            raise InputError(
                f"The supernet of the space '{space.name}' has {blocks} blocks, but its networks are compared at "
                f"{space.taps()} places; take a network of torchvision as teacher: teacher.model=NAME."
            )

    def network(self, space: SearchSpace, generator: random.Random) -> tuple[SearchSpace, Genotype] | None:
        """The space scaled to more channels, if it has widths, and a large genotype; None: a network of torchvision."""
        if self.model:
            return None
        channels = space.size().get("channels")
        wide = space if channels is None else space.scaled(channels=max(1, round(self.channel_factor * int(channels))))
        return wide, find_dense_genotype(wide, self.candidates, generator)

    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """One stage for each block, or one for all blocks, with adaptors on the device of the supernet."""
        if shape.dims == 1 and (self.model or self.resolution):
            raise InputError(
                "The teacher 'blockwise' reads signals by a network of the space, as they are: leave teacher.model "
                "and teacher.resolution out."
            )
        device, blocks = net.choices.alpha.device, net.blocks()
        frozen_teacher = self._freeze_teacher(teacher, shape, len(blocks), device)
        shapes = frozen_teacher.shapes(shape, len(blocks), device)
        if len(shapes) != len(blocks):
            raise InputError(
                f"The supernet has {len(blocks)} blocks, but the teacher's network gives features at {len(shapes)} "
                f"places; take a teacher of the same space, or name a network of torchvision as teacher.model."
            )
        sources = (None, *shapes[:-1])
        if self.block_input == "student":
            sources = (None, *(block.output for block in blocks[:-1]))
        setup = BlockwiseSetup(
            frozen_teacher=frozen_teacher,
            bridges=[
                build_bridge(number, block, source, target, self.adaptors).to(device)
                for number, (block, source, target) in enumerate(zip(blocks, sources, shapes, strict=True))
            ],
            loss=LOSSES[self.loss],
            rating=RATINGS[self.rating],
            weights=self.block_weights or (1.0,) * len(blocks),
            progressive=self.block_input == "student",
        )
        numbers = range(len(blocks))
        groups = [tuple(numbers)] if self.order == "together" else [(number,) for number in numbers]
        rates = dict(enumerate(self.rates))
        cells = count_cells(net.choices) if self.epochs_per == "cell" else {}
        return [BlockStage(group, setup, rates, length=cells.get(group[0], 1)) for group in groups]

    def _check_model(self, blocks: int) -> None:
        if self.taps and len(self.taps) != blocks:
            raise InputError(
                f"teacher.taps names {len(self.taps)} nodes of '{self.model}', but the supernet has {blocks} blocks; "
                f"name one for each block."
            )
        cut(build_network(self.model, empty=True), self.model, self._taps(blocks))
        if not self.weights:
            raise Missing(
                f"The teacher '{self.model}' needs weights: download them from torchvision or timm beforehand and name "
                f"the file, --set teacher.weights=FILE (or {UNTRAINED}, for a network that is not trained)."
            )
        if self.weights != UNTRAINED:
            check_file(Path(self.weights))

    def _taps(self, blocks: int) -> tuple[str, ...]:
        return self.taps or find_block_ends(self.model, blocks)

    def _freeze_teacher(
        self, teacher: Network | None, shape: ImageShape, blocks: int, device: torch.device
    ) -> FrozenTeacher:
        if self.model:
            taps = self._taps(blocks)
            network = load_network(self.model, taps, self.weights, shape, self.model_mean, self.model_std)
            norms = freeze(network.to(device).to(memory_format=torch.channels_last), self.teacher_mode)
            return FrozenTeacher(network, self.resolution, norms, network.graph_key)
        if teacher is None:
            raise InputError("The teacher 'blockwise' imitates a trained network, but there is none.")
        norms = freeze(teacher, self.teacher_mode)
        return FrozenTeacher(tap_features(teacher), self.resolution, norms, tap_key(teacher))


def _refuse_whole(space: SearchSpace) -> None:
    """Raises InputError where the only block of a space is the whole network, which gives logits."""
    with torch.random.fork_rng(devices=()):
        (block, *_) = space.supernet(NOMINAL).blocks()
    if block.output is None:
        raise InputError(
            f"The teacher 'blockwise' trains a network block by block, but the space '{space.name}' is a single block "
            f"that gives logits. Take a space of several blocks, such as mbconv; a network of your own has them where "
            f"its stages follow one another, as in an nn.Sequential."
        )


def count_cells(choices: Iterable[Choice]) -> dict[int, int]:
    """By block that offers several cells, their number: candidates whose layers are choices of their own."""
    named = {choice.name: choice for choice in choices}
    parents = [named[choice.parent[0]] for choice in named.values() if choice.parent is not None]
    return {block: len(choice.candidates) for choice in parents for block in choice.blocks if choice.parent is None}


def count_blocks(space: SearchSpace) -> int:
    """The number of blocks of a space's supernet, by the block numbers of its choices."""
    return 1 + max((number for choice in space.choice_list() for number in choice.blocks), default=0)
