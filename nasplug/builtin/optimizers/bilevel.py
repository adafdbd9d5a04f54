"""Bilevel optimisation of DARTS (Liu, Simonyan & Yang, DARTS: Differentiable Architecture Search, ICLR 2019).

    min_alpha L_alpha(w*(alpha), alpha)   with   w*(alpha) = argmin_w L_weights(w, alpha)

Both losses are the task's; the train split is divided between them. Each step updates alpha, then the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, Choices, Objective, SearchSpace, TorchOptimizers, option
from nasplug.parts.optimizer import parameters_of
from nasplug.values import StepInfo, Training, Update

WEIGHTS, ALPHA = "train.weights", "train.alpha"
RADIUS = 0.01
"""Length of the finite-difference step over all weights, as in DARTS."""


@attrs.define
class Bilevel(ArchitectureOptimizer):
    """Alternating updates: alpha on one share of the training images, the weights on the other.

    First order replaces w*(alpha) by w. Second order replaces it by the weights after one step of SGD,

        w' = w - xi (mu v + dL_weights/dw + wd w),      xi: learning rate, mu: momentum, v: momentum buffer,

    and adds the gradient through that step, a Hessian-vector product by central differences:

        dL_alpha(w')/dalpha - xi [dL_weights(w+)/dalpha - dL_weights(w-)/dalpha] / (2 eps),
        w+- = w +- eps dL_alpha/dw',      eps = 0.01 / ||dL_alpha/dw'||.

    A step with Nesterov's momentum moves the weights by xi (1 + mu) times their gradient (and by xi mu^2 v), so xi (1 +
    mu) takes the place of xi in the last term. Where groups of weights have learning rates of their own, the part of
    dL_alpha/dw' that belongs to a group is scaled by its rate over xi, the largest of the rates, so that the result is
    still the gradient through the step taken.
    """

    static_graph = True

    order: str = option("first", "approximation of the gradient of alpha", choices=("first", "second"))
    alpha_lr: float = option(3e-4, "learning rate of alpha (adam)", above=0)
    alpha_betas: tuple[float, ...] = option(
        (0.5, 0.999), "averaging constants of adam for alpha", at_least=0, below=1, length=2
    )
    alpha_weight_decay: float = option(1e-3, "weight decay of alpha", at_least=0)
    alpha_init: float = option(1e-3, "standard deviation of alpha at the start", at_least=0)
    alpha_share: float = option(0.5, "share of the training images on which alpha is updated", above=0, below=1)
    warm_up: int = option(0, "epochs at the start of each stage in which only the weights are updated", at_least=0)

    def check(self, space: SearchSpace, training: Training) -> None:
        """Raises InputError for second order with another optimizer of the weights than SGD, whose step it follows.

        And if the warm-up leaves no epoch in which alpha learns.
        """
        if self.warm_up >= training.epochs:
            raise InputError(
                f"optimizer.warm_up = {self.warm_up} leaves none of the search.epochs = {training.epochs} for learning "
                f"alpha; set a smaller optimizer.warm_up, or more search.epochs."
            )
        if self.order == "second" and training.optimizer != "sgd":
            raise _not_sgd(training.optimizer)

    def splits(self) -> Mapping[str, float]:
        """One share for the weights, one for alpha."""
        return {WEIGHTS: 1 - self.alpha_share, ALPHA: self.alpha_share}

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Samples alpha from a narrow normal distribution, so that the weights are nearly uniform."""
        alpha = torch.randn(choices.alpha.shape, generator=generator) * self.alpha_init
        with torch.no_grad():
            choices.alpha.copy_(alpha)

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """Alpha first, then the weights, in every step after the warm-up; a supernet trained further needs none."""
        weights = Update(WEIGHTS, moves_weights=True, moves_alpha=False)
        if now.epoch < self.warm_up and not now.further:
            return (weights,)
        return (Update(ALPHA, moves_weights=False, moves_alpha=True), weights)

    def make_alpha_optimizer(self, alpha: nn.Parameter) -> torch.optim.Optimizer:
        """Adam."""
        first, second = self.alpha_betas
        return torch.optim.Adam([alpha], lr=self.alpha_lr, betas=(first, second), weight_decay=self.alpha_weight_decay)

    def compute_gradients(self, update: Update, objective: Objective, torch_optimizers: TorchOptimizers) -> Tensor:
        """The gradients of an update. For alpha in second order, the loss returned is that at w', not at w."""
        if self.order == "first" or not update.moves_alpha or torch_optimizers.alpha is None:
            return ArchitectureOptimizer.compute_gradients(self, update, objective, torch_optimizers)
        sgd = torch_optimizers.weights
        if not isinstance(sgd, torch.optim.SGD):
            raise _not_sgd(type(sgd).__name__)
        alphas, weights = parameters_of(torch_optimizers.alpha), parameters_of(sgd)
        with restore_afterwards([*weights, *torch_optimizers.buffers]):
            origin = [weight.detach().clone() for weight in weights]
            virtual_step(sgd, objective.gradients(objective(WEIGHTS), weights))
            loss = objective()
            gradients = objective.gradients(loss, [*alphas, *weights])
            rate = max(_gradient_rate(group) for group in sgd.param_groups)
            outer, direction = gradients[: len(alphas)], _scale_by_rates(sgd, gradients[len(alphas) :], rate)
            epsilon = RADIUS / torch.cat([part.flatten() for part in direction]).norm().clamp_min(1e-12)
            above = objective.gradients(_displaced_loss(objective, weights, origin, direction, epsilon), alphas)
            below = objective.gradients(_displaced_loss(objective, weights, origin, direction, -epsilon), alphas)
        for alpha, direct, plus, minus in zip(alphas, outer, above, below, strict=True):
            alpha.grad = direct - rate * (plus - minus) / (2 * epsilon)
        return loss.detach()


