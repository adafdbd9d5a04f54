"""Reading genotypes: JSON, one line such as "16s1 res3 skip | 32s2 ds3 ir3e4", or the name of a reference network.

Of a line, each part between bars is a stage: its width with the stride of its first layer, then the operations of its
layers.
"""

from __future__ import annotations

from nasplug.builtin.compact.genotype import (
    Stage,
    check_stage,
    read_genotype,
    read_operation,
    read_width,
    write_genotype,
)
from nasplug.builtin.compact.references import REFERENCES
from nasplug.errors import InputError, quote
from nasplug.formats.limits import FormatError, check_length
from nasplug.values import Genotype


def parse_genotype(text: str) -> Genotype:
    """The genotype that a text describes; InputError says what is wrong with it."""
    if text.lstrip().startswith("{"):
        genotype = Genotype.from_json(text)
        read_genotype(genotype)
        return genotype
    try:
        check_length(text)
    except FormatError as error:
        raise InputError(f"This genotype cannot be read: {error}.") from error
    line = REFERENCES.get(text.strip(), text)
    if len(line.split()) < 2:
        raise InputError(
            f"A genotype is JSON, one line such as '16s1 res3 skip | 32s2 ds3 ir3e4', or one of the names "
            f"{', '.join(REFERENCES)}, but this text is not: {quote(text)}."
        )
    return write_genotype({number: _read_stage(number, part) for number, part in enumerate(line.split("|"))})


def _read_stage(number: int, part: str) -> Stage:
    words = part.split()
    if len(words) < 2:
        raise InputError(
            f"Stage {number} of this line needs a width and one or more operations, such as '32s2 ds3 ir3e4', but it "
            f"is {quote(part.strip())}."
        )
    where = f"In stage {number} of this line"
    stage = Stage(read_width(words[0], where), tuple(read_operation(word, where) for word in words[1:]))
    check_stage(number, stage)
    return stage
