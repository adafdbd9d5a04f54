"""The slot `--optimizer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts.choice import Choices, softmax
from nasplug.parts.search_state import SearchState
from nasplug.parts.space import SearchSpace
from nasplug.values import Found, Rated, StepInfo, Training, Update


@attrs.define
class TorchOptimizers:
    """The torch optimizers of one stage."""

    weights: torch.optim.Optimizer
    """Of the weights, the stage's own parameters included."""
    alpha: torch.optim.Optimizer | None
    """Of alpha; None where alpha is not learnt by gradient."""
    clip_weights: float
    """The largest norm of the network's gradient, and of that of the stage's own parameters; 0: no limit."""
    clip_alpha: float
    """The largest norm of alpha's gradient; 0: no limit."""
    buffers: Sequence[Tensor] = ()
    """The network's buffers (batch-norm statistics): what an optimizer that tries weights out has to put back."""
    stage_parameters: Sequence[nn.Parameter] = ()
    """The parameters of `weights` that are the stage's own, such as adaptors."""

    def of(self, update: Update) -> list[tuple[torch.optim.Optimizer, float]]:
        """The torch optimizers that step in an update, each with the largest norm of its gradient (0: no limit)."""
        stepping: list[tuple[torch.optim.Optimizer, float]] = []
        if update.moves_weights:
            stepping.append((self.weights, self.clip_weights))
        if update.moves_alpha and self.alpha is not None:
            stepping.append((self.alpha, self.clip_alpha))
        return stepping

    def parameters(self, update: Update) -> list[nn.Parameter]:
        """The parameters that an update changes."""
        return [parameter for optimizer, _ in self.of(update) for parameter in parameters_of(optimizer)]

    def clip_gradients(self, update: Update) -> None:
        """Clips the gradients of the network, of the stage's own parameters and of alpha, as far as an update has them.

        Each by a norm of its own, as in the released code of DNAD: large gradients of adaptors leave the network's as
        they are.
        """
        own = {id(parameter) for parameter in self.stage_parameters}
        for optimizer, limit in self.of(update):
            if limit > 0:
                parameters = parameters_of(optimizer)
                nn.utils.clip_grad_norm_([parameter for parameter in parameters if id(parameter) not in own], limit)
                if optimizer is self.weights and own:
                    nn.utils.clip_grad_norm_(self.stage_parameters, limit)

    def step(self, update: Update) -> None:
        """Steps the torch optimizers of an update, and clears the gradients of what they have changed."""
        for optimizer, _ in self.of(update):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All parameters of a torch optimizer, in the order of its groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _leave(_: Sequence[Tensor]) -> None:
    """What a process alone has is the mean already."""


