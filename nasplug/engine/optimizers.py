"""The torch optimizer of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from nasplug.engine.rmsprop import RMSprop
from nasplug.values import Training


def make_weight_optimizer(training: Training, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that the training options name. Fused kernels are left off: they round in another order."""
    groups, decay = _groups(training, parameters), training.weight_decay
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


def _groups(training: Training, parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
    """All parameters in one group, or those of one dimension (biases, scales of norms) apart, without decay."""
    if training.decay_norms:
        return [{"params": list(parameters)}]
    wide = [each for each in parameters if each.ndim > 1]
    flat = [each for each in parameters if each.ndim <= 1]
    return [group for group in ({"params": wide}, {"params": flat, "weight_decay": 0.0}) if group["params"]]
