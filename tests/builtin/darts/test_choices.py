from __future__ import annotations

import itertools
from random import Random

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.parts import Choices
from nasplug.values import ImageShape

PER_CELL = {"topology": "per-cell", "operations": ("nadd3",)}
SPACES = {
    "one cell a block": {**PER_CELL, "cells": 3, "nodes": 2},
    "more cells, node choices": {**PER_CELL, "cells": 5, "nodes": 2, "choices": "node"},
    "two cells": {**PER_CELL, "cells": 2, "nodes": 2},
    "shared cells": {"cells": 4, "nodes": 2},
}
NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}


def brute_force(choices, weights, nodes, cell):
    """DARTS's rule by trying out all pairs of edges."""
    picks = {}
    for node in range(2, nodes + 2):
        best = {}
        for source in range(node):
            row = choices.rows[f"{cell}/{node}<-{source}"]
            ranked = [
                (float(weights[row, column]) * bool(choices.kept[row, column]), -column, name)
                for column, name in enumerate(choices.choices[row].candidates)
                if name != "none"
            ]
            best[source] = max(ranked)
        pair = max(itertools.combinations(range(node), 2), key=lambda pair: sum(best[source][0] for source in pair))
        picks[f"{cell}/{node}"] = tuple(sorted(f"{best[source][2]}@{source}" for source in pair))
    return picks


@pytest.mark.parametrize("seed", range(5))
def test_decoding_edges_follows_the_rule_of_darts(seed):
    space, generator = Darts(nodes=3), torch.Generator().manual_seed(seed)
    choices = space.supernet(ImageShape(1, 8, 3)).choices
    choices.delete(torch.rand(choices.kept.shape, generator=generator) < 0.3)
    weights = torch.rand(choices.kept.shape, generator=generator)
    genotype = space.decode(choices, weights)
    space.check(genotype)
    assert dict(genotype.picks) == brute_force(choices, weights, 3, "normal") | brute_force(
        choices, weights, 3, "reduce"
    )


def test_none_wins_no_edge_but_still_takes_part_in_the_softmax():
    space = Darts(operations=("none", "skip_connect", "sep_conv_3x3"), nodes=1, cells=1)
    choices = space.supernet(ImageShape(1, 8, 3)).choices
    weights = torch.tensor([[0.98, 0.01, 0.009], [0.1, 0.4, 0.5]]).repeat(2, 1)
    assert space.decode(choices, weights)["normal/2"] == ("sep_conv_3x3@1", "skip_connect@0")


def test_a_space_where_only_none_is_kept_still_decodes_to_a_genotype():
    space = Darts(cells=1)
    choices = space.supernet(ImageShape(1, 8, 3)).choices
    deleted = choices.valid_mask.clone()
    deleted[:, 0] = False
    choices.delete(deleted)
    genotype = space.decode(choices, choices.weights().detach())
    space.check(genotype)
    assert genotype["normal/5"] == ("max_pool_3x3@0", "max_pool_3x3@1")


def test_decoding_nodes_keeps_every_candidate_that_is_left():
    space = Darts(**NADD, cells=2, channels=4)
    choices = space.supernet(ImageShape(1, 8, 3)).choices
    choices.delete(torch.rand(choices.kept.shape, generator=torch.Generator().manual_seed(0)) < 0.7)
    genotype = space.decode(choices, choices.weights().detach())
    space.check(genotype)
    for choice in choices:
        assert genotype[choice.name] == tuple(sorted(choices.active_names(choice.name)))
    assert isinstance(choices, Choices)


def test_candidates_below_the_baseline_are_in_no_genotype():
    space = Darts(**NADD, cells=1, nodes=1, channels=4)
    choices = space.supernet(ImageShape(1, 8, 3)).choices
    choices.relaxation = OneLevel().relax
    with torch.no_grad():
        choices.alpha.copy_(torch.tensor([[50.0, 0.0, 20.0, 0.5, 0.8, 28.7]]))  # shares of 100
    assert choices.active_count == 6
    assert space.decode(choices, choices.weights().detach())["0/2"] == (
        "dil_conv_5x5@0", "dil_conv_5x5@1", "sep_conv_3x3@0"
    )  # fmt: skip
    assert len(space.decode(choices, torch.zeros(1, 6))["0/2"]) == 6


def test_shared_choices_name_every_block_that_they_affect():
    blocks = {choice.name.partition("/")[0]: choice.blocks for choice in Darts(cells=8).choice_list()}
    assert blocks == {"normal": (0, 1, 2), "reduce": (1, 2)}
    own = Darts(cells=8, topology="per-cell").choice_list()
    assert {choice.name.partition("/")[0]: choice.blocks for choice in own} == {
        "0": (0,), "1": (0,), "2": (1,), "3": (1,), "4": (1,), "5": (2,), "6": (2,), "7": (2,)
    }  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
def test_encode_undoes_decode(name):
    space = Darts(channels=4, **SPACES[name])
    choices = Choices(space.choice_list())
    for seed in range(20):
        genotype = space.random(Random(seed))
        mask = space.encode(genotype, choices)
        with choices.only(mask):
            assert space.decode(choices, choices.weights().detach()) == genotype


def test_a_path_is_encoded_in_its_own_rows_alone():
    space = Darts(channels=4, **SPACES["one cell a block"])
    choices = Choices(space.choice_list())
    path = space.paths(1).sample(Random(0))
    mask = space.encode(path, choices)
    rows = choices.rows_of((1,))
    assert mask[rows].sum() == 4
    assert torch.equal(mask[~rows], choices.valid_mask[~rows])