@attrs.frozen
class Objective:
    """What an update minimises. A call gives the loss on the update's own batch, or on that of another split.

    Where several processes share a training, it is the loss on the share of this one, scaled such that the mean over
    processes is that on the whole batch.
    """

    split: str
    evaluate: Callable[[str], Tensor]
    """From a split to the loss on its batch in this step, a scalar with its graph."""
    average: Callable[[Sequence[Tensor]], None] = attrs.field(default=_leave, kw_only=True)
    """Replaces tensors by their means over all processes that share the training."""

    def __call__(self, split: str | None = None) -> Tensor:
        """The loss on the batch of `split` (None: the update's own), a scalar with its graph."""
        return self.evaluate(split or self.split)

    def backward(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Leaves the gradients on the update's own batch in `grad` of the parameters, which must have none before.

        Returns the loss, a detached scalar. On a GPU the computation may be a CUDA graph that is replayed; then the
        gradients are those of the graph, which the next call in the same update overwrites.
        """
        loss = self()
        # Unlike autograd.grad, this gives each parameter a gradient of its own memory, which clipping may scale.
        torch.autograd.backward(loss, inputs=list(parameters))
        return loss.detach()

    def gradients(self, loss: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
        """Gradients, on whole batches, of a loss that a call has given; zeros for what it does not depend on.

        An optimizer that moves weights by a gradient within an update, or divides by its norm, needs it of the whole
        batch at once. What is left in `grad` at the end is averaged by the trainer, and may be averaged before.
        """
        found = torch.autograd.grad(loss, of, allow_unused=True)
        gradients = [
            torch.zeros_like(tensor) if gradient is None else gradient
            for tensor, gradient in zip(of, found, strict=True)
        ]
        self.average(gradients)
        return gradients


class ArchitectureOptimizer(ABC):
    """Which parameters are updated on which split, and how alpha weighs the candidates."""

    learns_alpha: bool = True
    """Whether alpha says anything about the candidates; schedules that rank them need it."""
    tasks: frozenset[str] | None = None
    """The names of the tasks (`Task.name`) that it is for; None: all of them."""
    trains: bool = True
    """Whether there is a supernet to train at all."""
    decides: bool = True
    """Whether `decide` settles on architectures at the end of a search."""
    selector: str = "decoded"
    """The selector that is taken where neither the method nor the user names one."""
    moved_options: Mapping[str, str] = MappingProxyType({})
    """Options that were its own in earlier versions, with the names that they now have as options of that selector."""
    static_graph: bool = False
    """Whether `relax` runs the same operations on the same tensors in every step, and reads none of them on the host.

    Where this holds for all parts of a step, the device may run ahead of the host, and a GPU records a step once as a
    CUDA graph and replays it. A subclass that overrides `relax` has to set it again.
    """

    def check(self, space: SearchSpace, training: Training) -> None:
        """Raises InputError if the space, or weights trained in this way, do not go with this optimizer."""

    def splits(self) -> Mapping[str, float]:
        """How the train split is divided: the name of each share and its size, adding up to 1."""
        return {"train": 1.0}

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Sets alpha at the start of a search, and again when another supernet takes the place of the last."""

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        """The weight of each candidate, (choices, candidates); 0 where not `active`."""
        return softmax(alpha, active)

    def sample(self, space: SearchSpace, choices: Choices, now: StepInfo) -> Tensor | None:
        """The only candidates computed in this step, bool (choices, candidates) on the CPU; None: all that are kept.

        It must depend on the state of this part and on `now` alone, so that a resumed search samples the same.
        """
        return None

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What else the operations of `relax` depend on, where `static_graph` is set; None: unknown for this step.

        Override it where a Python number decides what is computed, such as whether a warm-up is over.
        """
        return ()

    @abstractmethod
    def updates(self, now: StepInfo) -> Sequence[Update]:
        """The updates of this step in order, at least one: which parameters change, on which split.

        Those of step 0 tell on which split the weights learn in all steps, so one of them moves the weights.
        """

    def make_alpha_optimizer(self, alpha: nn.Parameter) -> torch.optim.Optimizer | None:
        """The torch optimizer of alpha, if alpha is learnt by gradient."""
        return None

    def clip_alpha(self) -> float:
        """The largest norm of alpha's gradient; 0: no limit."""
        return 0.0

    def compute_gradients(self, update: Update, objective: Objective, torch_optimizers: TorchOptimizers) -> Tensor:
        """Leaves the gradients of an update in `grad` of the parameters that it changes; returns its loss, detached.

        The trainer then clips them and steps the torch optimizers. Override this where the gradient is not that of
        the loss on the update's own batch (second-order DARTS).
        """
        return objective.backward(torch_optimizers.parameters(update))

    def decide(self, search_state: SearchState) -> Iterator[Found | Rated]:
        """What the search found at its end, besides the trail: by default the decoded supernet, unless just left.

        The selector `decoded` leaves it, and others may begin with it.
        """
        if self.decides and search_state.net is not None:
            choices, snapshots = search_state.net.choices, search_state.snapshots
            genotype = search_state.space.decode(choices, choices.weights().detach())
            if not snapshots or snapshots[-1].snapshot != genotype:
                yield Found(genotype=genotype, step=snapshots[-1].step if snapshots else 0, reason="decoded")
