"""The part `mbconv` of the slot `--space`."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import attrs
from torch import Tensor

from nasplug.builtin.chain_drawing import draw_chain
from nasplug.builtin.layers import IMAGENET_FROM, STEMS
from nasplug.builtin.mbconv.choices import (
    PRESETS,
    Cells,
    decode_genotype,
    encode_genotype,
    make_choices,
    make_operations,
    read_blocks,
)
from nasplug.builtin.mbconv.cost import block_cost, head_cost, network_cost, stem_cost
from nasplug.builtin.mbconv.genotype import SPACE, Chain, Operation, read_chains, read_genotype
from nasplug.builtin.mbconv.layer_list import block_layers, list_head, list_stem, network_layers
from nasplug.builtin.mbconv.layout import (
    PUBLISHED_STEM,
    LayerLayout,
    NetworkLayout,
    StemLayout,
    Widths,
    make_cell_layout,
    make_network_layout,
    make_stem_layout,
    make_supernet_layout,
    size_after,
)
from nasplug.builtin.mbconv.network import MBConvNetwork
from nasplug.builtin.mbconv.notation import parse_genotype
from nasplug.builtin.mbconv.paths import make_paths, mutate_genotype
from nasplug.builtin.mbconv.supernet import MBConvSupernet
from nasplug.builtin.scaled_widths import ScaledWidths, sixteenths_option
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, LayerSpec, Network, Paths, option
from nasplug.values import Costs, Drawing, Genotype, ImageShape


@attrs.define
class MBConvSpace(ScaledWidths):
    """Blocks of inverted residuals with squeeze-excitation; each offers cells of several depths and widths (DNA)."""

    name = genotypes_of = SPACE
    input_dims = frozenset({1, 2})
    depth_option = "space.blocks"

    blocks: tuple[str, ...] = option(
        ("small",),
        f"blocks: {', '.join(PRESETS)}, or a list of blocks, each its stride and its cells (layers x width), "
        "such as 's2 2x24 3x24 2x32'",
    )
    kernels: tuple[int, ...] = option((3, 5, 7), "kernels that a layer chooses from", at_least=3, at_most=99)
    expansions: tuple[int, ...] = option((6, 3), "expansions that a layer chooses from", at_least=1, at_most=99)
    channels: int = option(
        PUBLISHED_STEM,
        f"channels of the stem; every width is in proportion, and as in 'blocks' at {PUBLISHED_STEM}",
        at_least=2,
    )
    sixteenths: int = sixteenths_option()
    head: int | None = option(
        None, "channels of the head; four times the last width, at most 1280, if not set", at_least=1
    )
    stem: str = option(
        "auto",
        f"stem; imagenet halves the images, small does not, auto is imagenet from {IMAGENET_FROM} pixels on",
        choices=STEMS,
    )
    match: str = option(
        "doubled",
        "what the blocks of the supernet give: twice the width of their first cell (EfficientNet-B7's), or just that",
        choices=("doubled", "plain"),
    )

    def __attrs_post_init__(self) -> None:
        read_blocks(self.blocks)
        make_operations(self.kernels, self.expansions)

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice of cell for each block that offers several, and one of operation for each layer of each cell."""
        return make_choices(self._cells(), self._operations())

    def supernet(self, shape: ImageShape) -> MBConvSupernet:
        """The network of all architectures."""
        doubled = self.match == "doubled"
        layout = make_supernet_layout(self._stem(shape), self._cells(), self._widths(), shape.classes, doubled)
        return MBConvSupernet(layout, self._operations(), Choices(self.choice_list()))

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """Of every block the active cell of the largest weight, and of each of its layers the active operation."""
        return decode_genotype(choices, weights, self._cells(), self._operations())

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds, or a path through a block; none at layers of cells not chosen."""
        return encode_genotype(genotype, choices)

    def taps(self) -> int:
        """One at the end of each block."""
        return len(self._cells())

    def paths(self, block: int | None) -> Paths:
        """The paths through a block, or through the network, depth-first."""
        cells = self._cells()
        return make_paths(range(len(cells)) if block is None else (block,), cells, self._operations())

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Costs:
        """The cost of a block's layers, exactly; the first block has the stem, the last the head and classifier."""
        chain = read_chains(path)[block]
        layouts = self._block_layout(block, chain, before, shape)
        parts = [block_cost(layouts, chain)]
        if block == 0:
            parts.append(stem_cost(self._stem(shape)))
        if block == len(self._cells()) - 1:
            last, head = layouts[-1], self._widths().of_head(chain.cell.width)
            parts.append(head_cost(last, head, shape.classes))
        return Costs.total(parts)

    def path_layers(
        self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape
    ) -> Sequence[LayerSpec]:
        """A block's layers; the first block has the stem, the last the head and classifier."""
        chain = read_chains(path)[block]
        layouts = self._block_layout(block, chain, before, shape)
        layers = block_layers(layouts, chain)
        if block == 0:
            layers.append(list_stem(self._stem(shape), shape))
        if block == len(self._cells()) - 1:
            layers.append(list_head(layouts[-1], self._widths().of_head(chain.cell.width), shape.classes))
        return layers

    def interface(self, block: int, path: Genotype) -> int:
        """The width of the block's cell."""
        return read_chains(path)[block].cell.width

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The network of a genotype, which may have any blocks, cells and operations; there is no auxiliary head."""
        chains = read_genotype(genotype)
        return MBConvNetwork(self._layout(chains, shape), chains)

    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """What `network` costs, counted without building it."""
        chains = read_genotype(genotype)
        return network_cost(self._layout(chains, shape), chains)

    def layer_list(self, genotype: Genotype, shape: ImageShape) -> Sequence[LayerSpec]:
        """Stem, inverted residuals, head."""
        chains = read_genotype(genotype)
        return network_layers(self._layout(chains, shape), chains, shape)

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless every block has one of its cells and every layer one of the operations."""
        self.refuse_foreign(genotype)
        chains, cells, operations = read_genotype(genotype), self._cells(), self._operations()
        if len(chains) != len(cells):
            raise InputError(f"This genotype has {len(chains)} blocks, but option 'blocks' of the space {len(cells)}.")
        for block, (chain, alternatives) in enumerate(zip(chains, cells, strict=True)):
            if chain.cell not in alternatives:
                raise InputError(
                    f"Block {block} of this genotype has the cell '{chain.cell}'; option 'blocks' of the space offers "
                    f"{', '.join(map(str, alternatives))} there."
                )
            foreign = sorted({str(operation) for operation in chain.operations if operation not in operations})
            if foreign:
                raise InputError(
                    f"Block {block} of this genotype uses {', '.join(foreign)}, which options 'kernels' and "
                    f"'expansions' of the space leave out."
                )

    def parse(self, text: str) -> Genotype:
        """Reads JSON, or block strings as a JSON list of lists (see `nasplug.builtin.mbconv.notation`)."""
        return parse_genotype(text)

    def random(self, generator: Random) -> Genotype:
        """For each block a cell uniformly at random, then the operations of its layers."""
        return self.paths(None).sample(generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """Another operation in one layer, or another cell with random layers in one block."""
        return mutate_genotype(genotype, self._cells(), self._operations(), generator)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing for each block: the chain of its layers; their width and stride are in the title."""
        return tuple(
            draw_chain(f"block {block}, width {chain.cell.width}, stride {chain.cell.stride}", chain.operations)
            for block, chain in enumerate(read_genotype(genotype))
        )

    def _cells(self) -> Cells:
        return read_blocks(self.blocks)

    def _operations(self) -> tuple[Operation, ...]:
        return make_operations(self.kernels, self.expansions)

    def _widths(self) -> Widths:
        return Widths(self.channels, self.head, self.sixteenths)

    def _stem(self, shape: ImageShape) -> StemLayout:
        return make_stem_layout(self.stem, self._widths(), shape)

    def _block_layout(
        self, block: int, chain: Chain, before: Genotype | None, shape: ImageShape
    ) -> tuple[LayerLayout, ...]:
        """The layers of a block behind the path `before` through the previous one."""
        stem, widths = self._stem(shape), self._widths()
        in_channels = stem.out_channels if before is None else widths(self.interface(block - 1, before))
        size = size_after(stem.size, self._cells()[:block])
        return make_cell_layout(chain.cell, widths, in_channels, size, shape.dims)

    def _layout(self, chains: Sequence[Chain], shape: ImageShape) -> NetworkLayout:
        return make_network_layout(self._stem(shape), [chain.cell for chain in chains], self._widths(), shape.classes)
