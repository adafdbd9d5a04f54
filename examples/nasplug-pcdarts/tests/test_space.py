from __future__ import annotations

import pickle
from random import Random

import attrs
import pytest
import torch
from nasplug_pcdarts.space import PCDarts

from nasplug.errors import InputError
from nasplug.parts import Choices
from nasplug.spaces import Darts
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(channels=1, size=8, classes=3)
SPACE = PCDarts(operations=("none", "skip_connect", "sep_conv_3x3"), nodes=2, cells=3, channels=4)


def test_its_genotypes_are_networks_of_darts() -> None:
    darts = Darts(operations=SPACE.operations, nodes=2, cells=3, channels=4)
    genotype = SPACE.random(Random(0))
    own, other = (space.network(genotype, SHAPE) for space in (SPACE, darts))

    darts.check(genotype)

    assert genotype.space == "darts"
    assert [weight.shape for weight in own.parameters()] == [weight.shape for weight in other.parameters()]
    assert SPACE.cost(genotype, SHAPE) == darts.cost(genotype, SHAPE)


def test_a_foreign_genotype_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"the space 'nb201', not to 'darts'; genotypes of 'pc-darts' belong to"):
        SPACE.check(Genotype("nb201", {}))


def test_edges_are_ranked_by_alpha_times_beta() -> None:
    """By alpha alone node 3 would read 0 and 1; beta makes it read 2 and 1, whatever `none` weighs."""
    choices = Choices(SPACE.choice_list())
    weights = torch.where(choices.valid_mask, 0.1, 0.0)
    for source, strongest in enumerate((0.5, 0.4, 0.3)):
        weights[choices.rows[f"normal/3<-{source}"], :3] = torch.tensor([0.9, strongest - 0.1, strongest])
    weights[choices.rows["normal/3/inputs"], :3] = torch.tensor([0.1, 0.3, 0.6])

    assert SPACE.decode(choices, weights)["normal/3"] == ("sep_conv_3x3@1", "sep_conv_3x3@2")


def test_encoding_names_the_inputs_that_are_read() -> None:
    choices = Choices(SPACE.choice_list())
    picks = {"normal/2": ("skip_connect@0", "sep_conv_3x3@1"), "normal/3": ("skip_connect@0", "skip_connect@2")}
    genotype = Genotype("darts", picks | {place.replace("normal", "reduce"): held for place, held in picks.items()})

    mask = SPACE.encode(genotype, choices)

    assert mask[choices.rows["normal/3/inputs"]].tolist() == [True, False, True]
    assert mask[choices.rows["reduce/2/inputs"]].tolist() == [True, True, False]
    assert not mask[choices.rows["normal/3<-1"]].any()
    part = Genotype("darts", picks)
    assert SPACE.encode(part, choices)[choices.rows["reduce/3/inputs"]].tolist() == [True, True, True]


@pytest.mark.parametrize("topology", ["per-type", "per-cell"])
def test_inputs_belong_to_the_blocks_of_their_cell(topology: str) -> None:
    choices = attrs.evolve(SPACE, topology=topology).choice_list()
    blocks = {choice.name: choice.blocks for choice in choices}

    for name in blocks:
        if name.endswith("/inputs"):
            assert blocks[name] == blocks[name.replace("/inputs", "<-0")]


def test_it_survives_pickling_and_another_size() -> None:
    assert pickle.loads(pickle.dumps(SPACE)) == SPACE  # noqa: S301
    larger = SPACE.scaled(channels=12)
    assert (type(larger), larger.channels, larger.partial) == (PCDarts, 12, 4)
    assert SPACE.size() == {"cells": 3, "channels": 4, "stem": "auto"}


def test_candidates_that_compete_at_a_node_are_refused() -> None:
    with pytest.raises(InputError, match=r"leave space\.choices at 'edge'"):
        PCDarts(choices="node", operations=("nadd3",))
    with pytest.raises(InputError, match=r"operation 'none' has no place"):
        PCDarts(choices="node")
