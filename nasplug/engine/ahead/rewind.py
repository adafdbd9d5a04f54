"""Going back to an earlier moment of a phase, within one process."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from nasplug.engine.random_state import RandomState
from nasplug.engine.trainer import Trainer
from nasplug.parts import read_state, write_state


class Rewind:
    """Everything that steps change, as it was when last noted.

    Tensors stay in their places, so that what refers to them stays right. It `holds` as long as no module was removed
    or added and the torch optimizers have the same state tensors.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._phase = trainer
        self._movers = tuple(
            torch_optimizer
            for torch_optimizer in (trainer.torch_optimizers.weights, trainer.torch_optimizers.alpha)
            if torch_optimizer is not None
        )
        self._version = trainer.version
        self._states = [_shallow(torch_optimizer.state) for torch_optimizer in self._movers]
        changing = [each for net in (trainer.net, *trainer.stages) for each in (*net.parameters(), *net.buffers())]
        changing += [one for states in self._states for state in states.values() for one in _tensors(state)]
        groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for tensor in changing:
            groups.setdefault((tensor.device, tensor.dtype), []).append(tensor.detach())
        self._tensors = [(group, [torch.empty_like(each) for each in group]) for group in groups.values()]
        self.note()

    @property
    def holds(self) -> bool:
        """Whether it knows all that the next step changes."""
        counts = [
            sum(1 for state in torch_optimizer.state.values() for _ in _tensors(state))
            for torch_optimizer in self._movers
        ]
        known = [sum(1 for state in states.values() for _ in _tensors(state)) for states in self._states]
        return self._version == self._phase.version and counts == known

    @torch.no_grad()
    def note(self) -> None:
        """Takes down the present."""
        for tensors, copies in self._tensors:
            torch._foreach_copy_(copies, tensors)
        self._parts = [(part, deepcopy(read_state(part))) for part in (self._phase.optimizer, self._phase.schedule)]
        self._random = RandomState.capture(self._phase.device)

    @torch.no_grad()
    def restore(self) -> None:
        """Goes back to what was noted."""
        for tensors, copies in self._tensors:
            torch._foreach_copy_(tensors, copies)
        for torch_optimizer, states in zip(self._movers, self._states, strict=True):
            torch_optimizer.state.clear()
            torch_optimizer.state.update(_shallow(states))
        for part, state in self._parts:
            write_state(part, deepcopy(state))
        self._random.restore()
        self._phase.went_back()


def _shallow(states: Mapping[Any, Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {parameter: dict(state) for parameter, state in states.items()}


def _tensors(state: Mapping[str, Any]) -> list[Tensor]:
    return [value for value in state.values() if isinstance(value, Tensor)]
