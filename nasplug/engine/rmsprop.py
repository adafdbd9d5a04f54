"""RMSprop as TensorFlow has it, with which EfficientNet and its relatives are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class RMSprop(torch.optim.Optimizer):
    """RMSprop with momentum, in the form of TensorFlow.

        s <- rho s + (1 - rho) g^2,    v <- momentum v + lr g / sqrt(s + eps),    w <- w - v,

    where g includes the weight decay, s starts at 1 and v at 0. It differs from `torch.optim.RMSprop` in that eps
    stands inside the root, that s starts at 1, so that first steps are short, and that the rate enters the momentum,
    so that a change of the rate leaves past steps as they were.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        rho: float,
        eps: float,
        momentum: float,
        weight_decay: float,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step for all parameters that have a gradient; `closure`, if given, computes the loss before it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moving = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not moving:
                continue
            for parameter in moving:
                if parameter not in self.state:
                    self.state[parameter] = {
                        "square_avg": torch.ones_like(parameter),
                        "momentum_buffer": torch.zeros_like(parameter),
                    }
            squares = [self.state[parameter]["square_avg"] for parameter in moving]
            buffers = [self.state[parameter]["momentum_buffer"] for parameter in moving]
            gradients = torch._foreach_add(
                [parameter.grad for parameter in moving], moving, alpha=group["weight_decay"]
            )
            torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - group["rho"])
            roots = torch._foreach_sqrt(torch._foreach_add(squares, group["eps"]))
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_addcdiv_(buffers, gradients, roots, group["lr"])
            torch._foreach_sub_(moving, buffers)
        return loss
