"""The updates of an architecture optimizer: what they change, on which images, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from nasplug.parts import ArchitectureOptimizer, Objective, Outputs, TorchOptimizers
from nasplug.parts.optimizer import parameters_of
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, whole
from nasplug.values import Update


@check("optimizer")
def each_update_changes_only_what_it_names(case: Case) -> None:
    """An update changes what it names, weights or alpha or both, and nothing else.

    The impure step of a bilevel search: one optimizer holds the parameters of both (darts#37, darts#75).
    """

    def state(search: TinySearch) -> tuple[list[Tensor], list[Tensor]]:
        torch_optimizers = _torch_optimizers(search)
        weights = [*parameters_of(torch_optimizers.weights), *_tensors(torch_optimizers.weights)]
        alpha = [search.net.choices.alpha, *(_tensors(torch_optimizers.alpha) if torch_optimizers.alpha else [])]
        return [tensor.detach().clone() for tensor in weights], [tensor.detach().clone() for tensor in alpha]

    moved = {"weights": False, "alpha": False}
    before: list[tuple[list[Tensor], list[Tensor]]] = []

    def after(search: TinySearch, update: Update) -> None:
        names = zip(("weights", "alpha"), before.pop(), state(search), strict=True)
        for name, ours, theirs in names:
            changed = len(ours) != len(theirs) or any(
                not torch.equal(one, other) for one, other in zip(ours, theirs, strict=False)
            )
            named = update.moves_weights if name == "weights" else update.moves_alpha
            moved[name] |= changed and named
            require(
                named or not changed,
                f"an update on '{update.split}' that does not move {name} changes {name} or the state of its optimizer",
                "leave gradients on the parameters of the update only, and put back what was tried out",
            )

    search = _spied(case, before=lambda search, _: before.append(state(search)), after=after)
    require(
        moved["weights"],
        "the weights never change",
        "name the weights in an update, and leave gradients in their `grad`",
    )
    learns = search.parts.optimizer.learns_alpha
    require(
        moved["alpha"] == learns,
        f"learns_alpha is {learns}, and alpha {'changes' if moved['alpha'] else 'never changes'} in its updates",
        "declare learns_alpha as it is, and give make_alpha_optimizer and an update with moves_alpha if it is True",
    )


@check("optimizer")
def leaves_no_gradients_behind(case: Case) -> None:
    """After an update no parameter has a gradient left.

    Gradients that the update of alpha leaves on the weights are added to those of their own update.
    """

    def after(search: TinySearch, update: Update) -> None:
        named = search.net.named_parameters()
        left = [name for name, weight in named if weight.grad is not None and bool(weight.grad.any())]
        require(
            not left,
            f"after an update on '{update.split}' there are gradients on {', '.join(left[:3])}",
            "take gradients of those who move only (autograd.grad, or backward with inputs=), and clear them",
        )

    _spied(case, after=after)


@check("optimizer")
def gives_its_loss_without_a_graph(case: Case) -> None:
    """`compute_gradients` returns the loss of its update, a finite float32 scalar that is detached.

    With its graph it keeps the activations of its step in memory until it is read, on a GPU several steps later.
    """

    def computed(update: Update, loss: Tensor) -> None:
        require(
            isinstance(loss, Tensor) and loss.ndim == 0 and loss.dtype == torch.float32 and bool(loss.isfinite()),
            f"the loss of an update on '{update.split}' is {loss!r:.80}",
            "return the loss as the objective gives it",
        )
        require(
            not loss.requires_grad,
            f"the loss of an update on '{update.split}' is returned with its graph",
            "return loss.detach()",
        )

    _spied(case, computed=computed)


@check("optimizer")
def puts_buffers_back(case: Case) -> None:
    """Where an update tries other weights out, the network's buffers are put back with them.

    Batch norms that saw weights displaced by a virtual step keep statistics of a network that never was.
    """
    before: list[int] = []

    def after(search: TinySearch, update: Update) -> None:
        passes = int(search.net.get_buffer("passes")) - before.pop()
        require(
            passes <= 1,
            f"the buffers of the network have seen {passes} passes in one update on '{update.split}'",
            "restore torch_optimizers.buffers as well as the weights",
        )

    def note(search: TinySearch, _: Update) -> None:
        before.append(int(search.net.get_buffer("passes")))

    def prepare(search: TinySearch) -> None:
        net, outputs = search.net, search.net.outputs

        def counted(images: Tensor) -> Outputs:
            net.get_buffer("passes").add_(1)
            return outputs(images)

        net.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        net.outputs = counted  # type: ignore[method-assign]
        if search.trainer is not None:
            search.trainer.build_torch_optimizers()  # they hold the buffers

    _spied(case, before=note, after=after, prepare=prepare)


@check("optimizer")
def sees_new_images_in_every_step(case: Case) -> None:
    """In every step each update evaluates its objective on the images of that step.

    A validation batch that is fetched once serves for the whole search (tinyml-tensorlab#15), and alpha learns it by
    heart.
    """
    search = case.once(whole)
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    clock = search.trainer.clock
    for now in clock.since(0):
        for update in search.parts.optimizer.updates(now):
            stream: Any = search.trainer.streams[update.split]
            require(
                now.step in stream.asked,
                f"the update on '{update.split}' of step {now.step} does not look at its images",
                "evaluate the objective that is handed in, in every update",
            )


@check("optimizer")
def respects_the_clipping_of_gradients(case: Case) -> None:
    """By SGD without momentum, the weights move by no more than learning rate times `clip` in an update.

    An optimizer that steps by itself, or that adds to gradients after they were clipped, ignores an option of the
    search.
    """
    case.once(whole)  # a search that always fails does not fail for what is checked here
    limit, parts = 1e-3, case.once(plan).parts()
    training = attrs.evolve(
        parts.training,
        optimizer="sgd",
        lr=1.0,
        lr_schedule="constant",
        momentum=0.0,
        nesterov=False,
        weight_decay=0.0,
        clip=limit,
    )
    search = begin(attrs.evolve(parts, training=training), seed=0)
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    weights = [parameter for name, parameter in search.net.named_parameters() if name != "choices.alpha"]
    for count, now in enumerate(search.trainer.clock.since(0), 1):
        before = [weight.detach().clone() for weight in weights]
        updates = sum(update.moves_weights for update in search.parts.optimizer.updates(now))
        search.train(count)
        pairs = zip(weights, before, strict=True)
        moved = float(sum((weight.detach() - old).square().sum() for weight, old in pairs)) ** 0.5
        require(
            moved <= 1.01 * updates * limit,
            f"with lr=1 and clip={limit:g} the weights move by {moved:.2g} in step {now.step}",
            "leave gradients in `grad`, and clipping and the step to the trainer",
        )


@attrs.define
class _WatchedOptimizers(TorchOptimizers):
    """Torch optimizers that report when an update is over."""

    finished: Callable[[Update], None] = attrs.field(kw_only=True)

    def step(self, update: Update) -> None:
        """Steps as usual, then reports."""
        TorchOptimizers.step(self, update)
        self.finished(update)


class _WatchedOptimizer:
    """An architecture optimizer that reports when an update begins, and the loss that it gives."""

    def __init__(
        self,
        inner: ArchitectureOptimizer,
        started: Callable[[Update], None],
        computed: Callable[[Update, Tensor], None],
    ) -> None:
        self._inner, self._started, self._computed = inner, started, computed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def compute_gradients(self, update: Update, objective: Objective, torch_optimizers: TorchOptimizers) -> Tensor:
        self._started(update)
        loss = self._inner.compute_gradients(update, objective, torch_optimizers)
        self._computed(update, loss)
        return loss


def _nothing(*_: object) -> None:
    """Watches nothing."""


def _spied(
    case: Case,
    before: Callable[[TinySearch, Update], None] = _nothing,
    after: Callable[[TinySearch, Update], None] = _nothing,
    computed: Callable[[Update, Tensor], None] = _nothing,
    prepare: Callable[[TinySearch], None] = _nothing,
) -> TinySearch:
    """The first steps of a search whose updates are watched; NotApplicable where nothing is trained."""
    case.once(whole)
    search = begin(case.once(plan).parts(), seed=0)
    trainer = search.trainer
    if trainer is None:
        raise NotApplicable("nothing is trained")
    prepare(search)
    watched: Any = _WatchedOptimizer(search.parts.optimizer, lambda update: before(search, update), computed)
    trainer.optimizer = watched
    fields = {field.name: getattr(trainer.torch_optimizers, field.name) for field in attrs.fields(TorchOptimizers)}
    trainer.torch_optimizers = _WatchedOptimizers(**fields, finished=lambda update: after(search, update))
    search.train(4)
    return search


def _torch_optimizers(search: TinySearch) -> TorchOptimizers:
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    return search.trainer.torch_optimizers


def _tensors(torch_optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The state of a torch optimizer."""
    return [value for state in torch_optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
