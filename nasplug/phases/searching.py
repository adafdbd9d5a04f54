"""The search phase: from a supernet to the trail of architectures."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import torch

from nasplug.data import divide
from nasplug.engine import Phase
from nasplug.parts import Network, Supernet
from nasplug.phases.journal import Journal, read_events
from nasplug.phases.networks import Plan, load_network, placed
from nasplug.phases.retraining import train_teacher
from nasplug.phases.stopping import Stop
from nasplug.phases.study import Study
from nasplug.phases.training import Progress, carry_out, cost_record
from nasplug.values import Genotype, Step


def teach(study: Study, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Provides the teacher's network, if the teacher wants one: trains it, unless one was given."""
    asked = study.composition.teacher.network(study.composition.space, Random(study.seed("teacher")))
    if asked is None or study.folder.teacher.exists():
        return
    space, genotype = asked
    plan = Plan(role="found", genotype=genotype, size=space.size(), cost=space.cost(genotype, study.shape))
    yield from train_teacher(study, space, plan, journal, stop)


def search(study: Study, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Searches, and records every architecture that the search finds."""
    composition = study.composition
    net: Supernet | None = None
    if composition.optimizer.trains:
        torch.manual_seed(study.seed("search", "weights"))
        net = composition.space.supernet(study.shape)
        phase = _phase(study, net)
        yield from carry_out(study, phase, journal, stop)
        cost = cost_record(study, "search")
    else:
        cost = {"seconds": 0.0, "peak_memory_bytes": 0, "device": str(study.device)}
    trail = list(_trail(journal))
    for found in composition.optimizer.decide(composition.space, net, trail, study.seed("search", "decide")):
        journal.append("search", found.record())
    study.folder.finish("search", {"cost": cost})


def found_genotypes(study: Study) -> list[Genotype]:
    """Every architecture that the search left, in its order: snapshots of the trail and what it settled on."""
    events = [event for event in read_events(study.folder.events) if event["phase"] == "search"]
    plain = [event.get("snapshot") or event.get("genotype") for event in events]
    return [Genotype.from_dict(each) for each in plain if each]


def _phase(study: Study, net: Supernet) -> Phase:
    composition, training = study.composition, study.recipe.search
    shares = divide(study.splits.train, composition.optimizer.splits(), study.seed("shares"))
    placed(net, study.device)
    stages = composition.teacher.stages(net, study.shape, _teacher(study))
    return Phase(
        name="search",
        net=net,
        optimizer=composition.optimizer,
        schedule=composition.schedule,
        stages=[stage.to(study.device) for stage in stages],
        training=training,
        streams={name: study.stream("search", name, indices, training) for name, indices in shares.items()},
        device=study.device,
        bf16=study.bf16,
        decode=lambda: composition.space.decode(net.choices, net.choices.weights().detach()),
    )


def _teacher(study: Study) -> Network | None:
    if not study.folder.teacher.exists():
        return None
    net, _ = load_network(study.folder.teacher, study.plugins)
    return placed(net, study.device)


def _trail(journal: Journal) -> Iterator[Step]:
    for event in read_events(journal.path):
        if event["phase"] == "search" and event.get("snapshot"):
            yield Step(
                step=event["step"],
                epoch=event["epoch"],
                loss=event["loss"],
                snapshot=Genotype.from_dict(event["snapshot"]),
                reason=event["reason"],
            )
