"""The widths and operations that the options of the space name, its choices, and genotypes from choices and back.

A stage of several widths has the choice "0/width"; every layer of a stage has a choice of its own, "0/1", whatever the
width is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import attrs
from torch import Tensor

from nasplug.builtin.block_genotypes import encode_picks, strongest_columns
from nasplug.builtin.compact.genotype import (
    SKIP,
    Operation,
    Stage,
    Width,
    keeps_shape,
    layer_place,
    read_operation,
    read_stages,
    width_place,
    write_genotype,
)
from nasplug.errors import InputError, choose_from, quote
from nasplug.parts import Choice, Choices
from nasplug.values import Genotype

STAGE_PRESETS: Mapping[str, tuple[str, ...]] = {
    "small": ("s1 2x16", "s2 2x32", "s2 2x64"),
    "deep": ("s1 3x16", "s2 3x32", "s2 4x64"),
}
"""Stages for images of some 8 to 64 pixels, with up to 6 or 10 layers of up to two or three convolutions."""
OPERATION_PRESETS: Mapping[str, tuple[str, ...]] = {
    "default": ("conv3", "res3", "ds3", "ds5", "ir3e2", "ir3e4", "pool", "skip"),
    "all": (
        *("conv3", "conv5", "res3", "ds3", "ds5"),
        *("ir3e2", "ir3e4", "ir3e6", "ir5e2", "ir5e4", "ir5e6", "pool", "skip"),
    ),
}

_STAGE = re.compile(r"s([12]) ([1-9][0-9]?)x([1-9][0-9]{0,3})")


@attrs.frozen
class StageChoices:
    """What one stage may be filled with."""

    widths: tuple[Width, ...]
    layers: tuple[tuple[Operation, ...], ...]
    """The candidates of each layer."""

    @property
    def stride(self) -> int:
        """The stride of its first layer."""
        return self.widths[0].stride


@lru_cache(maxsize=64)
def read_stage_choices(
    stages: tuple[str, ...], multipliers: tuple[float, ...], operations: tuple[str, ...]
) -> tuple[StageChoices, ...]:
    """What the options of the space offer; InputError if one of them cannot be read."""
    lines = [line for text in stages for line in STAGE_PRESETS.get(text, (text,))]
    if not lines:
        raise InputError("Option 'stages' needs at least one stage, such as 's2 3x32'.")
    candidates = _read_operations(operations)
    if not multipliers or list(multipliers) != sorted(set(multipliers)):
        raise InputError(
            f"Option 'multipliers' needs one or more distinct numbers in ascending order, but it is "
            f"{list(multipliers)}."
        )
    return tuple(_read_stage(number, line, multipliers, candidates) for number, line in enumerate(lines))


def _read_operations(names: Sequence[str]) -> tuple[Operation, ...]:
    expanded = [name for text in names for name in OPERATION_PRESETS.get(text, (text,))]
    operations = tuple(read_operation(name, "In option 'operations'") for name in expanded)
    if len(set(operations)) < len(operations):
        raise InputError(f"Option 'operations' names an operation twice: {quote(', '.join(expanded))}.")
    if not any(operation.kind != SKIP for operation in operations):
        raise InputError(f"Option 'operations' needs at least one operation other than '{SKIP}', such as conv3.")
    return operations


def _read_stage(
    number: int, text: str, multipliers: Sequence[float], operations: tuple[Operation, ...]
) -> StageChoices:
    if text.replace("-", "_").isidentifier():
        raise choose_from("preset of option 'stages'", text, STAGE_PRESETS)
    match = _STAGE.fullmatch(" ".join(text.split()))
    if match is None:
        raise InputError(
            f"A stage is written as the stride of its first layer and LAYERSxWIDTH, such as 's2 3x32', but "
            f"{quote(text)} is not."
        )
    stride, layers, nominal = map(int, match.groups())
    widths = tuple(Width(max(1, int(nominal * multiplier + 0.5)), stride) for multiplier in multipliers)
    if len(set(widths)) < len(widths) or widths[-1].channels > 9999:
        raise InputError(
            f"With the option 'multipliers' of {list(multipliers)}, the stage {quote(text)} would have the widths "
            f"{', '.join(map(str, widths))}; they need to be distinct and at most 9999."
        )
    changing = tuple(operation for operation in operations if operation.kind != SKIP)
    return StageChoices(
        widths,
        tuple(operations if keeps_shape(number, stride, layer) else changing for layer in range(1, layers + 1)),
    )


def make_choices(stages: Sequence[StageChoices]) -> tuple[Choice, ...]:
    """A choice of width for each stage of several widths, and one of operation for each layer."""
    choices: list[Choice] = []
    for number, stage in enumerate(stages):
        if len(stage.widths) > 1:
            choices.append(Choice(width_place(number), tuple(map(str, stage.widths)), at_most=1, blocks=(number,)))
        choices += [
            Choice(layer_place(number, layer), tuple(map(str, operations)), at_most=1, blocks=(number,))
            for layer, operations in enumerate(stage.layers, 1)
        ]
    return tuple(choices)


def encode_genotype(genotype: Genotype, choices: Choices) -> Tensor:
    """The candidates that a genotype holds; stages of which it says nothing keep all of theirs."""
    stages = read_stages(genotype)
    places = dict(genotype.picks)
    picks = {
        number: {place: places[place][0] for place in places if place.startswith(f"{number}/")} for number in stages
    }
    return encode_picks(picks, choices)


def decode_genotype(choices: Choices, weights: Tensor, stages: Sequence[StageChoices]) -> Genotype:
    """Of every stage the active width of the largest weight, and of each layer the active operation.

    Ties go to the first.
    """
    strongest = strongest_columns(choices, weights)
    return write_genotype(
        {
            number: Stage(
                stage.widths[strongest.get(width_place(number), 0)],
                tuple(
                    operations[strongest[layer_place(number, layer)]]
                    for layer, operations in enumerate(stage.layers, 1)
                ),
            )
            for number, stage in enumerate(stages)
        }
    )
