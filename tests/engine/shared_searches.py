"""Searches of each method, small and in float64, on the images of one rank of several or on all of them."""

from __future__ import annotations

from functools import cache
from random import Random

import attrs
import torch
from nasplug_dna.blockwise import Blockwise
from nasplug_dnad.features import Features
from nasplug_sd_darts.voting import Voting
from nasplug_snps.shrink import Shrink
from torch import Tensor

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import ALPHA, Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.engine import Trainer, train
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.engine.ranks import ALONE, Ranks
from nasplug.errors import RunFailure
from nasplug.parts import Batch, Choices
from nasplug.values import ImageShape, Step, StepInfo, Training, Update, Verdict
from tests.rank_processes import ranks

CPU = torch.device("cpu")
SHAPE = ImageShape(1, 8, 3)
EDGES = Darts(operations=("max_pool_3x3", "skip_connect", "dil_conv_3x3"), cells=2, channels=2, nodes=1)
NODES = Darts(operations=("nadd3",), topology="per-cell", choices="node", cells=3, channels=2, nodes=2)
BLOCKS = Darts(topology="per-cell", operations=("sep_conv_3x3", "skip_connect"), cells=2, nodes=1, channels=2)


@attrs.frozen
class Shared:
    """Images in float64 with something to learn, a function of the split and the step; those of one rank."""

    split: str
    ranks: Ranks
    batch_size: int
    parts: int = 1
    steps_per_epoch = 5

    def batch(self, step: int) -> Batch:
        size = self.batch_size
        generator = torch.Generator().manual_seed(2 * step + (self.split == ALPHA))
        labels = torch.arange(size) % 3
        images = torch.randn(size, 1, 8, 8, generator=generator, dtype=torch.float64) + labels[:, None, None, None]
        rows = self.ranks.share.rows(size, self.parts)
        return Batch(images[rows].contiguous(memory_format=torch.channels_last), labels[rows], whole=size)


def search(space, alternation, schedule, ranks: Ranks, teacher=None, **training) -> Watched:
    torch.manual_seed(0)
    net = space.supernet(SHAPE)
    stages = [LabelStage()]
    if teacher is not None:
        asked = teacher.network(space, Random(0))
        network = None if asked is None else asked[0].network(asked[1], SHAPE)
        stages = teacher.stages(net, SHAPE, network)
        if not isinstance(teacher, Features):  # which compares features in float32
            stages = [stage.double() for stage in stages]
        if network is not None:
            network.double()
    net.double()
    options = Training(**{"epochs": 4, "lr": 0.05, "batch_size": 8, **training})
    # Batches of different sizes, so that the shares of the splits differ as well.
    sizes = {name: 7 if name == ALPHA else options.batch_size for name in alternation.splits()}
    streams = {name: Shared(name, ranks, size, options.accumulate) for name, size in sizes.items()}
    return Watched("search", net, alternation, schedule, stages, options, streams, CPU, space=space, ranks=ranks)


def first_order(ranks: Ranks) -> Watched:
    return search(EDGES, Bilevel(alpha_lr=0.05), Keep(), ranks)


def second_order(ranks: Ranks) -> Watched:
    return search(EDGES, Bilevel(alpha_lr=0.05, order="second"), Keep(), ranks)


def snps(ranks: Ranks) -> Watched:
    return search(NODES, OneLevel(alpha_lr=10.0), Shrink(pace="fit"), ranks, optimizer="adam", lr=0.01)


def snps_in_parts(ranks: Ranks) -> Watched:
    return search(NODES, OneLevel(alpha_lr=10.0), Shrink(pace="fit"), ranks, batch_size=14, accumulate=2)


def dnad(ranks: Ranks) -> Watched:
    # Adam would turn the rounding errors of gradients that are 0, such as those of biases before a norm, into steps.
    return search(NODES, OneLevel(alpha_lr=1.0), Shrink(pace="fit"), ranks, Features())


