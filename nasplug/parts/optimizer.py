"""The slot `--optimizer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts.batch import Batch
from nasplug.parts.choice import Choices, softmax
from nasplug.parts.network import Supernet
from nasplug.parts.rating import Rater
from nasplug.parts.space import SearchSpace
from nasplug.values import Found, ImageShape, Now, Rated, Step, Training, Turn


@attrs.define
class Movers:
    """The torch optimizers of one stage and the parameters that each of them moves."""

    weights: torch.optim.Optimizer
    alpha: torch.optim.Optimizer | None
    clip_weights: float
    clip_alpha: float
    buffers: Sequence[Tensor] = ()
    """The network's buffers (batch-norm statistics): what an optimizer that tries weights out has to put back."""

    def of(self, turn: Turn) -> list[tuple[torch.optim.Optimizer, float]]:
        """The optimizers that move in this turn, each with the largest norm of its gradient (0: no limit)."""
        moving: list[tuple[torch.optim.Optimizer, float]] = []
        if turn.moves_weights:
            moving.append((self.weights, self.clip_weights))
        if turn.moves_alpha and self.alpha is not None:
            moving.append((self.alpha, self.clip_alpha))
        return moving


def parameters_of(mover: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All parameters that an optimizer moves, in the order of its groups."""
    return [parameter for group in mover.param_groups for parameter in group["params"]]


@attrs.frozen
class Objective:
    """What a turn minimises. Calling it gives the loss on the turn's own batch, or on that of another split."""

    split: str
    evaluate: Callable[[str], Tensor]

    def __call__(self, split: str | None = None) -> Tensor:
        """The loss, a scalar with its graph."""
        return self.evaluate(split or self.split)

    def backward(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Leaves the gradients on the turn's own batch in `grad` of the parameters, which have none before.

        Returns the loss, a detached scalar. On a GPU this is where a step is recorded and replayed; then the gradients
        are those of the recording, which the next call in the same turn overwrites.
        """
        loss = self()
        # Unlike autograd.grad, this gives each parameter a gradient of its own memory, which clipping may scale.
        torch.autograd.backward(loss, inputs=list(parameters))
        return loss.detach()


@attrs.frozen(eq=False)
class Searched:
    """What a search has come to when its training is over: everything that a decision can be made from."""

    space: SearchSpace
    shape: ImageShape
    net: Supernet | None
    """The trained supernet; None if the optimizer trains none."""
    trail: Sequence[Step]
    """The steps that carry a snapshot."""
    images: Callable[[str, int], Iterator[Batch]]
    """So many images of a split at most, in a fixed order, in batches, not augmented."""
    seed: int
    max_params: int | None = None
    max_macs: int | None = None
    raters: Sequence[Rater] = ()
    """What rates paths through the blocks; one for the whole network, or one for each block."""
    rated: Sequence[Rated] = ()
    """What was rated before the search was interrupted; need not be rated again."""
    sized: SearchSpace = attrs.field(default=attrs.Factory(lambda self: self.space, takes_self=True))
    """The space at the size at which networks are retrained, to which the limits apply."""


class ArchitectureOptimizer(ABC):
    """Who moves on which data, and how architecture parameters weigh the candidates."""

    learns_alpha: bool = True
    """Whether alpha says anything about the candidates; schedules that rank them need it."""
    trains: bool = True
    """Whether there is a supernet to train at all."""
    decides: bool = True
    """Whether it settles on architectures at the end of a search."""

    def check(self, space: SearchSpace, training: Training) -> None:
        """Raises InputError if the space, or weights trained in this way, do not go with this optimizer."""

    def check_limits(self, searched: Searched) -> None:
        """Raises InputError if no architecture can keep the limits, where that is certain before the training."""

    def splits(self) -> Mapping[str, float]:
        """How the train split is divided: the name of each share and its size, adding up to 1."""
        return {"train": 1.0}

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Sets alpha at the start of a search."""

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        """The weight of each candidate, (choices, candidates); 0 where not `active`."""
        return softmax(alpha, active)

    def sample(self, space: SearchSpace, choices: Choices, now: Now) -> Tensor | None:
        """The candidates that alone count in this step, bool (choices, candidates) on the CPU; None: all that are kept.

        A function of the state of this part and of `now`, so that a resumed search draws the same.
        """
        return None

    def graph_key(self, now: Now) -> Hashable | None:
        """What the operations of `relax` depend on, beyond tensors that stay in place; None (the default): unknown.

        Where all parts know, the device may run ahead of the host, and while all keys stay equal a GPU replays a step
        that it has recorded. Who gives a key reads no tensor on the host while a step is made.
        """
        return None

    @abstractmethod
    def turns(self, now: Now) -> Sequence[Turn]:
        """Who moves on which split in this step, in order."""

    def alpha_mover(self, alpha: nn.Parameter) -> torch.optim.Optimizer | None:
        """The torch optimizer of alpha, if alpha is learnt by gradient."""
        return None

    def clip_alpha(self) -> float:
        """The largest norm of alpha's gradient; 0: no limit."""
        return 0.0

    def descend(self, turn: Turn, objective: Objective, movers: Movers) -> Tensor:
        """One optimizer step for those who move in this turn; returns the loss before it, a detached scalar."""
        moving = movers.of(turn)
        groups = [parameters_of(mover) for mover, _ in moving]
        loss = objective.backward([parameter for group in groups for parameter in group])
        for (mover, limit), group in zip(moving, groups, strict=True):
            if limit > 0:
                nn.utils.clip_grad_norm_(group, limit)
            mover.step()
            mover.zero_grad(set_to_none=True)
        return loss

    def decide(self, searched: Searched) -> Iterator[Found | Rated]:
        """What the search found at its end, besides the trail: by default the decoded supernet, unless just left."""
        if searched.net is not None:
            choices, trail = searched.net.choices, searched.trail
            genotype = searched.space.decode(choices, choices.weights().detach())
            if not trail or trail[-1].snapshot != genotype:
                yield Found(genotype=genotype, step=trail[-1].step if trail else 0, reason="decoded")
