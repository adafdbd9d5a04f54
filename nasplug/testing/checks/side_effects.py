"""Checks of what parts change beside what they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.parts import Batch, Choices, Stage
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, global_generators, whole
from nasplug.values import StepInfo, Update, Verdict


@check("optimizer")
def alpha_starts_from_the_generator_given(case: Case) -> None:
    """`initialise` gives alpha, and its own state, from the generator that is passed, and uses no other.

    A search whose alpha starts from a global generator cannot be repeated: its state depends on what the process did.
    """
    parts = case.once(plan).parts()
    starts = []
    for seed in (1, 2):
        choices = Choices(parts.space.choice_list())
        torch.manual_seed(seed)
        before = global_generators()
        parts.optimizer.initialise(choices, torch.Generator().manual_seed(0))
        used = [name for name, state in global_generators().items() if state != before[name]]
        require(not used, f"the global generator of {' and '.join(used)} is used", "use the generator that is passed")
        starts.append(choices.alpha.detach().clone())
    require(torch.equal(*starts), "alpha starts elsewhere with another global seed", "use the generator that is passed")


@check("optimizer")
def relaxing_and_deciding_change_nothing(case: Case) -> None:
    """`relax` leaves alpha and its mask as they are and gives float32; `decide` leaves the supernet, and its mode.

    Both are called as often as somebody asks: by evaluations, by reports, and again after a stop.
    """
    search = case.once(whole)
    optimizer = search.parts.optimizer
    alpha = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    active = torch.ones(5, 4, dtype=torch.bool)
    active[1, 2:] = False
    before = alpha.clone(), active.clone()
    weights = optimizer.relax(alpha, active)
    require(
        torch.equal(alpha, before[0]) and torch.equal(active, before[1]),
        "relax changes what it is given",
        "compute a new tensor",
    )
    require(weights.dtype == torch.float32, f"relax gives {weights.dtype}", "keep the weights in float32")
    if search.trainer is None:
        return
    search.net.train()
    state, modes = _state(search.net), [module.training for module in search.net.modules()]
    list(optimizer.decide(search.search_state()))
    changed = _changed(state, search.net)
    require(not changed, f"decide changes '{(changed or [''])[0]}' of the supernet", "decide from copies")
    require(
        [module.training for module in search.net.modules()] == modes,
        "decide leaves the supernet in another mode",
        "put the mode back that the supernet had",
    )


@check("schedule")
def deletes_and_changes_nothing_else(case: Case) -> None:
    """`after_step` changes no alpha, and which candidates are kept by `choices.delete` alone.

    `delete` keeps the strongest where too few would be left, and its effect is what a checkpoint and a recorded graph
    know of; alpha belongs to the optimizer.
    """
    search = _begun(case)
    schedule = search.parts.schedule

    def watched(given: Choices, now: StepInfo) -> Verdict:
        left, delete = given.kept.clone(), given.delete

        def followed(doomed: Tensor) -> Tensor:
            before = given.kept.clone()
            count = delete(doomed)
            left.logical_and_(given.kept | ~before)  # whatever else was deleted is not excused by this call
            return count

        alpha = given.alpha.detach().clone()
        given.delete = followed  # type: ignore[method-assign]
        verdict = schedule.after_step(given, now)
        given.delete = delete  # type: ignore[method-assign]
        require(
            torch.equal(alpha, given.alpha.detach()),
            f"it changes alpha in step {now.step}",
            "leave alpha to optimizers",
        )
        require(
            not bool((left & ~given.kept).any()),  # what is active again is found by another check
            f"it changes which candidates are kept in step {now.step} without choices.delete",
            "delete with choices.delete(mask)",
        )
        return verdict

    trainer: Any = search.trainer
    trainer.schedule = _Watched(schedule, watched)
    search.train()


@check("teacher")
def stages_leave_the_network_to_the_optimizer(case: Case) -> None:
    """A stage changes neither weights nor alpha nor the mode of the network, in its loss or in `after_step`.

    A network that a stage leaves in eval mode trains with fixed statistics from then on.
    """
    search = _begun(case)
    for number, stage, batch, update, now in _first_updates(search):
        fixed = {name for name, _ in search.net.named_parameters()} | {"choices.kept"}
        before = {name: value for name, value in _state(search.net).items() if name in fixed}
        stage(search.net, batch, update, now)
        whole_state = _state(search.net)
        stage.after_step(search.net, now)
        changed = _changed(before, search.net) or _changed(whole_state, search.net)
        require(
            not changed,
            f"stage {number} changes '{(changed or [''])[0]}' of the network",
            "give a loss, and let the optimizer change the weights",
        )
        require(
            all(module.training for module in search.net.modules()),
            f"stage {number} leaves the network, or a part of it, in eval mode",
            "put the mode back that the network had",
        )


@check("teacher")
def loss_is_float32(case: Case) -> None:
    """Under autocast to bfloat16 the loss is float32.

    A loss in bfloat16 has three digits: its small differences, which train alpha, are lost.
    """
    search = _begun(case)
    for number, stage, batch, update, now in _first_updates(search):
        with torch.autocast("cpu", torch.bfloat16):
            loss = stage(search.net, batch, update, now)
        require(
            loss.dtype == torch.float32,
            f"the loss of stage {number} is {loss.dtype}",
            "compute it from logits.float(), as batch.cross_entropy expects them",
        )


class _Watched:
    """A schedule whose `after_step` is another function."""

    def __init__(self, inner: object, after_step: object) -> None:
        self._inner, self.after_step = inner, after_step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _begun(case: Case) -> TinySearch:
    case.once(whole)  # a search that always fails does not fail for what is checked here
    search = begin(case.once(plan).parts(), seed=0)
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    return search


def _first_updates(search: TinySearch) -> Iterator[tuple[int, Stage, Batch, Update, StepInfo]]:
    """For each stage and each update of its first step: the stage with its number, the batch, the update, the step."""
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    clock = search.trainer.clock
    for number, stage in enumerate(search.trainer.stages):
        now = StepInfo(0, clock.steps, clock.steps_per_epoch, number)
        for update in search.parts.optimizer.updates(now):
            yield number, stage, search.trainer.streams[update.split].batch(0), update, now


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def _changed(before: dict[str, Tensor], net: nn.Module) -> list[str]:
    after = net.state_dict()
    return [name for name, value in before.items() if not torch.equal(value, after[name])]
