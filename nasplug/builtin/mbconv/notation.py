"""Reading genotypes: the JSON of nasplug, and the block strings in which EfficientNet and DNA are published.

A string such as "ir_r2_k5_s2_e6_c40_se0.25" is two inverted residuals of kernel 5, the first of stride 2, expansion 6,
40 channels and squeeze-excitation of a quarter of the channels read. They come as a JSON list of lists, of which the
first is the stem's separable layer, "ds_r1_k3_s1_c16_se0.25", and each other one block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nasplug.builtin.mbconv.genotype import (
    Chain,
    Operation,
    cell_place,
    read_cell,
    read_genotype,
    read_operation,
    write_genotype,
)
from nasplug.builtin.mbconv.layout import STEM_WIDTH
from nasplug.errors import InputError, quote
from nasplug.formats.json_text import parse_json
from nasplug.formats.limits import FormatError, check_length
from nasplug.values import Genotype

STEM = {"r": "1", "k": "3", "s": "1", "c": str(STEM_WIDTH), "se": "0.25"}
_FIELD = re.compile(r"(se|[rksec])([0-9.]{1,8})")


def parse_genotype(text: str) -> Genotype:
    """The genotype that a text describes; InputError says what is wrong with it."""
    if not text.lstrip().startswith(("[", "{")):
        raise InputError(
            f"A genotype is JSON, or block strings as a JSON list of lists, but this text is neither: {quote(text)}."
        )
    if not text.lstrip().startswith("["):
        genotype = Genotype.from_json(text)
        read_genotype(genotype)
        return genotype
    try:
        check_length(text)
        groups = parse_json(text)
    except FormatError as error:
        raise InputError(f"These block strings cannot be read: {error}.") from error
    if len(groups) < 2 or not all(isinstance(group, list) and group for group in groups):
        raise InputError(
            "Block strings are a JSON list of lists: the stem's "
            f'["{_stem_string()}"], then a list of strings for each block.'
        )
    _check_stem(groups[0])
    return write_genotype({block: _read_chain(block, group) for block, group in enumerate(groups[1:])})


def _stem_string() -> str:
    return "ds_" + "_".join(f"{name}{value}" for name, value in STEM.items())


def _check_stem(group: list[Any]) -> None:
    fields = _read_fields(group[0], "ds") if len(group) == 1 else {}
    if {"e": "1", **fields} != {"e": "1", **STEM}:
        raise InputError(
            f"In this space a network begins with '{_stem_string()}' alone, but here it is {quote(group)}."
        )


def _read_chain(block: int, group: list[Any]) -> Chain:
    """The block that one list of strings describes."""
    operations: list[Operation] = []
    strides, widths = [], []
    for text in group:
        fields = _read_fields(text, "ir")
        missing = [name for name in ("r", "k", "s", "e", "c", "se") if name not in fields]
        if missing:
            raise InputError(f"The block string {quote(text)} lacks '{missing[0]}'.")
        if fields["se"] != "0.25":
            raise InputError(
                f"Layers of this space have squeeze-excitation of 0.25 (se0.25), but {quote(text)} has {fields['se']}."
            )
        cell = read_cell(f"{fields['r']}x{fields['c']}s{fields['s']}", text)
        operations += [read_operation(f"k{fields['k']}e{fields['e']}", text)] * cell.layers
        strides += [cell.stride] + [1] * (cell.layers - 1)
        widths.append(cell.width)
    if len(set(widths)) > 1 or 2 in strides[1:]:
        raise InputError(
            f"In list {block + 2} of the block strings all layers need one width, and only the first may have stride "
            f"2; put what differs into a list of its own: {quote(group)}."
        )
    return Chain(read_cell(f"{len(operations)}x{widths[0]}s{strides[0]}", cell_place(block)), tuple(operations))


def _read_fields(text: Any, kind: str) -> Mapping[str, str]:
    """The fields of a string by name; InputError if it is of another kind or has a field unknown to this space."""
    first, *rest = text.split("_") if isinstance(text, str) else [""]
    fields = {}
    for word in rest:
        match = _FIELD.fullmatch(word)
        if match is None or match[1] in fields:
            raise InputError(
                f"The block string {quote(text)} has {quote(word)}, which layers of this space cannot have; they are "
                f"written like 'ir_r2_k5_s2_e6_c40_se0.25'."
            )
        fields[match[1]] = match[2]
    if first != kind:
        raise InputError(f"Here a block string of the kind '{kind}' belongs, but it is {quote(text)}.")
    return fields
