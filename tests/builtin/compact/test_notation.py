from __future__ import annotations

from random import Random

import pytest

from nasplug.builtin.compact import Compact
from nasplug.builtin.compact.references import REFERENCES
from nasplug.errors import InputError


def test_a_line_is_stages_of_a_width_and_operations():
    genotype = Compact().parse(" 16s1 skip  res3|32s2 ds5 ir3e4 ")
    assert genotype.picks == (
        *(("0/width", ("16s1",)), ("0/1", ("skip",)), ("0/2", ("res3",))),
        *(("1/width", ("32s2",)), ("1/1", ("ds5",)), ("1/2", ("ir3e4",))),
    )


def test_json_and_lines_of_random_architectures_are_read():
    space = Compact(operations=("all",))
    for seed in range(20):
        genotype = space.random(Random(seed))
        assert space.parse(genotype.to_json()) == genotype
        line = " | ".join(
            " ".join(names[0] for place, names in genotype.picks if place.startswith(f"{stage}/")) for stage in range(3)
        )
        assert space.parse(line) == genotype


def test_references_are_known_by_name():
    space = Compact()
    for name, line in REFERENCES.items():
        assert space.parse(name) == space.parse(line)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON, one line such as '16s1 res3 skip"),
        ("resnet9", "one of the names plain, resnet8"),
        ("16s1", "but this text is not: '16s1'"),
        ("16s1 res3 |", "Stage 1 of this line needs a width"),
        ("16s1 res3 | 32s2", "Stage 1 of this line needs a width"),
        ("res3 16s1", "In stage 0 of this line, a width is written"),
        ("16s1 res3 | 32s2 res4", "In stage 1 of this line, an operation is written"),
        ("16s1 res3 | 32s2 skip", "first layer of stage 1"),
        ("{", "not JSON"),
        ('{"schema":1,"space":"compact","picks":{}}', "this one has none"),
        ("16s1 res3 | " * 10**6, "cannot be read"),
    ],
)
def test_other_text_is_refused_in_a_sentence(text, words):
    with pytest.raises(InputError, match=words) as refusal:
        Compact().parse(text)
    assert len(str(refusal.value)) < 500
