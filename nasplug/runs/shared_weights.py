"""Candidates of a tournament that start from the weights of the search's supernet (`select.share_weights`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Supernet
from nasplug.runs.context import RunContext
from nasplug.runs.search_trainer import load_supernet
from nasplug.store.networks import PlannedNetwork, build_network
from nasplug.values import Genotype


def initial_weights(context: RunContext, plan: PlannedNetwork) -> Mapping[str, Tensor]:
    """The supernet's weights for a network of which `has_weights` has said that there are some."""
    weights = _path_weights(context, load_supernet(context), plan)
    if not weights:
        raise InputError(
            f"The supernet of '{context.folder.path}' has no weights for the network {plan.id} any more, though it had "
            f"some when the tournament was planned; restore the run, or remove "
            f"'{context.folder.phase('candidates')}' to plan it again."
        )
    return weights


def has_weights(context: RunContext, supernet: Supernet, plan: PlannedNetwork) -> bool:
    """Whether a network can start from weights of the supernet; one that is wider cannot."""
    return bool(_path_weights(context, supernet, plan))


def _path_weights(context: RunContext, net: Supernet, plan: PlannedNetwork) -> Mapping[str, Tensor]:
    genotype = cast("Genotype", plan.genotype)  # only reference networks have none
    network = build_network(context.plugins, context.composition.space, plan, context.shape)
    return net.path_weights(genotype, network)
