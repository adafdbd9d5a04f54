"""Stages that train blocks against the teacher's, and raters of their paths (Li et al., DNA, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from weakref import WeakKeyDictionary

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts import Batch, Block, Choices, Network, Rater, Stage, Supernet
from nasplug.supernets.normalise import TorchNorm, find_norms, measure_statistics, reset_statistics
from nasplug.values import StepInfo, Update
from nasplug_dna.bridge import Bridge
from nasplug_dna.distance import Distance
from nasplug_dna.frozen_teacher import FrozenTeacher, Statistics


@attrs.frozen(eq=False)
class BlockwiseSetup:
    """What all stages and raters of one search share."""

    frozen_teacher: FrozenTeacher
    bridges: Sequence[Bridge]
    """One for each block."""
    loss: Distance
    rating: Distance
    weights: Sequence[float]
    """The weight of each block's loss."""
    progressive: bool = False
    """Whether a block reads the output of the student's own previous block instead of the teacher's."""

    def read(
        self,
        blocks: Sequence[Block],
        number: int,
        images: Tensor,
        features: Sequence[Tensor],
        outputs: dict[int, Tensor],
    ) -> tuple[Tensor, ...]:
        """The maps that block `number` reads; block 0 reads images.

        `features` are the teacher's. `outputs` maps numbers of the student's blocks to their outputs for these images;
        outputs that are computed here are added to it. They are detached: each block learns from its own loss alone.
        """
        source = images
        if number > 0 and self.progressive:
            if number - 1 not in outputs:
                with torch.no_grad():
                    maps = self.read(blocks, number - 1, images, features, outputs)
                    outputs[number - 1] = blocks[number - 1](maps)
            source = outputs[number - 1].detach()
        elif number > 0:
            source = features[number - 1]
        return self.bridges[number].enter(source)


class BlockStage(Stage):
    """The weighted sum, over its blocks, of the distances between the block's output and the teacher's.

    The adaptors of these blocks learn together with their weights. The teacher is not part of the state.
    """

    static_graph = True

    def __init__(
        self, blocks: Sequence[int], setup: BlockwiseSetup, rates: Mapping[int, float], length: int = 1
    ) -> None:
        super().__init__()
        self.blocks: tuple[int, ...] = tuple(blocks)
        self.length = length
        self.rates = {number: rates[number] for number in self.blocks if number in rates}
        self.bridges = nn.ModuleList(setup.bridges[number] for number in self.blocks)
        self._setup = (setup,)  # in a tuple, so that other stages' bridges are no submodules of this one

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`, the same for every update."""
        setup, blocks = self._setup[0], blocks_of(net)
        features = setup.frozen_teacher(batch.images, max(self.blocks))
        outputs: dict[int, Tensor] = {}
        losses = []
        for number in self.blocks:
            output = blocks[number](setup.read(blocks, number, batch.images, features, outputs))
            outputs[number] = output
            distance = setup.bridges[number].compare(output, features[number], setup.loss)
            losses.append(setup.weights[number] * distance)
        return torch.stack(losses).sum()

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What the operations of the teacher depend on."""
        return self._setup[0].frozen_teacher.graph_key()

    def learning_with(self, block: int) -> Iterable[nn.Parameter]:
        """The parameters of the block's adaptors."""
        return self.bridges[self.blocks.index(block)].parameters()

    def raters(self, net: Supernet) -> Sequence[Rater]:
        """A rater for each of its blocks."""
        return [BlockRater(net, number, self._setup[0]) for number in self.blocks]


class BlockRater(Rater):
    """Rates a block by the distance of its output from the teacher's, on the same inputs as in training.

    If blocks read the student's own features, the previous blocks compute one random candidate of each choice, as in
    single-path training: another one for each batch, but the same for all paths that are rated on a batch. As in
    training, they normalise by the statistics of the batch.
    """

    def __init__(self, net: Supernet, number: int, setup: BlockwiseSetup) -> None:
        self.block: int = number
        self.view = net.blocks()[number]
        self._net, self._setup = net, setup
        self._generator = Random(number)
        # Thousands of paths are rated on a batch, for which the teacher is computed once.
        self._targets: WeakKeyDictionary[Batch, Tensor] = WeakKeyDictionary()
        self._measured: WeakKeyDictionary[Batch, Sequence[Tensor]] = WeakKeyDictionary()
        """The teacher's features of the images on which its statistics were measured, until they are read."""
        self._statistics: Statistics = ()

    def prepare(self, calibration: Sequence[Batch]) -> None:
        """Measures the statistics of the teacher's norms, if its mode is to use measured ones in rating."""
        if self._setup.frozen_teacher.measured_norms:
            images = [batch.images for batch in calibration]
            features, self._statistics = self._setup.frozen_teacher.measure(images, self.block)
            self._measured = WeakKeyDictionary(zip(calibration, features, strict=True))

    @torch.no_grad()
    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The maps that the block reads."""
        features = self._measured.pop(batch, None) or self._features(batch)
        self._targets[batch] = features[self.block]
        blocks = self._net.blocks()
        with (
            self._net.choices.only(sample_one_of_each(self._net.choices, self._generator)),
            _batch_statistics(blocks[: self.block] if self._setup.progressive else ()),
        ):
            return self._setup.read(blocks, self.block, batch.images, features, {})

    @torch.no_grad()
    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """The distance of the block's output from the teacher's."""
        if batch not in self._targets:
            self._targets[batch] = self._features(batch)[self.block]
        return self._setup.bridges[self.block].compare(output, self._targets[batch], self._setup.rating)

    def _features(self, batch: Batch) -> Sequence[Tensor]:
        return self._setup.frozen_teacher(batch.images, self.block, self._statistics)


@contextmanager
def _batch_statistics(blocks: Iterable[Block]) -> Iterator[None]:
    """Has torch's batch norms of these blocks use the statistics of the batch, and keep none; those of nasplug do so.

    Their running averages are of all paths at once; and once a block has been rated, they are gone.
    """
    norms = [norm for block in blocks for module in block.modules for norm in find_norms(module)]
    torch_norms = [norm for norm in norms if isinstance(norm, TorchNorm)]
    try:
        with measure_statistics(torch_norms):
            yield
    finally:
        reset_statistics(torch_norms)


def sample_one_of_each(choices: Choices, generator: Random) -> Tensor:
    """A mask (choices, candidates) with one random candidate of each choice, among those that are kept."""
    mask = torch.zeros(choices.kept.shape, dtype=torch.bool)
    for row, kept in enumerate(choices.kept.tolist()):
        if columns := [column for column, is_kept in enumerate(kept) if is_kept]:
            mask[row, generator.choice(columns)] = True
    return mask


def blocks_of(net: Network) -> Sequence[Block]:
    """The blocks of a supernet; TypeError for another network."""
    if not isinstance(net, Supernet):
        raise TypeError("only a supernet has blocks")
    return net.blocks()