def _not_sgd(optimizer: str) -> InputError:
    return InputError(
        f"Second-order bilevel search follows a step of SGD, but the weights are trained with {optimizer}; "
        f'set search.optimizer = "sgd", or optimizer.order = "first".'
    )


@contextmanager
def restore_afterwards(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Puts the values of tensors back, bit for bit, at the end of the block, also after an error."""
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)


@torch.no_grad()
def virtual_step(sgd: torch.optim.SGD, gradients: Iterable[Tensor]) -> None:
    """Takes the step that SGD would take, in place, without touching its state."""
    remaining = iter(gradients)
    for group in sgd.param_groups:
        for weight in group["params"]:
            step = next(remaining).add(weight, alpha=group["weight_decay"])
            velocity = sgd.state[weight].get("momentum_buffer") if weight in sgd.state else None
            moved = step if velocity is None else step.add(velocity, alpha=group["momentum"])
            weight.sub_(step.add(moved, alpha=group["momentum"]) if group["nesterov"] else moved, alpha=group["lr"])


def _gradient_rate(group: Mapping[str, Any]) -> float:
    """How far a step of SGD moves the weights of a group for each unit of their gradient, -dw'/dg."""
    rate: float = group["lr"]
    return rate * (1 + group["momentum"]) if group["nesterov"] else rate


def _scale_by_rates(sgd: torch.optim.SGD, direction: Sequence[Tensor], rate: float) -> list[Tensor]:
    """The parts of a direction, each times the gradient's rate of its weight over `rate`."""
    rates = [_gradient_rate(group) for group in sgd.param_groups for _ in group["params"]]
    return [part if own == rate else part * (own / rate) for part, own in zip(direction, rates, strict=True)]


def _displaced_loss(
    objective: Objective, weights: Sequence[Tensor], origin: Sequence[Tensor], direction: Sequence[Tensor], by: Tensor
) -> Tensor:
    """The loss of the weights at w+-: `origin` plus `by` times `direction`."""
    with torch.no_grad():
        for weight, start, part in zip(weights, origin, direction, strict=True):
            weight.copy_(start + by * part)
    return objective(WEIGHTS)
