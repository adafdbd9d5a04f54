"""Checks of teachers: their networks do not learn, and their losses are functions of their arguments."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Batch, Network, Stage
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, prepare, whole
from nasplug.values import StepInfo, Update


@check("teacher", first=True)
def asks_for_a_network_of_its_space(case: Case) -> None:
    """The network that the teacher asks for can be built, and is a function of the generator.

    A run trains it before the search: only then would a network show that cannot be built or that differs on resume.
    """
    teacher, space = case.once(plan).parts().teacher, case.once(plan).space
    first, second = (teacher.network(space, Random(0)) for _ in range(2))
    if first is None or second is None:
        raise NotApplicable("it asks for no network")
    require(first[1] == second[1], "one generator gives two different networks", "use the generator that is handed in")
    wide, genotype = first
    try:
        wide.check(genotype)
    except InputError as error:
        raise Failed(
            f"its genotype is refused: {error}", "sample or mutate it with the space that is returned"
        ) from error


@check("teacher")
def teacher_does_not_learn(case: Case) -> None:
    """The teacher's network has the same weights and buffers after a search, no gradients, and no part in the graph.

    A teacher that learns from its student drifts towards it, and the loss falls without the student learning anything.
    """
    search = _begun(case)
    teacher = _teacher(search)
    for stage, batch, update, now in _updates_of_last_step(search):
        loss = stage(search.net, batch, update, now)
        learning = [parameter for parameter in teacher.parameters() if parameter.requires_grad]
        reached = torch.autograd.grad(loss, learning, allow_unused=True) if learning and loss.requires_grad else ()
        require(
            all(gradient is None for gradient in reached),
            "gradients of the loss reach its weights",
            "compute what it answers under torch.no_grad(), or freeze it (requires_grad_(False))",
        )
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    search.train()
    after = teacher.state_dict()
    remedy = (
        "freeze it (requires_grad_(False).eval()), compute it under no_grad, and keep it out of the stage's modules"
    )
    changed = [name for name, value in before.items() if name not in after or not torch.equal(value, after[name])]
    require(not changed, f"after a search its {', '.join(changed[:3])} have changed", remedy)
    with_gradient = [name for name, parameter in teacher.named_parameters() if parameter.grad is not None]
    require(not with_gradient, f"its {', '.join(with_gradient[:3])} get gradients", remedy)


@check("teacher")
def teacher_stays_in_eval_mode(case: Case) -> None:
    """The teacher's network is in eval mode whenever it is called.

    `train()` of a module that contains the teacher turns its dropout on and updates its running statistics
    (mmrazor#79).
    """
    search = _begun(case)
    teacher, modes = _teacher(search), set[bool]()
    hooks = [
        module.register_forward_hook(lambda called, *_: modes.add(called.training)) for module in teacher.modules()
    ]
    for stage in _stages(search):
        stage.train()
    search.train(2)
    for hook in hooks:
        hook.remove()
    require(
        not any(modes) and not teacher.training,
        "it is called, or left, in train mode",
        "call eval() once, and hold it in a tuple so that it is no submodule of the stage",
    )


@check("teacher")
def teacher_is_not_part_of_the_state(case: Case) -> None:
    """The teacher's network is neither among the stage's parameters nor in its state.

    Checkpoints would grow by a network that never changes, and the optimizer of the weights would update it.
    """
    search = _begun(case)
    teacher = _teacher(search)
    own = {id(tensor) for tensor in (*teacher.parameters(), *teacher.buffers())}
    for stage in _stages(search):
        named = (*stage.named_parameters(), *stage.named_buffers())
        held = [name for name, tensor in named if id(tensor) in own]
        require(not held, f"the stage holds its {', '.join(held[:3])}", "hold it in a tuple, or by a closure")


@check("teacher")
def loss_is_a_number_that_reaches_the_weights(case: Case) -> None:
    """The loss is a finite scalar, and its gradient reaches weights of the supernet.

    A loss between detached features trains nothing.
    """
    search = case.once(whole)
    for stage, batch, update, now in _last_updates(search):
        loss = stage(search.net, batch, update, now)
        require(
            isinstance(loss, Tensor) and loss.ndim == 0 and bool(loss.isfinite()),
            f"the loss is {loss!r:.80}",
            "return a finite scalar tensor",
        )
        weights = [parameter for name, parameter in search.net.named_parameters() if name != "choices.alpha"]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True) if loss.requires_grad else []
        require(
            any(gradient is not None and bool(gradient.any()) for gradient in gradients),
            "no weight of the supernet gets a gradient from it",
            "compute the loss from what the network returns for these images, without detaching it",
        )


@check("teacher")
def loss_is_repeatable(case: Case) -> None:
    """For the same network, batch and step the loss is the same twice, and computing it changes no state.

    Second-order optimizers and measurements of flatness evaluate it several times in one step.
    """
    search = case.once(whole)
    for stage, batch, update, now in _last_updates(search):
        before = copy.deepcopy(stage.state_dict()), copy.deepcopy(search.net.state_dict())
        losses = [float(stage(search.net, batch, update, now).detach()) for _ in range(2)]
        remedy = "make forward a function of its arguments and of the state; change state only in after_step"
        require(losses[0] == losses[1], f"it is {losses[0]:g}, then {losses[1]:g}", remedy)
        after = stage.state_dict(), search.net.state_dict()
        for owner, old, new in zip(("stage", "network"), before, after, strict=True):
            changed = [name for name, value in old.items() if not torch.equal(value, new[name])]
            require(not changed, f"computing it changes {', '.join(changed[:3])} of the {owner}", remedy)


@check("teacher")
def stages_survive_saving(case: Case) -> None:
    """A stage that was saved and loaded into a new one gives the same loss.

    What an adaptor or a moving average has learnt is lost on resume unless it is a parameter or a buffer.
    """
    search = case.once(whole)
    again = prepare(case.once(plan).parts(), seed=0, weights=1)
    if again.teacher is not None and search.teacher is not None:
        again.teacher.load_state_dict(search.teacher.state_dict(), strict=False)
    for stage, fresh in zip(_stages(search), _stages(again), strict=True):
        fresh.load_state_dict(stage.state_dict())
    for (stage, batch, update, now), (fresh, *_) in zip(_last_updates(search), _last_updates(again), strict=True):
        losses = [float(module(search.net, batch, update, now).detach()) for module in (stage, fresh)]
        require(
            losses[0] == losses[1],
            f"the loss was {losses[0]:g}, and is {losses[1]:g} after saving and loading",
            "keep everything that the loss depends on in parameters and buffers",
        )


@check("teacher")
def trains_blocks_apart_only_if_it_declares_so(case: Case) -> None:
    """A teacher whose stages train some of the blocks only declares `blockwise = True`.

    Undeclared, it may be combined with spaces whose blocks share choices, where each stage undoes the one before it.
    """
    search = case.once(whole)
    for stage in _stages(search):
        partial = stage.blocks is not None and len(stage.blocks) < len(search.net.blocks())
        require(
            search.parts.teacher.blockwise or not partial,
            f"a stage trains only the blocks {stage.blocks}, but blockwise is False",
            "set blockwise = True",
        )


@check("teacher")
def weighs_classes_if_it_declares_so(case: Case) -> None:
    """A teacher that declares `weighs_classes = True` has another loss where the classes of a batch have weights.

    A loss that takes the labels of a batch and leaves its weights would ignore `search.balance=weights`.
    """
    search = case.once(whole)
    if not search.parts.teacher.weighs_classes:
        raise NotApplicable("it declares no weights of classes, so that they are refused")
    weights = torch.arange(1.0, search.shape.classes + 1)
    for stage, batch, update, now in _last_updates(search):
        weighted = attrs.evolve(batch, class_weights=weights.to(batch.labels.device))
        losses = [float(stage(search.net, each, update, now).detach()) for each in (batch, weighted)]
        require(
            losses[0] != losses[1],
            f"its loss is {losses[0]:g} with any weights of the classes",
            "compute the loss by batch.loss(logits), or set weighs_classes = False",
        )


@check("teacher")
def rates_what_it_trains(case: Case) -> None:
    """Its raters return a finite number for a path, and do not change the network.

    Optimizers that decide by rating compare paths by these numbers.
    """
    search = case.once(whole)
    batch = next(search.search_state().images(next(iter(search.parts.optimizer.splits())), 8))
    before = copy.deepcopy(search.net.state_dict())
    for stage in _stages(search):
        for rater in stage.raters(search.net):
            with torch.no_grad():
                rating = rater.rate(rater.view(rater.inputs(batch)), batch)
            require(
                rating.ndim == 0 and bool(rating.isfinite()),
                f"the rating of {'the network' if rater.block is None else f'block {rater.block}'} is {rating!r:.60}",
                "return a finite scalar: the lower, the better",
            )
    after = search.net.state_dict()
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    require(
        not changed,
        f"rating changes {', '.join(changed[:3])} of the network",
        "compute under no_grad, and in eval mode",
    )


def _begun(case: Case) -> TinySearch:
    """A new search that has made no step; it fails as `searches-to-its-end` does if searches do not work at all."""
    case.once(whole)
    return begin(case.once(plan).parts(), seed=0)


def _stages(search: TinySearch) -> list[Stage]:
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    return list(search.trainer.stages)


def _teacher(search: TinySearch) -> Network:
    if search.teacher is None:
        raise NotApplicable("it asks for no network")
    return search.teacher


def _last_updates(search: TinySearch) -> Iterator[tuple[Stage, Batch, Update, StepInfo]]:
    """As `_updates_of_last_step`, with copies of the stages."""
    for stage, batch, update, now in _updates_of_last_step(search):
        yield copy.deepcopy(stage), batch, update, now


def _updates_of_last_step(search: TinySearch) -> Iterator[tuple[Stage, Batch, Update, StepInfo]]:
    """For each stage and each update of its last step: the stage, the batch, the update and the step."""
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    clock = search.trainer.clock
    for number, stage in enumerate(search.trainer.stages):
        now = StepInfo(clock.steps - 1, clock.steps, clock.steps_per_epoch, number)
        for update in search.parts.optimizer.updates(now):
            yield stage, search.trainer.streams[update.split].batch(now.step), update, now
