"""Small searches in float64 whose steps may be made ahead of the host."""

from __future__ import annotations

from random import Random

import attrs
import pytest
import torch
from nasplug_dnad.features import FeatureStage
from nasplug_snps.shrink import Shrink
from torch import nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.engine import Runner, Trainer
from nasplug.engine.ahead.cuda_graphs import GraphCache, Recorder
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.engine.resource_term import ResourceTerm
from nasplug.parts import Batch, Choices, CostModel, send
from nasplug.values import ImageShape, Step, StepInfo, Training, Verdict

CPU = torch.device("cpu")
SHAPE = ImageShape(1, 8, 3)
NODES = Darts(operations=("nadd3",), topology="per-cell", choices="node", cells=3, channels=2, nodes=2)
EDGES = Darts(operations=("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"), cells=2, channels=2, nodes=2)
STEPS = 6
"""Steps of an epoch."""


@attrs.frozen
class Noise:
    """Images in float64 with something to learn, a function of the step."""

    device: torch.device
    class_weights: torch.Tensor | None = None
    steps_per_epoch = STEPS

    def batch(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        noise = torch.randn(6, 1, 8, 8, generator=generator, dtype=torch.float64)
        # With weights, batches and their parts hold classes unequally often.
        labels = torch.arange(6) % 3 if self.class_weights is None else torch.randint(3, (6,), generator=generator)
        images = noise + labels[:, None, None, None]
        images = images.contiguous(memory_format=torch.channels_last)
        return Batch(send(images, self.device), send(labels, self.device), self.class_weights)


@attrs.define
class Abrupt(Shrink):
    """Ends with the step at which the supernet is sparse enough, within an epoch."""

    static_graph = True

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        verdict = Shrink.after_step(self, choices, now)
        return attrs.evolve(verdict, stop=verdict.measures["S"] < self.floor)


def first_order(device: torch.device = CPU) -> Trainer:
    return trainer(EDGES, Bilevel(alpha_lr=0.1), Keep(), device, epochs=2)


def shrinking(device: torch.device = CPU, **options) -> Trainer:
    schedule = Abrupt(pace="fit", **{"s_min_fraction": 0.7, **options})
    return trainer(NODES, OneLevel(alpha_lr=10.0), schedule, device, optimizer="adam")


def weighted(device: torch.device = CPU) -> Trainer:
    made = shrinking(device)
    weights = torch.tensor([0.2, 1.0, 3.0], device=device)
    made.streams = {name: Noise(device, weights) for name in made.streams}
    return made


def distilled(device: torch.device = CPU) -> Trainer:
    made = shrinking(device, warm_up=1)
    torch.manual_seed(1)
    space = attrs.evolve(NODES, channels=3)
    teacher = space.supernet(SHAPE).double().to(device)
    adaptors = nn.ModuleList(nn.Conv2d(2 * 2 * width, 2 * 3 * width, 1) for width in (1, 2, 4))
    made.stages[:] = [FeatureStage(adaptors.to(device), teacher, (0.2, 0.3, 0.5), 1.0)]
    made.build_torch_optimizers()
    return made


def priced(device: torch.device = CPU) -> Trainer:
    made = shrinking(device)
    term = ResourceTerm.fit(0.2, {"params": 3000, "macs": 1e5}, NODES, CostModel(NODES, SHAPE), Random(0))
    made.resource_term = term.to(device)
    return made


def accumulated(device: torch.device = CPU) -> Trainer:
    made = shrinking(device, s_min_fraction=0.8)
    made.training = attrs.evolve(made.training, batch_size=6, accumulate=2)
    return made


def weighted_parts(device: torch.device = CPU) -> Trainer:
    made = weighted(device)
    made.training = attrs.evolve(made.training, batch_size=6, accumulate=2)
    return made


def trainer(space, torch_optimizer, schedule, device: torch.device = CPU, **training) -> Trainer:
    torch.manual_seed(0)
    net = space.supernet(SHAPE).double().to(device, memory_format=torch.channels_last)
    options = Training(**{"epochs": 5, "lr": 0.01, **training})
    streams = {name: Noise(device) for name in torch_optimizer.splits()}
    return Trainer("p", net, torch_optimizer, schedule, [LabelStage()], options, streams, device, space=space)


SEARCHES = {
    "first order": first_order,
    "shrinking": shrinking,
    "distilled": distilled,
    "weighted": weighted,
    "priced": priced,
    "accumulated": accumulated,
    "weighted parts": weighted_parts,
}


def carried_out(made: Trainer, runner: Runner) -> list[Step]:
    """The search from beginning to end."""
    made.begin(torch.Generator().manual_seed(1))
    groups = list(runner.run(made))
    poll = runner.poll if isinstance(runner, AheadRunner) else 1
    assert max(map(len, groups)) <= min(poll, STEPS)
    return [step for steps in groups for step in steps]


def ahead(poll: int, recorder: Recorder | None = None) -> AheadRunner:
    """A runner with which the host reads every `poll` steps."""
    return AheadRunner(poll, None if recorder is None else GraphCache(recorder))


def assert_same(plain: Trainer, expected: list[Step], quick: Trainer, found: list[Step]) -> None:
    """Two searches went the same way, up to rounding, and have come to the same."""
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        assert attrs.evolve(one, loss=0, measures={}) == attrs.evolve(other, loss=0, measures={})
        assert other.loss == pytest.approx(one.loss, rel=1e-7)
        assert other.measures == pytest.approx(one.measures, rel=1e-6)
    assert torch.equal(plain.choices.kept, quick.choices.kept.cpu())
    assert plain.net.state_dict().keys() == quick.net.state_dict().keys()
    # Weights that no longer reach the output are left alone by one and decay in the other.
    images = Noise(CPU).batch(99).images
    torch.testing.assert_close(quick.net(images.to(quick.device)).cpu(), plain.net(images), rtol=1e-6, atol=1e-9)
    kept = plain.choices.kept
    torch.testing.assert_close(quick.choices.alpha.cpu()[kept], plain.choices.alpha[kept], rtol=1e-6, atol=1e-9)
