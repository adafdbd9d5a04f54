"""The part `compact` of the slot `--space`."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import attrs
from torch import Tensor

from nasplug.builtin.chain_drawing import draw_chain
from nasplug.builtin.compact.choices import (
    OPERATION_PRESETS,
    STAGE_PRESETS,
    StageChoices,
    decode_genotype,
    encode_genotype,
    make_choices,
    read_stage_choices,
)
from nasplug.builtin.compact.cost import head_cost, network_cost, stage_cost, stem_cost
from nasplug.builtin.compact.genotype import SPACE, Stage, Width, read_genotype, read_stages
from nasplug.builtin.compact.layer_list import list_head, list_stage, list_stem
from nasplug.builtin.compact.layout import (
    NOMINAL_CHANNELS,
    LayerLayout,
    NetworkLayout,
    make_network_layout,
    make_stage_layout,
    make_stem_layout,
    scale_width,
)
from nasplug.builtin.compact.network import CompactNetwork
from nasplug.builtin.compact.notation import parse_genotype
from nasplug.builtin.compact.operations import ACTIVATIONS
from nasplug.builtin.compact.paths import make_paths, mutate_genotype
from nasplug.builtin.compact.supernet import CompactSupernet
from nasplug.builtin.layers import IMAGENET_FROM, STEMS, half_size
from nasplug.builtin.scaled_widths import SIXTEENTHS, ScaledWidths, sixteenths_option
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, LayerSpec, Network, Paths, option
from nasplug.values import Costs, Drawing, Genotype, ImageShape


@attrs.define
class Compact(ScaledWidths):
    """Stages of layers for small devices: convolutions, residual pairs, depthwise separable layers, inverted residuals.

    Each layer chooses its operation, or to be left out, and each stage its width.
    """

    name = genotypes_of = SPACE
    input_dims = frozenset({1, 2})
    depth_option = "space.stages"
    cost_weight = 2.0

    stages: tuple[str, ...] = option(
        ("small",),
        f"stages: {', '.join(STAGE_PRESETS)}, or a list of stages, each the stride of its first layer and its layers x "
        "width, such as 's2 3x32'",
    )
    multipliers: tuple[float, ...] = option(
        (0.5, 0.75, 1.0, 1.5),
        "widths that a stage chooses from, as multiples of the one in 'stages'",
        above=0,
        at_most=99,
    )
    operations: tuple[str, ...] = option(
        ("default",),
        f"operations that a layer chooses from: {', '.join(OPERATION_PRESETS)}, or a list such as conv3, res3, ds5, "
        "ir3e4, pool, skip",
    )
    channels: int = option(
        NOMINAL_CHANNELS,
        f"scale of all widths, which are those in 'stages' at {NOMINAL_CHANNELS} and in proportion otherwise",
        at_least=1,
    )
    sixteenths: int = sixteenths_option()
    head: int = option(0, "channels of a 1x1 convolution in front of the classifier; 0: none", at_least=0)
    activation: str = option("relu", "activation everywhere", choices=tuple(ACTIVATIONS))
    stem: str = option(
        "auto",
        f"stem; imagenet halves the images, small does not, auto is imagenet from {IMAGENET_FROM} pixels on",
        choices=STEMS,
    )

    def __attrs_post_init__(self) -> None:
        self._offered()

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice of width for each stage that offers several, and one of operation for each layer."""
        return make_choices(self._offered())

    def supernet(self, shape: ImageShape) -> CompactSupernet:
        """The network of all architectures."""
        offered = self._offered()
        widths = [[self._scaled(width) for width in stage.widths] for stage in offered]
        layout = make_network_layout(
            make_stem_layout(self.stem, max(widths[0]), shape),
            [max(alternatives) for alternatives in widths],
            [stage.stride for stage in offered],
            [len(stage.layers) for stage in offered],
            self.head,
            shape.classes,
        )
        operations = [stage.layers for stage in offered]
        choices = Choices(self.choice_list())
        return CompactSupernet(layout, operations, widths, choices, ACTIVATIONS[self.activation])

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """Of every stage the active width of the largest weight, and of each layer the active operation."""
        return decode_genotype(choices, weights, self._offered())

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds, or a path through a stage."""
        return encode_genotype(genotype, choices)

    def taps(self) -> int:
        """One at the end of each stage."""
        return len(self._offered())

    def paths(self, block: int | None) -> Paths:
        """The paths through a stage, or through the network, depth-first."""
        offered = self._offered()
        return make_paths(range(len(offered)) if block is None else (block,), offered)

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Costs:
        """The cost of a stage's layers, exactly; the first stage has the stem, the last the head and classifier."""
        stage, stem, layers = self._path_layout(block, path, before, shape)
        parts = [stage_cost(layers, stage.operations)]
        if block == 0:
            parts.append(stem_cost(stem))
        if block == self.taps() - 1:
            parts.append(head_cost(layers[-1], self.head, shape.classes))
        return Costs.total(parts)

    def interface(self, block: int, path: Genotype) -> Width:
        """The width of the stage."""
        return read_stages(path)[block].width

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The network of a genotype, which may have any stages and operations; there is no auxiliary head."""
        stages = read_genotype(genotype)
        operations = [stage.operations for stage in stages]
        return CompactNetwork(self._layout(stages, shape), operations, ACTIVATIONS[self.activation])

    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """What `network` costs, counted without building it."""
        stages = read_genotype(genotype)
        return network_cost(self._layout(stages, shape), [stage.operations for stage in stages])

    def layer_list(self, genotype: Genotype, shape: ImageShape) -> Sequence[LayerSpec]:
        """The stem, every operation that is not left out, and the head."""
        stages = read_genotype(genotype)
        layout = self._layout(stages, shape)
        specs = [list_stem(layout.stem, self.activation)]
        for layers, stage in zip(layout.stages, stages, strict=True):
            specs += list_stage(layers, stage.operations, self.activation)
        return (*specs, list_head(layout.last, self.head, shape.classes, self.activation))

    def path_layers(
        self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape
    ) -> Sequence[LayerSpec]:
        """The layers of a stage; the first stage has the stem, the last the head."""
        stage, stem, layers = self._path_layout(block, path, before, shape)
        specs = [list_stem(stem, self.activation)] if block == 0 else []
        specs += list_stage(layers, stage.operations, self.activation)
        if block == self.taps() - 1:
            specs.append(list_head(layers[-1], self.head, shape.classes, self.activation))
        return specs

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless every stage has one of its widths and every layer one of its operations."""
        self.refuse_foreign(genotype)
        stages, offered = read_genotype(genotype), self._offered()
        if len(stages) != len(offered):
            raise InputError(
                f"This genotype has {len(stages)} stages, but option 'stages' of the space {len(offered)}."
            )
        for number, (stage, alternatives) in enumerate(zip(stages, offered, strict=True)):
            if stage.width not in alternatives.widths:
                raise InputError(
                    f"Stage {number} of this genotype has the width '{stage.width}'; options 'stages' and "
                    f"'multipliers' of the space offer {', '.join(map(str, alternatives.widths))} there."
                )
            if len(stage.operations) != len(alternatives.layers):
                raise InputError(
                    f"Stage {number} of this genotype has {len(stage.operations)} layers, but option 'stages' of the "
                    f"space {len(alternatives.layers)}; layers that are left out are written 'skip'."
                )
            pairs = zip(stage.operations, alternatives.layers, strict=True)
            foreign = sorted({str(operation) for operation, candidates in pairs if operation not in candidates})
            if foreign:
                raise InputError(
                    f"Stage {number} of this genotype uses {', '.join(foreign)}, which option 'operations' of the "
                    f"space leaves out."
                )

    def parse(self, text: str) -> Genotype:
        """Reads JSON, a line, or the name of a reference network (see `nasplug.builtin.compact.notation`)."""
        return parse_genotype(text)

    def random(self, generator: Random) -> Genotype:
        """A width for each stage and an operation for each layer, uniformly at random."""
        return self.paths(None).sample(generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """Another width of one stage, or another operation in one layer."""
        return mutate_genotype(genotype, self._offered(), generator)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing for each stage: the chain of its layers; width and stride are in the title."""
        return tuple(
            draw_chain(f"stage {number}, width {stage.width.channels}, stride {stage.width.stride}", stage.operations)
            for number, stage in enumerate(read_genotype(genotype))
        )

    def _offered(self) -> tuple[StageChoices, ...]:
        return read_stage_choices(self.stages, self.multipliers, self.operations)

    def _scaled(self, width: Width) -> int:
        return scale_width(width, self.channels + self.sixteenths / SIXTEENTHS)

    def _layout(self, stages: Sequence[Stage], shape: ImageShape) -> NetworkLayout:
        widths = [self._scaled(stage.width) for stage in stages]
        stem = make_stem_layout(self.stem, widths[0], shape)
        strides = [stage.width.stride for stage in stages]
        depths = [len(stage.operations) for stage in stages]
        return make_network_layout(stem, widths, strides, depths, self.head, shape.classes)

    def _path_layout(
        self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape
    ) -> tuple[Stage, LayerLayout, tuple[LayerLayout, ...]]:
        """One stage of a path, the layout of the stem that belongs to it if it is the first, and of its layers."""
        stage = read_stages(path)[block]
        width = self._scaled(stage.width)
        stem = make_stem_layout(self.stem, width, shape)
        in_channels = width if before is None else self._scaled(self.interface(block - 1, before))
        size = stem.out_size
        for earlier in self._offered()[:block]:
            size = half_size(size) if earlier.stride == 2 else size
        layers = make_stage_layout(
            block, len(stage.operations), in_channels, width, stage.width.stride, size, shape.dims
        )
        return stage, stem, layers