def sd_darts(ranks: Ranks) -> Watched:
    voting = Voting(start=0.2, ramp=0.5, pace="paper", interval_unit="step", interval=2, learns="both")
    return search(EDGES, Bilevel(alpha_lr=0.05), Keep(), ranks, voting)


def dna(ranks: Ranks) -> Watched:
    return search(BLOCKS, SinglePath(), Keep(), ranks, Blockwise(), epochs=2)


def plain(ranks: Ranks) -> Watched:
    torch.manual_seed(0)
    net = EDGES.network(EDGES.random(Random(0)), SHAPE).double()
    streams = {"train": Shared("train", ranks, 7)}
    options = Training(epochs=4, lr=0.05, batch_size=7)
    return Watched("retrain/1", net, Fixed(), Keep(), [LabelStage()], options, streams, CPU, ranks=ranks)


METHODS = {
    "darts, first order": first_order,
    "darts, second order": second_order,
    "snps": snps,
    "snps in parts": snps_in_parts,
    "dnad": dnad,
    "sd-darts": sd_darts,
    "dna": dna,
    "retraining": plain,
}


@attrs.define
class Diverging(Keep):
    """Changes alpha, or deletes a candidate, on one rank alone, in the last step of an epoch."""

    what: str = "alpha"
    here: bool = False

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        if self.here and now.ends_epoch and self.what == "alpha":
            with torch.no_grad():
                choices.alpha[0, 0] = torch.nextafter(choices.alpha[0, 0], choices.alpha[0, 0] + 1)
        if self.here and now.ends_epoch and self.what == "kept":
            doomed = torch.zeros_like(choices.kept)
            doomed[0, 0] = True
            choices.delete(doomed)
        return Verdict()


def diverged(rank: int, count: int, cases: list[str]) -> dict[str, str]:
    """How a search ends in which the last rank changes something that all have in common: the errors by case."""
    failures = {}
    for what in cases:
        made = search(EDGES, Bilevel(alpha_lr=0.05), Diverging(what, rank == count - 1), ranks(rank, count))
        try:
            carried_out(made, 20)
        except RunFailure as failure:
            failures[what] = str(failure)
    return failures


@attrs.define(eq=False)
class Watched(Trainer):
    """Keeps the gradients of every update as they are before they are clipped."""

    gradients: list[dict[str, Tensor]] = attrs.field(init=False, factory=list)

    def after_backward(self, update: Update, loss: Tensor) -> Tensor:
        loss = Trainer.after_backward(self, update, loss)
        named = {**self.weights(), "alpha": self.choices.alpha}
        changed = {id(parameter) for parameter in self.torch_optimizers.parameters(update)}
        self.gradients.append(
            {
                name: parameter.grad.clone()
                for name, parameter in named.items()
                if id(parameter) in changed and parameter.grad is not None
            }
        )
        return loss


@attrs.frozen
class Course:
    """What a search came to."""

    steps: list[Step]
    alphas: list[Tensor]
    gradients: list[dict[str, Tensor]]
    state: dict[str, Tensor]


def carried_out(made: Watched, count: int) -> Course:
    """The first `count` steps of a search, which has not begun."""
    steps, alphas = [], []
    made.begin(torch.Generator().manual_seed(1))
    for step in train(made):
        steps.append(step)
        alphas.append(made.choices.alpha.detach().clone())
        if len(steps) == count:
            break
    return Course(steps, alphas, made.gradients, {name: each.clone() for name, each in made.net.state_dict().items()})


def carried_out_by_rank(rank: int, count: int, name: str, steps: int) -> Course:
    """Steps of the search of a method on one of several ranks, with batch norms over whole batches."""
    return carried_out(METHODS[name](ranks(rank, count)), steps)


@cache
def carried_out_alone(name: str, steps: int) -> Course:
    """The same steps by one process, made once for all numbers of ranks."""
    return carried_out(METHODS[name](ALONE), steps)
