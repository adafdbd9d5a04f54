from __future__ import annotations

import itertools

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.parts import Choices
from nasplug.values import ImageShape

NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}


def brute_force(choices, weights, nodes, cell):
    """DARTS's rule by trying out all pairs of edges."""
    found = {}
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
        pair = max(itertools.combinations(range(node), 2), key=lambda pair: sum(best[one][0] for one in pair))
        found[f"{cell}/{node}"] = tuple(sorted(f"{best[source][2]}@{source}" for source in pair))
    return found


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
    doomed = choices.valid_mask.clone()
    doomed[:, 0] = False
    choices.delete(doomed)
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
