"""The turns of an architecture optimizer: who moves in them, on which images, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nasplug.parts import ArchitectureOptimizer, Objective, Outputs, TorchOptimizers
from nasplug.parts.optimizer import parameters_of
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import NotApplicable, require
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
                "step only the optimizers of movers.of(turn), and put back what was tried out",
            )

    trial = _spied(case, before=lambda trial, _: before.append(state(trial)), after=after)
    require(moved["weights"], "the weights never change", "step movers.weights in the turns that move weights")
    learns = trial.parts.optimizer.learns_alpha
    require(
        moved["alpha"] == learns,
        f"learns_alpha is {learns}, and alpha {'changes' if moved['alpha'] else 'never changes'} in its turns",
        "declare learns_alpha as it is, and give alpha_mover and a turn with moves_alpha if it is True",
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
            "restore movers.buffers as well as the weights",
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


class _Spy:
    """An optimizer whose turns are watched."""

    def __init__(
        self, inner: ArchitectureOptimizer, before: Callable[[Update], None], after: Callable[[Update], None]
    ) -> None:
        self._inner, self._before, self._after = inner, before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def optimizer_step(self, update: Update, objective: Objective, torch_optimizers: TorchOptimizers) -> Tensor:
        self._before(update)
        loss = self._inner.optimizer_step(update, objective, torch_optimizers)
        self._after(update)
        return loss


def _nothing(*_: object) -> None:
    """Watches nothing."""


def _spied(
    case: Case,
    before: Callable[[TinySearch, Update], None] = _nothing,
    after: Callable[[TinySearch, Update], None] = _nothing,
    prepare: Callable[[TinySearch], None] = _nothing,
) -> TinySearch:
    """A few steps of a search whose turns are watched; NotApplicable where nothing is trained."""
    case.once(whole)
    trial = begin(case.once(plan).parts(), seed=0)
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    prepare(trial)
    spy: Any = _Spy(trial.parts.optimizer, lambda update: before(trial, update), lambda update: after(trial, update))
    trial.trainer.optimizer = spy
    trial.train(4)
    return trial


def _movers(trial: TinySearch) -> TorchOptimizers:
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    return trial.trainer.torch_optimizers


def _tensors(torch_optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The state of a torch optimizer."""
    return [each for state in torch_optimizer.state.values() for each in state.values() if isinstance(each, Tensor)]
