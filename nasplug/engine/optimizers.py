"""The torch optimizers of the weights and their learning rates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn

from nasplug.engine.rmsprop import RMSprop
from nasplug.values import StepInfo, Training

FACTOR = "factor"
"""Key of a parameter group: the factor of its learning rate."""


def set_learning_rates(weight_optimizer: torch.optim.Optimizer, training: Training, now: StepInfo) -> None:
    """Sets the learning rate of this step: the training's, times the factor of each parameter group."""
    for group in weight_optimizer.param_groups:
        group["lr"] = training.rate(now) * group.get(FACTOR, 1.0)


def make_grouped_optimizer(
    training: Training, parameters: Sequence[nn.Parameter], factors: Sequence[tuple[Collection[int], float]]
) -> torch.optim.Optimizer:
    """The torch optimizer of the weights, with parameter groups of their own for other learning rates.

    `factors` holds pairs of the ids of some parameters and the factor of their learning rate; it is 1 for the others.
    """
    shares: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        factor = next((factor for ids, factor in factors if id(parameter) in ids), 1.0)
        shares.setdefault(factor, []).append(parameter)
    optimizers = [(make_weight_optimizer(training, share), factor) for factor, share in shares.items()]
    whole, _ = optimizers[0]
    for optimizer, factor in optimizers:
        for group in optimizer.param_groups:
            group[FACTOR] = factor
            if optimizer is not whole:
                whole.add_param_group(group)
    return whole


def make_weight_optimizer(training: Training, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """The torch optimizer that the training options name. Not the fused kernels: they round in another order."""
    groups, decay = _decay_groups(training, parameters), training.weight_decay
    if training.optimizer == "rmsprop":
        eps = training.eps or 1e-3
        return RMSprop(
            groups, lr=training.lr, rho=training.rho, eps=eps, momentum=training.momentum, weight_decay=decay
        )
    if training.optimizer == "sgd":
        momentum, nesterov = training.momentum, training.nesterov
        return torch.optim.SGD(
            groups, lr=training.lr, momentum=momentum, weight_decay=decay, nesterov=nesterov, foreach=True
        )
    adam = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    beta1, beta2 = training.betas
    eps = training.eps or 1e-8
    return adam(groups, lr=training.lr, betas=(beta1, beta2), eps=eps, weight_decay=decay, foreach=True)


def _decay_groups(training: Training, parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
    """All parameters in one group, or those of one dimension (biases, scales of norms) in another, without decay."""
    if training.decay_norms:
        return [{"params": list(parameters)}]
    wide = [parameter for parameter in parameters if parameter.ndim > 1]
    flat = [parameter for parameter in parameters if parameter.ndim <= 1]
    return [group for group in ({"params": wide}, {"params": flat, "weight_decay": 0.0}) if group["params"]]
