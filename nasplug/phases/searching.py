"""The search phase: from a supernet to the trail of architectures."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from nasplug.engine import Phase
from nasplug.parts import Network, Supernet
from nasplug.phases.deciding import decide, outset, write_ratings
from nasplug.phases.journal import Journal, read_events
from nasplug.phases.measuring import flatness
from nasplug.phases.networks import Plan, load_network, placed
from nasplug.phases.retraining import teacher_phase, train_teacher
from nasplug.phases.stopping import Stop
from nasplug.phases.study import Study
from nasplug.phases.training import Progress, carry_out, cost_record, more_work, no_cost
from nasplug.values import Genotype


def teach(study: Study, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Provides the teacher's network, if the teacher wants one: trains it, unless one was given."""
    asked = study.teacher()
    if asked is None or study.folder.teacher.exists():
        return
    space, genotype = asked
    plan = Plan(role="found", genotype=genotype, size=space.size(), cost=space.cost(genotype, study.shape))
    yield from train_teacher(study, space, plan, journal, stop)


def search(study: Study, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Searches, and records every architecture that the search finds."""
    if study.composition.optimizer.trains:
        torch.manual_seed(study.seed("search", "weights"))
        net = study.composition.space.supernet(study.shape)
        phase = search_phase(study, net, _teacher(study))
        yield from carry_out(study, phase, journal, stop)
        with more_work(study, phase, journal):
            yield from decide(study, net, phase.stages, journal, stop)
        cost = cost_record(study, "search")
    else:
        cost = no_cost(study)
        yield from decide(study, None, (), journal, stop)
    study.folder.finish("search", {"cost": cost, "ratings": write_ratings(study)})


def rehearse(study: Study) -> None:
    """Builds what a search trains, and throws it away; InputError for all that would be refused on the way.

    A teacher that is yet to be trained is stood in for by its network with initial weights.
    """
    composition = study.composition
    if not composition.optimizer.trains:
        return
    teacher = _teacher(study)
    if teacher is None and (untrained := teacher_phase(study)) is not None:
        teacher = untrained.net
    net = composition.space.supernet(study.shape)
    phase = search_phase(study, net, teacher)
    composition.optimizer.check_limits(outset(study, net, phase.stages))


def found_genotypes(study: Study) -> list[Genotype]:
    """Every architecture that the search left, in its order: snapshots of the trail and what it settled on."""
    events = [event for event in read_events(study.folder.events) if event["phase"] == "search"]
    plain = [event.get("snapshot") or event.get("genotype") for event in events]
    return [Genotype.from_dict(each) for each in plain if each]


def search_phase(study: Study, net: Supernet, teacher: Network | None) -> Phase:
    """The training of a supernet; `teacher` is the network that the teacher asked for."""
    composition, training = study.composition, study.recipe.search
    shares = study.shares()
    placed(net, study.device)
    stages = composition.teacher.stages(net, study.shape, teacher)
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
        poll=study.pace.poll,
        replays=study.pace.replays(),
        space=composition.space,
        measure=flatness(study, net, shares),
    )


def _teacher(study: Study) -> Network | None:
    if not study.folder.teacher.exists():
        return None
    net, _ = load_network(study.folder.teacher, study.plugins)
    return placed(net, study.device)
