from __future__ import annotations

import pytest

from nasplug.builtin.compact import Compact
from nasplug.builtin.compact.genotype import Operation, Stage, Width, read_genotype, read_stages, write_genotype
from nasplug.errors import InputError
from nasplug.values import Genotype

PICKS = {"0/width": ["8s1"], "0/1": ["skip"], "0/2": ["ir3e4"], "1/width": ["12s2"], "1/1": ["pool"]}


def test_stages_are_written_and_read_back():
    genotype = Genotype("compact", PICKS)
    stages = read_genotype(genotype)
    assert stages == (
        Stage(Width(8, 1), (Operation("skip"), Operation("ir", 3, 4))),
        Stage(Width(12, 2), (Operation("pool"),)),
    )
    assert write_genotype(dict(enumerate(stages))) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert read_stages(Genotype("compact", {"1/width": ["12s2"], "1/1": ["pool"]})) == {1: stages[1]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"0/width": ["08s1"]}, "At '0/width', a width is written"),
        ({"0/width": ["8s3"]}, "stride 1 or 2"),
        ({"0/width": ["10000s1"]}, "at most 9999"),
        ({"0/1": ["conv4"]}, "At '0/1', an operation is written"),
        ({"0/1": ["conv1"]}, "from 3 on"),
        ({"0/1": ["conv3e2"]}, "an operation is written"),
        ({"0/1": ["ir3"]}, "expansion"),
        ({"0/1": ["ir3e0"]}, "'ir3e0' is not"),
        ({"0/1": ["pool", "skip"]}, "exactly one candidate"),
        ({"0/1": []}, "exactly one candidate.*nothing"),
        ({"1/1": ["skip"]}, "first layer of stage 1 changes the shape"),
        ({"0/width": ["8s2"]}, "first layer of stage 0 changes the shape"),
        ({"1/3": ["pool"]}, "Stage 1 .* in this order"),
        ({"x/1": ["pool"]}, "stage/width or stage/layer"),
        ({"3/width": ["8s1"], "3/1": ["pool"]}, "numbered from 0 in order"),
    ],
)
def test_what_is_no_genotype_is_refused_in_a_sentence(changes, words):
    with pytest.raises(InputError, match=words):
        Compact().network(Genotype("compact", PICKS | changes), None)


def test_stages_need_their_width_and_a_layer():
    for left_out in ("0/width", "1/1"):
        picks = {place: names for place, names in PICKS.items() if place != left_out}
        with pytest.raises(InputError, match="a stage needs its width and one or more layers"):
            read_genotype(Genotype("compact", picks))
    with pytest.raises(InputError, match="this one has none"):
        read_genotype(Genotype("compact", {}))
    with pytest.raises(InputError, match="belongs to the space 'mbconv', not to 'compact'"):
        read_genotype(Genotype("mbconv", PICKS))
