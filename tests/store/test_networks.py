"""The networks that a run plans, as plain data."""

from __future__ import annotations

import json

import pytest

from nasplug.builtin.references.residual import ResNet8
from nasplug.store.networks import PlannedNetwork, network_id
from nasplug.values import Costs, Genotype

COSTS = Costs(params=10, macs=20, latency=0.5)
FOUND = PlannedNetwork("found", Genotype("darts", {"a": ["b"]}), {"cells": 3}, COSTS)
RANDOM = PlannedNetwork("random", Genotype("darts", {"a": ["c"]}), {"cells": 3}, COSTS, FOUND.id)


def reference(name: str, width: float, matched_to: str | None = None) -> PlannedNetwork:
    return PlannedNetwork("reference", None, ResNet8(width=width).size(), COSTS, matched_to, name)


@pytest.mark.parametrize("plan", [FOUND, RANDOM, reference("resnet8", 0.125), reference("timm:x", 1.0, FOUND.id)])
def test_a_plan_survives_plain_data(plan):
    again = PlannedNetwork.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert (again, again.id, again.phase) == (plan, plan.id, plan.phase)


def test_the_phase_is_named_after_the_role():
    plans = [FOUND, RANDOM, reference("resnet8", 1.0)]
    assert [plan.phase.partition("/")[0] for plan in plans] == ["retrain", "baseline", "reference"]


def test_plans_of_earlier_versions_have_no_reference():
    data = FOUND.to_dict()
    del data["reference"]
    assert PlannedNetwork.from_dict(data) == FOUND


@pytest.mark.parametrize(
    ("plan", "change"),
    [
        (FOUND, {"reference": "plain"}),
        (FOUND, {"role": "reference"}),
        (FOUND, {"role": "best"}),
        (FOUND, {"genotype": None}),
        (FOUND, {"params": -1}),
        (reference("resnet8", 1.0), {"role": "random"}),
        (reference("resnet8", 1.0), {"reference": None}),
        (reference("resnet8", 1.0), {"reference": 3}),
    ],
)
def test_a_plan_has_either_a_genotype_or_a_reference(plan, change):
    with pytest.raises(TypeError):
        PlannedNetwork.from_dict(plan.to_dict() | change)


def test_ids_depend_on_name_and_width_and_what_the_network_is_matched_to():
    plans = [reference("resnet8", 1.0), reference("plain", 1.0), reference("resnet8", 0.5)]
    plans.append(reference("resnet8", 1.0, "abc"))
    assert len({plan.id for plan in plans}) == 4
    assert plans[0].id == network_id("resnet8", {"width": 1.0, "bias": False}, None)


def test_ids_of_networks_of_a_space_are_those_of_earlier_versions():
    assert (FOUND.id, RANDOM.id) == ("b89136eb3634", "93a40f2f07bb")
