"""Checks that a search learns: it finds the best operation where that is known, and imitates its teacher."""

from __future__ import annotations

import attrs
import torch

from nasplug.parts import Batch, Network
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import Parts, find_refusal, plan
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, whole
from nasplug.testing.toy import BEST, Toy, stripes
from nasplug.values import Found, Genotype, StepInfo

IMAGES, EPOCHS = 512, 5
"""Few long epochs, so that schedules that delete after each epoch do not delete before alpha has learnt."""
DESCENTS = 20
"""Steps of Adam after which a network must be nearer to its teacher."""


@check("optimizer", "schedule", "method")
def ranks_the_best_operation_first(case: Case) -> None:
    """On a space where only one operation can learn the images, the search ends with this operation everywhere.

    A method that ranks candidates wrongly, by a gradient of the wrong sign for example, still reports an architecture
    that trains; only a comparison with random search would show that it found nothing.
    """
    parts = case.once(plan).parts()
    schedule, optimizer = parts.schedule, parts.optimizer
    if not optimizer.trains:
        raise NotApplicable("it trains no supernet, so it ranks nothing")
    if case.slot == "schedule" and not (schedule.ranks_candidates and schedule.takes_snapshots):
        raise NotApplicable("it does not rank candidates by itself")
    if find_refusal(attrs.evolve(parts, space=Toy())) is not None:
        raise NotApplicable("it, or a part beside it, refuses the toy space")
    if parts.selector.evaluates:
        raise NotApplicable(
            "its selector evaluates the supernet, which a search as short as this one trains too little"
        )
    if parts.selector.decodes and not (optimizer.decides or schedule.takes_snapshots):
        raise NotApplicable("it finds no architecture by itself")
    found = best_of(search_toy_space(parts))
    require(
        all(picked == (BEST,) for _, picked in found.picks),
        f"for the cells of the toy space it finds {', '.join(picked[0] for _, picked in found.picks)}, "
        f"but the only operation that can tell its images apart is {BEST}",
        "compare with random search first: the ranking is no better",
    )


def search_toy_space(parts: Parts, seed: int = 0) -> TinySearch:
    """A complete search for the best operation of the toy space, with a teacher that has learnt the images."""
    training = attrs.evolve(parts.training, epochs=EPOCHS, batch_size=16)
    data = stripes(IMAGES, seed)
    search = begin(attrs.evolve(parts, space=Toy(), training=training), seed=seed, data=data, taught=True)
    search.train()
    search.decided = search.decide()
    return search


def best_of(search: TinySearch) -> Genotype:
    """The best architecture of a search: the best rated of those found, else the last snapshot.

    Raises NotApplicable if there is none.
    """
    found = [event for event in search.decided if isinstance(event, Found)]
    if found:
        return min(found, key=lambda event: event.measures.get(search.parts.selector.score, 0.0)).genotype
    snapshots = [step.snapshot for step in search.steps if step.snapshot is not None]
    if not snapshots:
        raise NotApplicable("it found nothing")
    return snapshots[-1]


@check("teacher")
def brings_the_network_nearer_to_the_teacher(case: Case) -> None:
    """Descending the losses of its stages brings logits or taps of the network nearer to those of the teacher.

    A loss with the wrong sign, or against a detached student, is a finite number with gradients all the same.
    """
    case.once(whole)
    search = begin(case.once(plan).parts(), seed=0, taught=True)
    teacher, trainer, net = search.teacher, search.trainer, search.net
    if teacher is None or trainer is None:
        raise NotApplicable("there is no network to learn from")
    weights = [parameter for name, parameter in net.named_parameters() if name != "choices.alpha"]
    before: dict[str, float] = {}
    for number, stage in enumerate(trainer.stages):
        now = StepInfo(0, trainer.clock.steps, trainer.clock.steps_per_epoch, number)
        update = next(each for each in search.parts.optimizer.updates(now) if each.moves_weights)
        batch = trainer.streams[update.split].batch(0)
        before = before or _distances(net, teacher, batch)
        torch_optimizer = torch.optim.Adam([*weights, *stage.parameters()], lr=0.01)
        for _ in range(DESCENTS):
            torch_optimizer.zero_grad()
            stage(net, batch, update, now).backward()
            torch_optimizer.step()
    after = _distances(net, teacher, batch)
    require(
        any(after[name] < 0.99 * before[name] for name in before),
        "after the training the distances to the teacher are "
        + ", ".join(f"{after[name]:.3g} instead of {before[name]:.3g} ({name})" for name in before),
        "let the loss grow with the distance, and let its gradient reach the network",
    )


def _distances(net: Network, teacher: Network, batch: Batch) -> dict[str, float]:
    """How far the network is from its teacher: by the divergence of logits, and by the taps that can be compared."""
    with torch.no_grad():
        ours, theirs = net.outputs(batch.images), teacher.outputs(batch.images)
    pairs = [(a, b) for a, b in zip(ours.taps, theirs.taps, strict=False) if a.shape == b.shape]
    distances = {"logits": float(batch.task.divergence(ours.logits, theirs.logits, 1.0))}
    if pairs:
        distances["taps"] = sum(float((a - b).square().sum() / b.square().sum()) for a, b in pairs) / len(pairs)
    return distances
