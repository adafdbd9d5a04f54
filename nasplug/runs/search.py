"""The search phase: from a supernet to the trail of architectures."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from nasplug.engine import Trainer
from nasplug.parts import Network, Supernet
from nasplug.runs.decision import decide, initial_search_state, write_ratings
from nasplug.store.events import Journal, read_events
from nasplug.runs.flatness import flatness
from nasplug.store.networks import PlannedNetwork, load_network, place_network
from nasplug.runs.retrain import teacher_phase, train_teacher
from nasplug.runs.signals import ShouldStop
from nasplug.runs.context import RunContext
from nasplug.runs.training import Progress, run_training, cost_record, more_work, no_cost
from nasplug.values import Genotype


def prepare_teacher(context: RunContext, journal: Journal, should_stop: ShouldStop) -> Iterator[Progress]:
    """Provides the teacher's network, if the teacher wants one: trains it, unless one was given."""
    asked = context.teacher()
    if asked is None or context.folder.teacher.exists():
        return
    space, genotype = asked
    plan = PlannedNetwork(role="found", genotype=genotype, size=space.size(), cost=space.cost(genotype, context.shape))
    yield from train_teacher(context, space, plan, journal, should_stop)


def search(context: RunContext, journal: Journal, should_stop: ShouldStop) -> Iterator[Progress]:
    """Searches, and records every architecture that the search finds."""
    if context.composition.optimizer.trains:
        torch.manual_seed(context.seed("search", "weights"))
        net = context.composition.space.supernet(context.shape)
        phase = search_phase(context, net, _teacher(context))
        yield from run_training(context, phase, journal, should_stop)
        with more_work(context, phase, journal):
            yield from decide(context, net, phase.stages, journal, should_stop)
        cost = cost_record(context, "search")
    else:
        cost = no_cost(context)
        yield from decide(context, None, (), journal, should_stop)
    context.folder.finish("search", {"cost": cost, "ratings": write_ratings(context)})


def rehearse(context: RunContext) -> None:
    """Builds what a search trains, and throws it away; InputError for all that would be refused on the way.

    A teacher that is yet to be trained is stood in for by its network with initial weights.
    """
    composition = context.composition
    if not composition.optimizer.trains:
        return
    teacher = _teacher(context)
    if teacher is None and (untrained := teacher_phase(context)) is not None:
        teacher = untrained.net
    net = composition.space.supernet(context.shape)
    phase = search_phase(context, net, teacher)
    composition.optimizer.check_limits(initial_search_state(context, net, phase.stages))


def found_genotypes(context: RunContext) -> list[Genotype]:
    """Every architecture that the search left, in its order: snapshots of the trail and what it settled on."""
    events = [event for event in read_events(context.folder.events) if event["phase"] == "search"]
    plain = [event.get("snapshot") or event.get("genotype") for event in events]
    return [Genotype.from_dict(each) for each in plain if each]


def search_phase(context: RunContext, net: Supernet, teacher: Network | None) -> Trainer:
    """The training of a supernet; `teacher` is the network that the teacher asked for."""
    composition, training = context.composition, context.recipe.search
    shares = context.shares()
    place_network(net, context.device)
    stages = composition.teacher.stages(net, context.shape, teacher)
    return Trainer(
        name="search",
        net=net,
        optimizer=composition.optimizer,
        schedule=composition.schedule,
        stages=[stage.to(context.device) for stage in stages],
        training=training,
        streams={name: context.stream("search", name, indices, training) for name, indices in shares.items()},
        device=context.device,
        bf16=context.bf16,
        poll=context.device_options.poll,
        graph_cache=context.device_options.graph_cache(),
        space=composition.space,
        measure=flatness(context, net, shares),
    )


def _teacher(context: RunContext) -> Network | None:
    if not context.folder.teacher.exists():
        return None
    net, _ = load_network(context.folder.teacher, context.plugins)
    return place_network(net, context.device)
