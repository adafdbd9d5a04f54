"""A step on a pretended GPU mixes no devices and lets the host wait for nothing, as far as its forward passes go."""

from __future__ import annotations

import pytest
import torch
from nasplug_dnad.features import FeatureStage
from nasplug_snps.shrink import Shrink
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException

from nasplug.builtin.compact import Compact
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.engine.plain.labels import LabelStage
from nasplug.engine.step_events import DeviceStep
from nasplug.parts import Batch, Supernet
from nasplug.values import ImageShape, StepClock, Update
from tests.engine.searches import EDGES, NODES
from tests.pretended import GPU, PretendedGPU, Waiting, pin_memory

SHAPE = ImageShape(3, 16, 5)
SPACES = {
    "edges": EDGES,
    "nodes": NODES,
    "nb201": NasBench201(channels=4, cells=1),
    "compact": Compact(stages=("s1 2x8", "s2 1x8"), operations=("all",)),
    "mbconv": MBConvSpace(channels=4, kernels=(3, 5), expansions=(3,)),
}
CLOCK = StepClock(steps_per_epoch=4, epochs=3)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    with PretendedGPU() as pretended:
        yield pretended


def moved(net: nn.Module) -> None:
    """Puts a network on the pretended GPU; `Module.to` would need values there."""
    for module in net.modules():
        for name, parameter in module._parameters.items():
            module._parameters[name] = (
                None if parameter is None else nn.Parameter(torch.empty_like(parameter, device=GPU))
            )
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else torch.empty_like(buffer, device=GPU)


def ready(gpu: PretendedGPU, space, optimizer) -> tuple[Supernet, Batch]:
    net = space.supernet(SHAPE)
    net.choices.relaxation = optimizer.relax
    gpu.watching = False
    moved(net)
    batch = Batch(torch.empty(2, 3, 16, 16, device=GPU), torch.empty(2, dtype=torch.long, device=GPU))
    gpu.watching = True
    return net, batch


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
@pytest.mark.parametrize("optimizer", [Bilevel(), OneLevel()], ids=["bilevel", "one-level"])
def test_a_step_with_a_schedule(gpu, space, optimizer):
    net, batch = ready(gpu, space, optimizer)
    schedule, stage, now = Shrink(), LabelStage(), CLOCK.at(0)
    gpu.watching = False
    schedule._start(gamma=1e-4, rate=5e-3)
    schedule._move_to_device_of(net.choices)  # what comes from the host comes once
    gpu.watching = True
    for update in optimizer.updates(now):
        loss = schedule.penalise(stage(net, batch, update, now), net.choices, now)
        assert loss.device == GPU
    stage.after_step(net, now)
    record = DeviceStep.of(now, loss.detach(), schedule.after_step(net.choices, now), net.choices)
    assert record.verdict.deleted.device == record.weights.device == GPU
    with pytest.raises(DataDependentOutputException):
        bool(net.choices.kept.any())


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_a_step_of_a_single_path(gpu, space):
    optimizer = SinglePath()
    net, batch = ready(gpu, space, optimizer)
    for step in range(2):
        mask = optimizer.sample(space, net.choices, CLOCK.at(step))
        with net.choices.only(mask):
            assert net(batch.images).device == GPU
    assert (len(net.choices), net.choices.valid_mask.shape[1]) in gpu.sent  # the masks, and nothing by a way that waits


def test_a_step_with_a_teacher(gpu):
    net, batch = ready(gpu, NODES, OneLevel())
    teacher, _ = ready(gpu, NODES, OneLevel())
    adaptors = nn.ModuleList(nn.Conv2d(4 * width, 4 * width, 1) for width in (1, 2, 4))
    gpu.watching = False
    moved(adaptors)
    gpu.watching = True
    stage = FeatureStage(adaptors, teacher, (0.2, 0.3, 0.5), 1.0)
    assert stage(net, batch, Update("train", moves_weights=True, moves_alpha=True), CLOCK.at(0)).device == GPU


def test_a_way_that_waits_is_noticed(gpu):
    with pytest.raises(Waiting):
        torch.ones(3).to(GPU)
