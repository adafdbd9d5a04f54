from __future__ import annotations

from random import Random

import pytest
import torch

from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.nb201.genotype import OPERATIONS, PLACES
from nasplug.errors import InputError
from nasplug.parts import Choices
from nasplug.values import Genotype

TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"


@pytest.mark.parametrize(
    ("operations", "remedy"),
    [
        (("none",), "other than 'none'"),
        ((), "other than 'none'"),
        (("skip_connect", "skip_connect"), "more than once"),
        (("nor_conv_5x5",), "is one of"),
    ],
)
def test_operations_that_make_no_space_are_refused(operations, remedy):
    with pytest.raises(InputError, match=remedy):
        NasBench201(operations=operations)


def test_a_genotype_of_other_operations_is_foreign_to_a_smaller_space():
    space = NasBench201(operations=("none", "skip_connect"))
    with pytest.raises(InputError, match=r"avg_pool_3x3, nor_conv_1x1, nor_conv_3x3"):
        space.check(space.parse(TEXT))


def test_there_is_a_choice_of_exactly_one_operation_for_every_edge_shared_by_all_stages():
    choices = NasBench201().choice_list()
    assert [choice.name for choice in choices] == ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]
    assert {(choice.candidates, choice.at_least, choice.at_most) for choice in choices} == {(OPERATIONS, 1, 1)}
    assert {choice.blocks for choice in choices} == {(0, 1, 2)}


def test_decode_takes_the_heaviest_operation_that_counts_and_ties_to_the_first():
    space = NasBench201()
    choices = Choices(space.choice_list())
    weights = torch.zeros(6, 5)
    weights[0, 3] = weights[1, 0] = weights[2, 4] = 1.0
    weights[3] = -torch.arange(5.0)
    weights[4, 1] = weights[4, 2] = 0.5
    expected = ("nor_conv_3x3", "none", "avg_pool_3x3", "none", "skip_connect", "none")
    assert space.decode(choices, weights) == Genotype(
        "nb201", dict(zip(PLACES, [(name,) for name in expected], strict=True))
    )
    deleted = torch.zeros(6, 5, dtype=torch.bool)
    deleted[0, 3] = deleted[3, 0] = deleted[5, 0] = True
    choices.delete(deleted)
    decoded = space.decode(choices, weights)
    assert (decoded["1<-0"], decoded["3<-0"], decoded["3<-2"]) == (("none",), ("skip_connect",), ("skip_connect",))
    assert decoded["2<-1"] == ("avg_pool_3x3",)


def test_whatever_is_kept_a_genotype_holds_one_operation_of_it_on_every_edge():
    space = NasBench201()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        choices = Choices(space.choice_list())
        choices.delete(torch.rand(6, 5, generator=generator) < 0.7)
        genotype = space.decode(choices, torch.randn(6, 5, generator=generator))
        space.check(genotype)
        for place, (name,) in genotype.picks:
            assert name in choices.active_names(place)


def test_encode_undoes_decode():
    space = NasBench201()
    choices = Choices(space.choice_list())
    for seed in range(20):
        genotype = space.random(Random(seed))
        mask = space.encode(genotype, choices)
        assert mask.sum() == 6
        with choices.only(mask):
            assert space.decode(choices, choices.weights().detach()) == genotype
    part = Genotype("nb201", {"2<-1": ("skip_connect",)})
    assert space.encode(part, choices).sum() == 26


def test_random_architectures_are_uniform_over_operations_and_mutants_differ_in_one_edge():
    space, generator = NasBench201(), Random(0)
    counts = dict.fromkeys(OPERATIONS, 0)
    for _ in range(500):
        genotype = space.random(generator)
        mutant = space.mutate(genotype, generator)
        assert sum(old != new for old, new in zip(genotype.picks, mutant.picks, strict=True)) == 1
        for _, (name,) in genotype.picks:
            counts[name] += 1
    assert all(abs(count - 600) < 90 for count in counts.values())  # four standard deviations
    alone = NasBench201(operations=("skip_connect",))
    assert alone.mutate(alone.random(generator), generator) == alone.random(generator)


def test_paths_are_all_architectures_in_every_block_and_in_the_whole():
    assert NasBench201().paths(None).count == 15625
    space = NasBench201(operations=("none", "skip_connect"))
    for block in (None, 0, 2):
        paths = space.paths(block)
        every = list(paths.enumerate())
        assert len(set(every)) == len(every) == paths.count == 64
        assert {paths.sample(Random(seed)) for seed in range(30)} <= set(every)


def test_a_drawing_shows_every_edge_but_those_of_none():
    (drawing,) = NasBench201().drawings(NasBench201().parse(TEXT))
    assert drawing.nodes == ("0", "1", "2", "3")
    assert [(edge.source, edge.target, edge.operation) for edge in drawing.edges] == [
        ("0", "1", "nor_conv_3x3"),
        ("1", "2", "skip_connect"),
        ("0", "3", "avg_pool_3x3"),
        ("2", "3", "nor_conv_1x1"),
    ]


def test_a_scaled_space_keeps_its_operations():
    space = NasBench201(operations=("none", "skip_connect")).scaled(channels=4)
    assert space.size() == {"channels": 4, "cells": 5}
    assert space.scaled(cells=1).size() == {"channels": 4, "cells": 1}
    assert space.operations == ("none", "skip_connect")
