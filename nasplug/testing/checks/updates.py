"""The turns of an architecture optimizer: who moves in them, on which images, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from nasplug.parts import ArchitectureOptimizer, Objective, Outputs, TorchOptimizers
from nasplug.parts.optimizer import parameters_of
from nasplug.testing.case import Case
from nasplug.testing.check import NotApplicable, check, require
from nasplug.testing.companion_parts import plan
from nasplug.testing.tiny_search import TinySearch, begin, whole
from nasplug.values import Update


@check("optimizer")
def each_turn_moves_only_whom_it_names(case: Case) -> None:
    """A turn of the weights leaves alpha as it is, a turn of alpha leaves the weights, and whoever is named moves.

    The impure step of a bilevel search: one optimizer holds the parameters of both (darts#37, darts#75).
    """

    def state(trial: TinySearch) -> tuple[list[Tensor], list[Tensor]]:
        torch_optimizers = _movers(trial)
        weights = [*parameters_of(torch_optimizers.weights), *_tensors(torch_optimizers.weights)]
        alpha = [trial.net.choices.alpha, *(_tensors(torch_optimizers.alpha) if torch_optimizers.alpha else [])]
        return [each.detach().clone() for each in weights], [each.detach().clone() for each in alpha]

    moved = {"weights": False, "alpha": False}
    before: list[tuple[list[Tensor], list[Tensor]]] = []

    def after(trial: TinySearch, update: Update) -> None:
        names = zip(("weights", "alpha"), before.pop(), state(trial), strict=True)
        for name, ours, theirs in names:
            changed = len(ours) != len(theirs) or any(
                not torch.equal(one, other) for one, other in zip(ours, theirs, strict=False)
            )
            named = update.moves_weights if name == "weights" else update.moves_alpha
            moved[name] |= changed and named
            require(
                named or not changed,
                f"a turn on '{update.split}' that does not move {name} changes {name} or the state of its optimizer",
                "leave gradients on the parameters of the update only, and put back what was tried out",
            )

    trial = _spied(case, before=lambda trial, _: before.append(state(trial)), after=after)
    require(
        moved["weights"],
        "the weights never change",
        "name the weights in an update, and leave gradients in their `grad`",
    )
    learns = trial.parts.optimizer.learns_alpha
    require(
        moved["alpha"] == learns,
        f"learns_alpha is {learns}, and alpha {'changes' if moved['alpha'] else 'never changes'} in its turns",
        "declare learns_alpha as it is, and give make_alpha_optimizer and an update with moves_alpha if it is True",
    )


@check("optimizer")
def leaves_no_gradients_behind(case: Case) -> None:
    """After each turn no parameter has a gradient left.

    What a backward pass of alpha leaves on the weights is added to their own gradient in the next turn.
    """

    def after(trial: TinySearch, update: Update) -> None:
        left = [name for name, each in trial.net.named_parameters() if each.grad is not None and bool(each.grad.any())]
        require(
            not left,
            f"after a turn on '{update.split}' there are gradients on {', '.join(left[:3])}",
            "take gradients of those who move only (autograd.grad, or backward with inputs=), and clear them",
        )

    _spied(case, after=after)


@check("optimizer")
def puts_buffers_back(case: Case) -> None:
    """Where a turn tries other weights out, the network's buffers are put back with them.

    Batch norms that saw weights displaced by a virtual step keep statistics of a network that never was.
    """
    before: list[int] = []

    def after(trial: TinySearch, update: Update) -> None:
        passes = int(trial.net.get_buffer("passes")) - before.pop()
        require(
            passes <= 1,
            f"the buffers of the network have seen {passes} passes in one turn on '{update.split}'",
            "restore torch_optimizers.buffers as well as the weights",
        )

    def note(trial: TinySearch, _: Update) -> None:
        before.append(int(trial.net.get_buffer("passes")))

    def prepare(trial: TinySearch) -> None:
        net, outputs = trial.net, trial.net.outputs

        def counted(images: Tensor) -> Outputs:
            net.get_buffer("passes").add_(1)
            return outputs(images)

        net.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        net.outputs = counted  # type: ignore[method-assign]
        if trial.trainer is not None:
            trial.trainer.build_torch_optimizers()  # they hold the buffers

    _spied(case, before=note, after=after, prepare=prepare)


@check("optimizer")
def sees_new_images_in_every_step(case: Case) -> None:
    """In every step each turn evaluates its objective on the images of that step.

    A validation batch that is fetched once serves for the whole search (tinyml-tensorlab#15), and alpha learns it by
    heart.
    """
    trial = case.once(whole)
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    clock = trial.trainer.clock
    for now in clock.since(0):
        for update in trial.parts.optimizer.updates(now):
            stream: Any = trial.trainer.streams[update.split]
            require(
                now.step in stream.asked,
                f"the turn on '{update.split}' of step {now.step} does not look at its images",
                "evaluate the objective that is handed in, in every turn",
            )


@attrs.define
class _WatchedOptimizers(TorchOptimizers):
    """Torch optimizers that report when an update is over."""

    finished: Callable[[Update], None] = attrs.field(kw_only=True)

    def step(self, update: Update) -> None:
        """Steps as usual, then reports."""
        TorchOptimizers.step(self, update)
        self.finished(update)


class _WatchedOptimizer:
    """An architecture optimizer that reports when an update begins."""

    def __init__(self, inner: ArchitectureOptimizer, started: Callable[[Update], None]) -> None:
        self._inner, self._started = inner, started

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def compute_gradients(self, update: Update, objective: Objective, torch_optimizers: TorchOptimizers) -> Tensor:
        self._started(update)
        return self._inner.compute_gradients(update, objective, torch_optimizers)


def _nothing(*_: object) -> None:
    """Watches nothing."""


def _spied(
    case: Case,
    before: Callable[[TinySearch, Update], None] = _nothing,
    after: Callable[[TinySearch, Update], None] = _nothing,
    prepare: Callable[[TinySearch], None] = _nothing,
) -> TinySearch:
    """The first steps of a search whose updates are watched; NotApplicable where nothing is trained."""
    case.once(whole)
    trial = begin(case.once(plan).parts(), seed=0)
    trainer = trial.trainer
    if trainer is None:
        raise NotApplicable("nothing is trained")
    prepare(trial)
    watched: Any = _WatchedOptimizer(trial.parts.optimizer, lambda update: before(trial, update))
    trainer.optimizer = watched
    fields = {field.name: getattr(trainer.torch_optimizers, field.name) for field in attrs.fields(TorchOptimizers)}
    trainer.torch_optimizers = _WatchedOptimizers(**fields, finished=lambda update: after(trial, update))
    trial.train(4)
    return trial


def _movers(trial: TinySearch) -> TorchOptimizers:
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    return trial.trainer.torch_optimizers


def _tensors(torch_optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The state of a torch optimizer."""
    return [each for state in torch_optimizer.state.values() for each in state.values() if isinstance(each, Tensor)]
