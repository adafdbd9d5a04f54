"""Training blocks against the teacher's, and rating their paths in the same way (Li et al., DNA, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from weakref import WeakKeyDictionary

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts import Batch, Block, Choices, Network, Rater, Stage, Supernet
from nasplug.values import StepInfo, Update
from nasplug_dna.bridge import Bridge
from nasplug_dna.distance import Distance
from nasplug_dna.guide import Guide


@attrs.frozen(eq=False)
class Lesson:
    """What all stages of one search share."""

    guide: Guide
    bridges: Sequence[Bridge]
    """One for each block."""
    loss: Distance
    rating: Distance
    weights: Sequence[float]
    """The weight of each block's loss."""
    progressive: bool = False
    """Whether a block reads what the student's own block before it gives, instead of the teacher's."""

    def read(
        self, blocks: Sequence[Block], number: int, images: Tensor, features: Sequence[Tensor], given: dict[int, Tensor]
    ) -> tuple[Tensor, ...]:
        """The maps that a block reads, of which the first reads images.

        `features` are the teacher's; `given` holds what blocks of the student gave for these images, and takes up what
        is computed here. Nothing is learnt through the student's output: each block learns from its own loss alone.
        """
        source = images
        if number > 0 and self.progressive:
            if number - 1 not in given:
                with torch.no_grad():
                    maps = self.read(blocks, number - 1, images, features, given)
                    given[number - 1] = blocks[number - 1](maps)
            source = given[number - 1].detach()
        elif number > 0:
            source = features[number - 1]
        return self.bridges[number].enter(source)


class BlockStage(Stage):
    """The weighted sum, over its blocks, of the distance between what the block gives and what the teacher's gives.

    Adaptors of these blocks learn with their weights. The teacher is no part of the state.
    """

    static_graph = True

    def __init__(self, blocks: Sequence[int], lesson: Lesson, rates: Mapping[int, float]) -> None:
        super().__init__()
        self.blocks: tuple[int, ...] = tuple(blocks)
        self.rates = {number: rates[number] for number in self.blocks if number in rates}
        self.bridges = nn.ModuleList(lesson.bridges[number] for number in self.blocks)
        self._lesson = (lesson,)  # in a tuple, so that bridges of other stages are not taken for this one's

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`, whoever moves."""
        lesson, blocks = self._lesson[0], views(net)
        features = lesson.guide(batch.images, max(self.blocks))
        given: dict[int, Tensor] = {}
        losses = []
        for number in self.blocks:
            output = blocks[number](lesson.read(blocks, number, batch.images, features, given))
            given[number] = output
            distance = lesson.bridges[number].compare(output, features[number], lesson.loss)
            losses.append(lesson.weights[number] * distance)
        return torch.stack(losses).sum()

    def learning_with(self, block: int) -> Iterable[nn.Parameter]:
        """What joins the block to the teacher."""
        return self.bridges[self.blocks.index(block)].parameters()

    def raters(self, net: Supernet) -> Sequence[Rater]:
        """One for each of its blocks."""
        return [BlockRater(net, number, self._lesson[0]) for number in self.blocks]


class BlockRater(Rater):
    """Rates what a block makes of the maps that it learnt from, by the distance named for rating.

    If these are the student's own, one random candidate of each choice counts in the blocks before, as while single
    paths are trained: others for each batch, but the same for all paths that are rated.
    """

    def __init__(self, net: Supernet, number: int, lesson: Lesson) -> None:
        self.block: int = number
        self.view = net.blocks()[number]
        self._net, self._lesson = net, lesson
        self._draws = Random(number)
        # A batch is rated for thousands of paths, but goes through the teacher once.
        self._targets: WeakKeyDictionary[Batch, Tensor] = WeakKeyDictionary()

    @torch.no_grad()
    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """What the block reads."""
        features = self._lesson.guide(batch.images, self.block)
        self._targets[batch] = features[self.block]
        with self._net.choices.only(one_of_each(self._net.choices, self._draws)):
            return self._lesson.read(self._net.blocks(), self.block, batch.images, features, {})

    @torch.no_grad()
    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """The distance of the block's output from the teacher's."""
        if batch not in self._targets:
            self._targets[batch] = self._lesson.guide(batch.images, self.block)[self.block]
        return self._lesson.bridges[self.block].compare(output, self._targets[batch], self._lesson.rating)


def one_of_each(choices: Choices, generator: Random) -> Tensor:
    """A mask of one random candidate of each choice, among those that are kept."""
    mask = torch.zeros(choices.kept.shape, dtype=torch.bool)
    for row, kept in enumerate(choices.kept.tolist()):
        if left := [column for column, stays in enumerate(kept) if stays]:
            mask[row, generator.choice(left)] = True
    return mask


def views(net: Network) -> Sequence[Block]:
    """The blocks of a supernet."""
    if not isinstance(net, Supernet):
        raise TypeError("only a supernet has blocks")
    return net.blocks()
