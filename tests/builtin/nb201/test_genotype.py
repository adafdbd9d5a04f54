from __future__ import annotations

from random import Random

import pytest

from nasplug.builtin.nb201 import NasBench201, to_string
from nasplug.builtin.nb201.genotype import PLACES
from nasplug.errors import InputError
from nasplug.values import Genotype

TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"


def test_an_architecture_string_names_the_operation_of_every_edge():
    genotype = NasBench201().parse(f" {TEXT}\n")
    assert dict(genotype.picks) == {
        "1<-0": ("nor_conv_3x3",),
        "2<-0": ("none",),
        "2<-1": ("skip_connect",),
        "3<-0": ("avg_pool_3x3",),
        "3<-1": ("none",),
        "3<-2": ("nor_conv_1x1",),
    }
    assert to_string(genotype) == TEXT


def test_genotypes_survive_both_notations():
    space = NasBench201()
    for seed in range(50):
        genotype = space.random(Random(seed))
        assert space.parse(to_string(genotype)) == genotype
        assert space.parse(genotype.to_json()) == genotype
        space.check(genotype)


def test_terms_and_places_may_come_in_any_order():
    space = NasBench201()
    genotype = space.parse(TEXT)
    assert space.parse(TEXT.replace("none~0|skip_connect~1", "skip_connect~1|none~0")) == genotype
    backwards = Genotype("nb201", dict(reversed(genotype.picks)))
    assert space.parse(backwards.to_json()).digest == genotype.digest


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "JSON or written"),
        ("|none~0|", "JSON or written"),
        (TEXT[:-1], "JSON or written"),
        (TEXT.replace("nor_conv_3x3", "nor_konv_3x3"), "Did you mean 'nor_conv_3x3'"),
        (TEXT.replace("skip_connect~1", "skip_connect~2"), "source from 0 to 1"),
        (TEXT.replace("skip_connect~1", "skip_connect~0"), "source from 0 to 1"),
        (TEXT.replace("skip_connect~1", "skip_connect"), "source from 0 to 1"),
        (TEXT.replace("|skip_connect~1", ""), "has 2 terms"),
        ("{", "not JSON"),
        (Genotype("darts", {"normal/2": ["skip_connect@0"]}).to_json(), "belongs to the space 'darts'"),
        (Genotype("nb201", {}).to_json(), "this one has none"),
        (Genotype("nb201", dict.fromkeys(PLACES, ())).to_json(), "one operation, but there are 0"),
        (Genotype("nb201", dict.fromkeys(PLACES, ("none", "skip_connect"))).to_json(), "there are 2"),
        (Genotype("nb201", dict.fromkeys(PLACES, ("sep_conv_3x3",))).to_json(), "Known: avg_pool_3x3"),
    ],
)
def test_what_is_no_architecture_is_refused_in_a_sentence(text, remedy):
    with pytest.raises(InputError, match=remedy.replace("(", r"\(")):
        NasBench201().parse(text)
