"""Going back to an earlier step of a trainer, within one process."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from nasplug.engine.trainer import Trainer
from nasplug.parts import read_state, write_state


class Rewind:
    """Everything that steps change, as it was when last saved.

    Tensors stay in their places, so that whatever refers to them stays right.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._present = trainer.present
        self._torch_optimizers = trainer.torch_optimizers
        both = (trainer.torch_optimizers.weights, trainer.torch_optimizers.alpha)
        self._optimizers = tuple(optimizer for optimizer in both if optimizer is not None)
        self._states = [_shallow_copy(optimizer.state) for optimizer in self._optimizers]
        changing = [tensor for net in (trainer.net, *trainer.stages) for tensor in (*net.parameters(), *net.buffers())]
        changing += [tensor for states in self._states for state in states.values() for tensor in _tensors(state)]
        groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for tensor in changing:
            groups.setdefault((tensor.device, tensor.dtype), []).append(tensor.detach())
        self._tensors = [(group, [torch.empty_like(tensor) for tensor in group]) for group in groups.values()]
        self.save()

    @property
    def is_complete(self) -> bool:
        """Whether it covers all that the next step changes: no module was removed, no torch optimizer has new state."""
        counts = [sum(len(_tensors(state)) for state in optimizer.state.values()) for optimizer in self._optimizers]
        known = [sum(len(_tensors(state)) for state in states.values()) for states in self._states]
        same = self._torch_optimizers is self._trainer.torch_optimizers and self._present == self._trainer.present
        return same and counts == known

    @torch.no_grad()
    def save(self) -> None:
        """Copies the present state."""
        for tensors, copies in self._tensors:
            torch._foreach_copy_(copies, tensors)
        self._parts = [(part, deepcopy(read_state(part))) for part in (self._trainer.optimizer, self._trainer.schedule)]
        device = self._trainer.device
        self._random = torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    @torch.no_grad()
    def restore(self) -> None:
        """Goes back to the state that was last saved."""
        for tensors, copies in self._tensors:
            torch._foreach_copy_(tensors, copies)
        for optimizer, states in zip(self._optimizers, self._states, strict=True):
            optimizer.state.clear()
            optimizer.state.update(_shallow_copy(states))
        for part, state in self._parts:
            write_state(part, deepcopy(state))
        on_cpu, on_cuda = self._random
        torch.set_rng_state(on_cpu)
        if on_cuda is not None:
            torch.cuda.set_rng_state(on_cuda, self._trainer.device)
        self._trainer.choices.refresh()


def _shallow_copy(states: Mapping[Any, Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {parameter: dict(state) for parameter, state in states.items()}


def _tensors(state: Mapping[str, Any]) -> list[Tensor]:
    return [value for value in state.values() if isinstance(value, Tensor)]
