"""Teachers: networks that do not learn, and losses that are functions of what they are given."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random

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

    A run trains it before the search; what cannot be built, or differs after a stop, is found out only then.
    """
    teacher, space = case.once(plan).parts().teacher, case.once(plan).space
    asked = [teacher.network(space, Random(0)) for _ in range(2)]
    if asked[0] is None or asked[1] is None:
        raise NotApplicable("it asks for no network")
    require(
        asked[0][1] == asked[1][1], "one generator gives two different networks", "use the generator that is handed in"
    )
    wide, genotype = asked[0]
    try:
        wide.check(genotype)
    except InputError as error:
        raise Failed(
            f"its genotype is refused: {error}", "draw or mutate it with the space that is returned"
        ) from error


@check("teacher")
def teacher_does_not_learn(case: Case) -> None:
    """The teacher's network has the same weights and buffers after a search, and no gradients.

    A teacher that learns from its student drifts towards it, and the loss falls for nothing.
    """
    trial = _begun(case)
    teacher = _teacher(trial)
    before = {name: each.clone() for name, each in teacher.state_dict().items()}
    trial.train()
    after = teacher.state_dict()
    remedy = (
        "freeze it (requires_grad_(False).eval()), compute it under no_grad, and keep it out of the stage's modules"
    )
    changed = [name for name, value in before.items() if name not in after or not torch.equal(value, after[name])]
    require(not changed, f"after a search its {', '.join(changed[:3])} have changed", remedy)
    with_gradient = [name for name, each in teacher.named_parameters() if each.grad is not None]
    require(not with_gradient, f"its {', '.join(with_gradient[:3])} get gradients", remedy)


@check("teacher")
def teacher_stays_in_eval_mode(case: Case) -> None:
    """The teacher's network is in eval mode whenever it is asked.

    `train()` of a module that holds the teacher wakes its dropout and its running statistics (mmrazor#79).
    """
    trial = _begun(case)
    teacher, modes = _teacher(trial), set[bool]()
    hooks = [each.register_forward_hook(lambda module, *_: modes.add(module.training)) for each in teacher.modules()]
    for stage in _stages(trial):
        stage.train()
    trial.train(2)
    for hook in hooks:
        hook.remove()
    require(
        not any(modes) and not teacher.training,
        "it is asked, or left, in train mode",
        "call eval() once, and hold it in a tuple so that it is no submodule of the stage",
    )


@check("teacher")
def teacher_is_not_part_of_the_state(case: Case) -> None:
    """The teacher's network is neither among the stage's parameters nor in its state.

    Checkpoints would grow by a network that never changes, and the optimizer of the weights would move it.
    """
    trial = _begun(case)
    teacher = _teacher(trial)
    own = {id(each) for each in (*teacher.parameters(), *teacher.buffers())}
    for stage in _stages(trial):
        held = [name for name, each in (*stage.named_parameters(), *stage.named_buffers()) if id(each) in own]
        require(not held, f"the stage holds its {', '.join(held[:3])}", "hold it in a tuple, or by a closure")


@check("teacher")
def loss_is_a_number_that_reaches_the_weights(case: Case) -> None:
    """The loss is a finite scalar, and its gradient reaches weights of the supernet.

    A loss between detached features is minimised by nobody.
    """
    trial = case.once(whole)
    for stage, batch, update, now in _moments(trial):
        loss = stage(trial.net, batch, update, now)
        require(
            isinstance(loss, Tensor) and loss.ndim == 0 and bool(loss.isfinite()),
            f"the loss is {loss!r:.80}",
            "return a finite scalar tensor",
        )
        weights = [each for name, each in trial.net.named_parameters() if name != "choices.alpha"]
        found = torch.autograd.grad(loss, weights, allow_unused=True) if loss.requires_grad else []
        require(
            any(each is not None and bool(each.any()) for each in found),
            "no weight of the supernet gets a gradient from it",
            "compute the loss from what the network gives for these images, not detached",
        )


