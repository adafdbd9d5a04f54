"""The torch optimizer of the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nasplug.values import Training


def weights_mover(training: Training, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD or Adam as the training options say. Fused kernels are left off: they round in another order."""
    if training.optimizer == "adam":
        beta1, beta2 = training.betas
        return torch.optim.Adam(
            parameters, lr=training.lr, betas=(beta1, beta2), weight_decay=training.weight_decay, foreach=True
        )
    return torch.optim.SGD(
        parameters, lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay, foreach=True
    )
