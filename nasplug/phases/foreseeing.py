"""What a run would do, and what it would take, from one measured step of each kind of phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice, pairwise

import attrs
import torch

from nasplug.engine import Phase, settled
from nasplug.parts import Network
from nasplug.phases.retraining import network_phase, teacher_phase
from nasplug.phases.searching import search_phase
from nasplug.phases.study import Study
from nasplug.phases.training import peak_memory

WARM_UP, MEASURED = 2, 3
"""Looks of the host (on a CPU, steps) before the clock runs, and those timed; the shortest of these counts."""


@attrs.frozen
class Foreseen:
    """One kind of phase of a run to come."""

    name: str
    phases: int
    """How many such phases there will be."""
    at_once: int
    """How many of them run beside each other."""
    steps: int
    """Steps of each of them."""
    seconds_per_step: float
    peak_memory_bytes: int
    """Of the process or device after the step, everything measured before included."""

    @property
    def seconds(self) -> float:
        """Seconds for all of them."""
        return -(-self.phases // self.at_once) * self.steps * self.seconds_per_step


def foresee(study: Study) -> Iterator[Foreseen]:
    """The phases of a run to come, each measured; nothing is kept of what is trained for it.

    What is not known yet stands for itself at random: found networks have the cost of random ones. Times are those of
    this machine as busy as it is now. The schedule may end a search early; evaluation and rating are not counted.
    """
    torch.set_num_threads(study.recipe.run.threads)
    teacher = None
    if (phase := teacher_phase(study)) is not None:
        teacher = phase.net
        if not study.folder.teacher.exists():
            yield _measured(study, phase)
    if study.composition.optimizer.trains:
        yield _measured(study, _search(study, teacher))
    recipe = study.recipe
    jobs = recipe.run.jobs
    torch.set_num_threads(1 if jobs > 1 else recipe.run.threads)
    space = study.composition.space.scaled(channels=recipe.retrain.channels, cells=recipe.retrain.cells)
    genotypes = [space.random(study.random("foresee", number)) for number in range(9)]
    typical = sorted(genotypes, key=lambda genotype: space.cost(genotype, study.shape).macs)[4]
    phase = network_phase(study, "retrain", space, typical, recipe.retrain)
    networks = recipe.select.networks * (1 + recipe.select.random)
    yield attrs.evolve(_measured(study, phase), phases=networks, at_once=min(jobs, networks))


def _search(study: Study, teacher: Network | None) -> Phase:
    torch.manual_seed(study.seed("search", "weights"))
    phase = search_phase(study, study.composition.space.supernet(study.shape), teacher)
    phase.begin(torch.Generator().manual_seed(study.seed("search", "alpha")))
    return phase


def _measured(study: Study, phase: Phase) -> Foreseen:
    moments, counts = [time.perf_counter()], []
    for steps in islice(settled(phase), WARM_UP + MEASURED):
        moments.append(time.perf_counter())
        counts.append(len(steps))
    times = [(after - before) / count for (before, after), count in zip(pairwise(moments), counts, strict=True)]
    seconds = min(times[WARM_UP:] or times)
    return Foreseen(phase.name, 1, 1, phase.steps, seconds, peak_memory(study.device))