@check("teacher")
def loss_is_repeatable(case: Case) -> None:
    """The loss of the same network, batch and moment is the same twice, and computing it changes nothing.

    Second-order optimizers and measurements of flatness evaluate it again and again.
    """
    trial = case.once(whole)
    for stage, batch, update, now in _moments(trial):
        before = copy.deepcopy(stage.state_dict()), copy.deepcopy(trial.net.state_dict())
        losses = [float(stage(trial.net, batch, update, now).detach()) for _ in range(2)]
        remedy = "let forward be a function of its arguments and of the state; change state in after_step alone"
        require(losses[0] == losses[1], f"it is {losses[0]:g}, then {losses[1]:g}", remedy)
        for what, ours, theirs in zip(
            ("stage", "network"), before, (stage.state_dict(), trial.net.state_dict()), strict=True
        ):
            changed = [name for name, value in ours.items() if not torch.equal(value, theirs[name])]
            require(not changed, f"computing it changes {', '.join(changed[:3])} of the {what}", remedy)


@check("teacher")
def stages_survive_saving(case: Case) -> None:
    """A stage that was saved and loaded into a new one gives the same loss.

    What a self-teacher has learnt, or an adaptor, is lost on resume unless it is a parameter or a buffer.
    """
    trial = case.once(whole)
    again = prepare(case.once(plan).parts(), seed=0, weights=1)
    if again.teacher is not None and trial.teacher is not None:
        again.teacher.load_state_dict(trial.teacher.state_dict(), strict=False)
    for stage, fresh in zip(_stages(trial), _stages(again), strict=True):
        fresh.load_state_dict(stage.state_dict())
    for (stage, batch, update, now), (fresh, *_) in zip(_moments(trial), _moments(again), strict=True):
        losses = [float(each(trial.net, batch, update, now).detach()) for each in (stage, fresh)]
        require(
            losses[0] == losses[1],
            f"the loss was {losses[0]:g}, and is {losses[1]:g} after saving and loading",
            "keep all that the loss depends on in parameters and buffers",
        )


@check("teacher")
def trains_blocks_apart_only_if_it_declares_so(case: Case) -> None:
    """Stages that train some blocks only belong to a teacher that says `blockwise`.

    Undeclared, it is combined with spaces whose blocks share their choices, and each stage undoes the one before.
    """
    trial = case.once(whole)
    for stage in _stages(trial):
        apart = stage.blocks is not None and len(stage.blocks) < len(trial.net.blocks())
        require(
            trial.parts.teacher.blockwise or not apart,
            f"a stage trains blocks {stage.blocks} alone, but blockwise is False",
            "set blockwise = True",
        )


@check("teacher")
def rates_what_it_trains(case: Case) -> None:
    """Its raters give a finite number for paths, without gradients and without changing the network.

    Optimizers that decide by rating ask the teacher how good a path is.
    """
    trial = case.once(whole)
    batch = next(trial.search_state().images(next(iter(trial.parts.optimizer.splits())), 8))
    before = copy.deepcopy(trial.net.state_dict())
    for stage in _stages(trial):
        for rater in stage.raters(trial.net):
            with torch.no_grad():
                rating = rater.rate(rater.view(rater.inputs(batch)), batch)
            require(
                rating.ndim == 0 and bool(rating.isfinite()),
                f"the rating of {'the network' if rater.block is None else f'block {rater.block}'} is {rating!r:.60}",
                "return a finite scalar: the lower, the better",
            )
    after = trial.net.state_dict()
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    require(
        not changed,
        f"rating changes {', '.join(changed[:3])} of the network",
        "compute under no_grad, and in eval mode",
    )


def _begun(case: Case) -> TinySearch:
    """A search of its own, if searches work at all."""
    case.once(whole)
    return begin(case.once(plan).parts(), seed=0)


def _stages(trial: TinySearch) -> list[Stage]:
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    return list(trial.trainer.stages)


def _teacher(trial: TinySearch) -> Network:
    if trial.teacher is None:
        raise NotApplicable("it asks for no network")
    return trial.teacher


def _moments(trial: TinySearch) -> Iterator[tuple[Stage, Batch, Update, StepInfo]]:
    """A copy of each stage with the batch and the turns of the last step."""
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    clock = trial.trainer.clock
    for number, stage in enumerate(trial.trainer.stages):
        now = StepInfo(clock.steps - 1, clock.steps, clock.steps_per_epoch, number)
        for update in trial.parts.optimizer.updates(now):
            yield copy.deepcopy(stage), trial.trainer.streams[update.split].batch(now.step), update, now
