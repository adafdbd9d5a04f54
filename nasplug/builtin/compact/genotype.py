"""Genotypes of the space: names of widths and operations, places, and what fills each stage.

The width "32s2" is 32 channels, with stride 2 in the first layer of the stage. The operation "ir3e4" is an inverted
residual of kernel 3 and expansion 4. Stages count from 0, layers from 1: the place "0/width" holds the width of the
first stage, "0/1" and "0/2" the operations of its layers. A genotype therefore says by itself which network it is,
whatever the options of the space; its widths are those at `channels` = 16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from nasplug.builtin.block_genotypes import check_numbers, read_picks
from nasplug.errors import InputError, quote, quote_all
from nasplug.values import Genotype

SPACE = "compact"
CONV, RESIDUAL, SEPARABLE, INVERTED, POOL, SKIP = "conv", "res", "ds", "ir", "pool", "skip"
"""Kinds of operation: convolution, residual pair of convolutions, depthwise separable convolution, inverted residual,
average pool with 1x1 convolution, identity."""
# Every name has one spelling, without leading zeros; the bounds keep absurd networks from being counted.
_WIDTH = re.compile(r"([1-9][0-9]{0,3})s([12])")
_OPERATION = re.compile(r"(conv|res|ds|ir)([1-9][0-9]?)(?:e([1-9][0-9]?))?")


@attrs.frozen
class Width:
    """The channels of a stage, and the stride of its first layer."""

    channels: int
    stride: int

    def __str__(self) -> str:
        return f"{self.channels}s{self.stride}"


@attrs.frozen
class Operation:
    """A candidate of a layer."""

    kind: str
    kernel: int = 0
    """The side of its spatial kernels; 0 where the kind has none."""
    expansion: int = 0
    """By how much an inverted residual widens its input; 0 for other kinds."""

    def __str__(self) -> str:
        size = str(self.kernel) if self.kernel else ""
        return f"{self.kind}{size}e{self.expansion}" if self.expansion else f"{self.kind}{size}"


@attrs.frozen
class Stage:
    """What fills one stage: its width, and an operation for each of its layers."""

    width: Width
    operations: tuple[Operation, ...]


def width_place(stage: int) -> str:
    """The place of a stage's width."""
    return f"{stage}/width"


def layer_place(stage: int, layer: int) -> str:
    """The place of the operation of a layer, counted from 1."""
    return f"{stage}/{layer}"


def keeps_shape(stage: int, stride: int, layer: int) -> bool:
    """Whether a layer, counted from 1, gives maps of the shape that it reads, and so may be left out.

    The first layer of a stage does not, except that of the first stage if its stride is 1: the stem has its width.
    """
    return layer > 1 or (stage == 0 and stride == 1)


def read_width(text: str, where: str) -> Width:
    """The width of this name; InputError, which begins with `where`, if it is not the name of a width."""
    match = _WIDTH.fullmatch(text)
    if match is None:
        raise InputError(
            f"{where}, a width is written CHANNELSsSTRIDE, such as '32s2' (at most 9999 channels, stride 1 or 2), but "
            f"{quote(text)} is not."
        )
    channels, stride = map(int, match.groups())
    return Width(channels, stride)


def read_operation(text: str, where: str) -> Operation:
    """The operation of this name; InputError, which begins with `where`, if it is not the name of an operation."""
    if text in (POOL, SKIP):
        return Operation(text)
    match = _OPERATION.fullmatch(text)
    if match is None or int(match[2]) % 2 == 0 or match[2] == "1" or (match[1] == INVERTED) != (match[3] is not None):
        raise InputError(
            f"{where}, an operation is written conv3, res3, ds3 (with an odd kernel from 3 on), ir3e4 (kernel and "
            f"expansion), pool or skip, but {quote(text)} is not."
        )
    return Operation(match[1], int(match[2]), int(match[3] or 0))


def check_stage(number: int, stage: Stage) -> None:
    """Raises InputError if the first layer of a stage, which has to change the shape of its maps, is left out."""
    if stage.operations[0].kind == SKIP and not keeps_shape(number, stage.width.stride, 1):
        raise InputError(
            f"The first layer of stage {number} changes the shape of its maps, so it cannot be '{SKIP}'; name another "
            f"operation there."
        )


def write_genotype(stages: Mapping[int, Stage]) -> Genotype:
    """The genotype of stages by number, in their order."""
    picks: dict[str, tuple[str, ...]] = {}
    for number, stage in stages.items():
        picks[width_place(number)] = (str(stage.width),)
        for layer, operation in enumerate(stage.operations, 1):
            picks[layer_place(number, layer)] = (str(operation),)
    return Genotype(space=SPACE, picks=picks)


def read_genotype(genotype: Genotype) -> tuple[Stage, ...]:
    """The stages of a whole genotype; InputError if it is malformed."""
    stages = read_stages(genotype)
    check_numbers(stages, "stages")
    return tuple(stages.values())


def read_stages(genotype: Genotype) -> dict[int, Stage]:
    """The stages of a genotype, or of a part of one, by number; InputError if one of them is malformed."""
    places = read_picks(genotype, SPACE, "stage/width or stage/layer, such as '0/width'")
    return {number: _read_stage(number, picks) for number, picks in places.items()}


def _read_stage(number: int, picks: Mapping[str, str]) -> Stage:
    layers = max(1, len(picks) - 1)
    expected = [width_place(number), *(layer_place(number, layer) for layer in range(1, layers + 1))]
    if list(picks) != expected:
        raise InputError(
            f"Stage {number} of this genotype has the places {quote_all(picks)}; a stage needs its width and one or "
            f"more layers: {', '.join(expected)}, in this order."
        )
    width = read_width(picks[expected[0]], f"At '{expected[0]}'")
    stage = Stage(width, tuple(read_operation(picks[place], f"At '{place}'") for place in expected[1:]))
    check_stage(number, stage)
    return stage
