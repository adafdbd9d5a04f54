"""The turns of an architecture optimizer: who moves in them, on which images, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nasplug.parts import ArchitectureOptimizer, Movers, Objective, Outputs
from nasplug.parts.optimizer import parameters_of
from nasplug.testing.case import Case
from nasplug.testing.check import NotApplicable, check, require
from nasplug.testing.partners import plan
from nasplug.testing.trial import Trial, begin, whole
from nasplug.values import Turn


@check("optimizer")
def each_turn_moves_only_whom_it_names(case: Case) -> None:
    """A turn of the weights leaves alpha as it is, a turn of alpha leaves the weights, and whoever is named moves.

    The impure step of a bilevel search: one optimizer holds the parameters of both (darts#37, darts#75).
    """

    def state(trial: Trial) -> tuple[list[Tensor], list[Tensor]]:
        movers = _movers(trial)
        weights = [*parameters_of(movers.weights), *_tensors(movers.weights)]
        alpha = [trial.net.choices.alpha, *(_tensors(movers.alpha) if movers.alpha else [])]
        return [each.detach().clone() for each in weights], [each.detach().clone() for each in alpha]

    moved = {"weights": False, "alpha": False}
    before: list[tuple[list[Tensor], list[Tensor]]] = []

    def after(trial: Trial, turn: Turn) -> None:
        names = zip(("weights", "alpha"), before.pop(), state(trial), strict=True)
        for name, ours, theirs in names:
            changed = len(ours) != len(theirs) or any(
                not torch.equal(one, other) for one, other in zip(ours, theirs, strict=False)
            )
            named = turn.moves_weights if name == "weights" else turn.moves_alpha
            moved[name] |= changed and named
            require(
                named or not changed,
                f"a turn on '{turn.split}' that does not move {name} changes {name} or the state of its optimizer",
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

    def after(trial: Trial, turn: Turn) -> None:
        left = [name for name, each in trial.net.named_parameters() if each.grad is not None and bool(each.grad.any())]
        require(
            not left,
            f"after a turn on '{turn.split}' there are gradients on {', '.join(left[:3])}",
            "take gradients of those who move only (autograd.grad, or backward with inputs=), and clear them",
        )

    _spied(case, after=after)


@check("optimizer")
def puts_buffers_back(case: Case) -> None:
    """Where a turn tries other weights out, the network's buffers are put back with them.

    Batch norms that saw weights displaced by a virtual step keep statistics of a network that never was.
    """
    before: list[int] = []

    def after(trial: Trial, turn: Turn) -> None:
        passes = int(trial.net.get_buffer("passes")) - before.pop()
        require(
            passes <= 1,
            f"the buffers of the network have seen {passes} passes in one turn on '{turn.split}'",
            "restore movers.buffers as well as the weights",
        )

    def note(trial: Trial, _: Turn) -> None:
        before.append(int(trial.net.get_buffer("passes")))

    def prepare(trial: Trial) -> None:
        net, outputs = trial.net, trial.net.outputs

        def counted(images: Tensor) -> Outputs:
            net.get_buffer("passes").add_(1)
            return outputs(images)

        net.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        net.outputs = counted  # type: ignore[method-assign]
        if trial.phase is not None:
            trial.phase.build_movers()  # they hold the buffers

    _spied(case, before=note, after=after, prepare=prepare)


@check("optimizer")
def sees_new_images_in_every_step(case: Case) -> None:
    """In every step each turn evaluates its objective on the images of that step.

    A validation batch that is fetched once serves for the whole search (tinyml-tensorlab#15), and alpha learns it by
    heart.
    """
    trial = case.once(whole)
    if trial.phase is None:
        raise NotApplicable("nothing is trained")
    clock = trial.phase.clock
    for now in clock.since(0):
        for turn in trial.parts.optimizer.turns(now):
            stream: Any = trial.phase.streams[turn.split]
            require(
                now.step in stream.asked,
                f"the turn on '{turn.split}' of step {now.step} does not look at its images",
                "evaluate the objective that is handed in, in every turn",
            )


class _Spy:
    """An optimizer whose turns are watched."""

    def __init__(
        self, inner: ArchitectureOptimizer, before: Callable[[Turn], None], after: Callable[[Turn], None]
    ) -> None:
        self._inner, self._before, self._after = inner, before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def descend(self, turn: Turn, objective: Objective, movers: Movers) -> Tensor:
        self._before(turn)
        loss = self._inner.descend(turn, objective, movers)
        self._after(turn)
        return loss


def _nothing(*_: object) -> None:
    """Watches nothing."""


def _spied(
    case: Case,
    before: Callable[[Trial, Turn], None] = _nothing,
    after: Callable[[Trial, Turn], None] = _nothing,
    prepare: Callable[[Trial], None] = _nothing,
) -> Trial:
    """A few steps of a search whose turns are watched; NotApplicable where nothing is trained."""
    case.once(whole)
    trial = begin(case.once(plan).parts(), seed=0)
    if trial.phase is None:
        raise NotApplicable("nothing is trained")
    prepare(trial)
    spy: Any = _Spy(trial.parts.optimizer, lambda turn: before(trial, turn), lambda turn: after(trial, turn))
    trial.phase.optimizer = spy
    trial.train(4)
    return trial


def _movers(trial: Trial) -> Movers:
    if trial.phase is None:
        raise NotApplicable("nothing is trained")
    return trial.phase.movers


def _tensors(mover: torch.optim.Optimizer) -> list[Tensor]:
    """The state of a torch optimizer."""
    return [each for state in mover.state.values() for each in state.values() if isinstance(each, Tensor)]
