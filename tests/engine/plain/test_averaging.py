from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasplug.data import BatchStream, MemoryImages
from nasplug.engine import Trainer, train
from nasplug.engine.plain.averaging import AveragingStage
from nasplug.engine.plain.distillation import DistillationStage
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.parts import Network, Outputs
from nasplug.store.checkpoint import load_checkpoint, save_checkpoint
from nasplug.values import StepClock, Training

CPU = torch.device("cpu")


class Small(Network):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.layers(images), ())


def test_the_average_follows_its_closed_form() -> None:
    net, steps, decay = Small().double(), 30, 0.8
    first = net.layers[0].weight
    start = first.detach().clone()
    stage = AveragingStage(LabelStage(), net, decay)
    for now in StepClock(steps, 1).since(0):
        with torch.no_grad():
            first.copy_(start * (now.step + 2))
        stage.after_step(net, now)
    kept = [min(decay, (1 + n) / (10 + n)) for n in range(steps)]
    shares = [math.prod(kept)] + [(1 - kept[n]) * math.prod(kept[n + 1 :]) for n in range(steps)]
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * number for number, share in enumerate(shares, 1))
    torch.testing.assert_close(stage.average.layers[0].weight, start * expected, rtol=1e-12, atol=0)


def test_batch_norm_statistics_are_averaged_and_counts_copied() -> None:
    net = Small()
    stage = AveragingStage(LabelStage(), net, 0.999)
    net.train()(torch.randn(8, 1, 4, 4) + 3)
    stage.after_step(net, StepClock(1, 1).at(0))
    ours, theirs = stage.average.layers[1], net.layers[1]
    torch.testing.assert_close(ours.running_mean, 0.9 * theirs.running_mean)  # from 0, with (1 + 0) / (10 + 0)
    assert (ours.num_batches_tracked, theirs.num_batches_tracked) == (1, 1)


def test_the_network_and_its_average_share_nothing_and_only_the_network_learns() -> None:
    net = Small()
    stage = AveragingStage(LabelStage(), net, 0.9)
    assert not any(each.requires_grad for each in stage.parameters())
    before = [each.clone() for each in stage.parameters()]
    with torch.no_grad():
        for each in net.parameters():
            each.add_(1)
    assert all(torch.equal(now, then) for now, then in zip(stage.parameters(), before, strict=True))


def trainer() -> Trainer:
    """A retraining with every option that has a state of its own, and a teacher, which has none."""
    options = {"optimizer": "rmsprop", "decay_norms": False, "weight_decay": 0.01, "lr_schedule": "step"}
    images = {"augment": "imagenet", "color_jitter": (0.4, 0.4, 0.4, 0.2), "random_erasing": 0.5}
    training = Training(epochs=3, batch_size=8, lr=0.01, lr_decay=0.5, lr_decay_epochs=0.7, **options, **images)
    pixels = torch.randint(0, 256, (24, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    settings = {"mean": (0.5,), "std": (0.3,), "flips": True, "shift": 1, "seed": 0, "phase": "p", "split": "train"}
    data = MemoryImages(pixels, np.arange(24) % 2)
    stream = BatchStream(data, np.arange(24), training=training, device=CPU, **settings)
    torch.manual_seed(0)
    teacher, net = Small(), Small()
    stages = [AveragingStage(DistillationStage(LabelStage(smoothing=0.1), teacher, 0.5, 4.0), net, 0.9)]
    return Trainer(
        name="retrain",
        net=net,
        optimizer=Fixed(),
        schedule=Keep(),
        stages=stages,
        training=training,
        streams={"train": stream},
        device=CPU,
    )


def test_a_resumed_average_equals_one_that_was_never_stopped(tmp_path: Path) -> None:
    path, whole = tmp_path / "checkpoint", trainer()
    for event in train(whole):
        if event.step == 4:
            save_checkpoint(path, whole, 4, 0.0)
    torch.manual_seed(1)
    resumed = trainer()
    assert not any(name.startswith("learning") for name in resumed.stages[0].state_dict())
    load_checkpoint(path, resumed)
    assert len(list(train(resumed))) == 5
    for ours, theirs in ((whole.net, resumed.net), (whole.stages[0], resumed.stages[0])):
        expected, actual = ours.state_dict(), theirs.state_dict()
        assert expected.keys() == actual.keys()
        assert all(torch.equal(value, actual[name]) for name, value in expected.items())
    average = whole.stages[0].state_dict()["average.layers.0.weight"]
    assert not torch.equal(average, whole.net.state_dict()["layers.0.weight"])
