from __future__ import annotations

import torch

from nasplug.supernets.candidate_groups import (
    CandidateGroup,
    CellCandidate,
    group_candidates,
    repeat_for_channels,
)

CANDIDATES = (
    CellCandidate("pool", source=1, target=2, row=1, column=0),
    CellCandidate("conv", source=1, target=2, row=1, column=1),
    CellCandidate("conv", source=0, target=3, row=2, column=1),
    CellCandidate("conv", source=0, target=2, row=0, column=1),
    CellCandidate("pool", source=2, target=3, row=4, column=0),
)


def test_candidates_of_one_operation_in_one_wave_form_a_group():
    groups = group_candidates(CANDIDATES, waves=3, wave_of=lambda source: max(0, source - 1))
    assert groups.waves == (
        (CandidateGroup("pool", ((1, (2,)),), 0), CandidateGroup("conv", ((0, (2, 3)), (1, (2,))), 1)),
        (CandidateGroup("pool", ((2, (3,)),), 2),),
        (),
    )
    assert groups.positions == (((1, 0),), ((0, 1), (2, 1), (1, 1)), ((4, 0),))
    assert groups.waves[0][1].edges == [(0, 2), (0, 3), (1, 2)]
    assert [groups.reads(state) for state in range(4)] == [True, True, True, False]


def test_a_group_has_a_number_for_its_weights_in_the_order_of_computation():
    groups = group_candidates(CANDIDATES, waves=3, wave_of=lambda source: source)
    assert [[group.number for group in wave] for wave in groups.waves] == [[0], [1, 2], [3]]
    assert len(groups.positions) == 4


def test_the_weight_of_a_candidate_is_repeated_for_its_channels():
    assert repeat_for_channels(torch.tensor([1.0, 2.0]), 3).tolist() == [1, 1, 1, 2, 2, 2]
