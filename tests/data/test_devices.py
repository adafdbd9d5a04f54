"""Making a batch on a GPU never lets the host wait for it.

The GPU is pretended: tensors on it are FakeTensors of torch, which have a shape and a device but no values, while
tensors of the host are real, since draws and decisions are made from them. `Tensor.pin_memory`, which needs a driver,
is pretended too: it copies a tensor and marks the copy.
"""

from __future__ import annotations

import threading
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)

from nasplug.data import geometry
from nasplug.data.autoaugment import CIFAR, CIFAR_PILLOW, IMAGENET
from nasplug.data.batches import BatchStream, sequential_batches
from nasplug.data.images import MemoryImages
from nasplug.parts import Batch, Images
from nasplug.parts.transfer import send
from nasplug.values import Training
from tests.pretended import CPU, GPU, PretendedGPU, Waiting, pin_memory


@pytest.fixture
def gpu(monkeypatch):
    """A pretended GPU, to be entered."""

    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    geometry._sources.cache_clear()
    yield PretendedGPU()
    geometry._sources.cache_clear()  # tables on a GPU that is none


def images(count: int = 60, size: int = 12, channels: int = 3) -> MemoryImages:
    pixels = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8)
    return MemoryImages(pixels, np.arange(count) % 10)


class Files(Images):
    """Images that are read from elsewhere, in threads."""

    def __init__(self, source: MemoryImages) -> None:
        self.source, self.labels = source, source.labels

    def read(self, indices):
        return self.source.read(indices)


def stream(gpu: PretendedGPU, images: Images, training: Training, count: int = 50, **options) -> BatchStream:
    """A stream on the GPU. Copying the images there, once in a run, takes as long as it takes."""
    channels = len(images.read([0])[0])
    gpu.watching = False
    batches = BatchStream(
        images,
        np.arange(count),
        training=training,
        mean=(0.5,) * channels,
        std=(0.2,) * channels,
        flips=True,
        shift=2,
        seed=1,
        phase="search",
        split="train",
        device=GPU,
        **options,
    )
    gpu.watching = True
    return batches


def check(batch: Batch, *shape: int) -> None:
    assert batch.images.device == batch.labels.device == GPU
    assert tuple(batch.images.shape) == shape
    assert tuple(batch.labels.shape) == shape[:1]
    assert batch.images.dtype == torch.float32
    assert batch.labels.dtype == torch.int64
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


POLICIES = ("none", "standard", "autoaugment", "autoaugment-pillow", "imagenet", "imagenet-autoaugment")
CHANGES = {"color_jitter": (0.4, 0.4, 0.4, 0.1), "cutout": 4, "random_erasing": 0.5}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_no_augmentation_waits_for_the_device(gpu, policy, channels):
    data = images(channels=channels)
    with gpu:
        for source, changes in ((data, CHANGES), (Files(data), {})):
            batches = stream(gpu, source, Training(batch_size=7, augment=policy, **changes), count=7)
            for step in (0, 1):  # an epoch each
                check(batches.batch(step), 7, channels, 12, 12)


def test_images_that_stay_as_they_are_do_not_wait_either(gpu):
    with gpu:
        check(stream(gpu, images(), Training(batch_size=7), augmented=False).batch(0), 7, 3, 12, 12)


def test_every_operation_of_autoaugment_is_tried(gpu):
    """A batch so large that it holds all operations of a policy."""
    for policy in (CIFAR, CIFAR_PILLOW, IMAGENET):
        kinds, _ = policy.sample(1500, torch.Generator().manual_seed(3))
        assert set(kinds.flatten().tolist()) == {-1, *range(len(policy.kinds))}
        with gpu:
            before = torch.empty(1500, 3, 9, 12, dtype=torch.uint8, device=GPU)
            assert policy(before, torch.Generator().manual_seed(3)).shape == before.shape


def test_the_order_of_an_epoch_is_sent_once_and_each_draw_with_its_like(gpu):
    training = Training(batch_size=5, augment="standard", cutout=4)
    with gpu:
        batches = stream(gpu, images(), training)
        counts = []
        for step in range(21):
            gpu.sent.clear()
            batches.batch(step)
            counts.append(list(gpu.sent))
    ordinary = [(3, 5), (2, 5)]  # places and mirrors of the crops, and corners of the holes
    assert counts == [[(50,), *ordinary] if step % 10 == 0 else ordinary for step in range(21)]


@pytest.mark.parametrize("kind", ["memory", "files", "kept"])
def test_evaluation_never_waits(gpu, kind):
    data, settings = images(), ((0.5,) * 3, (0.2,) * 3, GPU)
    source = Files(data) if kind == "files" else data
    with gpu:
        gpu.watching = False
        batches = sequential_batches(source, np.arange(49), 8, *settings, resident=kind != "kept")
        sizes = []
        for batch in batches:
            check(batch, len(batch.labels), 3, 12, 12)
            sizes.append(len(batch.labels))
            gpu.watching = True
    assert sizes == [8, 8, 8, 8, 8, 9]
    assert gpu.sent.count((8, 3, 12, 12)) == (0 if kind == "memory" else 4)


def test_images_that_are_kept_on_the_host_are_read_ahead_and_sent_from_locked_memory(gpu, monkeypatch):
    training = Training(batch_size=5, augment="none")
    locked = set()
    pin_memory = Tensor.pin_memory

    def watched(tensor: Tensor) -> Tensor:
        if not hasattr(tensor, "page_locked"):
            locked.add(threading.current_thread().name.rpartition("_")[0])
        return pin_memory(tensor)

    with gpu:
        batches = stream(gpu, images(), training, resident=False)
        batches.batch(0)
        monkeypatch.setattr(Tensor, "pin_memory", watched)
        gpu.sent.clear()
        for step in range(1, 9):
            check(batches.batch(step), 5, 3, 12, 12)
    assert gpu.sent == [(5, 3, 12, 12), (5,)] * 8
    assert locked == {"nasplug-read"}


def test_what_is_sent_to_the_host_is_itself():
    tensor = torch.arange(3)
    assert send(tensor, CPU) is tensor


def test_strides_survive_sending(gpu):
    with gpu:
        there = send(torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), GPU)
    assert there.is_contiguous(memory_format=torch.channels_last)


def _masked(values: Tensor) -> None:
    values[values > 0] = values[0]


WAITS = {
    "blocking": lambda there, here: here.to(GPU),
    "pageable": lambda there, here: here.to(GPU, non_blocking=True),
    "half-hearted": lambda there, here: here.pin_memory().to(GPU),
    "copied": lambda there, here: there.copy_(here),
    "list": lambda there, here: torch.tensor([1.0, 2.0], device=GPU),
    "array": lambda there, here: torch.as_tensor(np.arange(3), device=GPU),
    "indexed by a list": lambda there, here: there[[0, 1]],
    "indexed by a host tensor": lambda there, here: there[here.long()],
    "mask written": lambda there, here: _masked(there),
    "mask": lambda there, here: there[there > 0],
    "back": lambda there, here: there.cpu(),
    "number": lambda there, here: float(there[0]),
    "truth": lambda there, here: bool(there[0] > 0),
    "values": lambda there, here: there.tolist(),
    "slice": lambda there, here: there[: there[0].long()],
    "nonzero": lambda there, here: there.nonzero(),
    "unique": lambda there, here: there.unique(),
    "repeats": lambda there, here: there.repeat_interleave(there.long()),
}
SEEN = (Waiting, DataDependentOutputException, DynamicOutputShapeException)


@pytest.mark.parametrize("way", WAITS)
def test_the_pretended_gpu_sees_where_the_host_waits(gpu, way):
    with gpu:
        there, here = torch.zeros(4, device=GPU), torch.zeros(4)
        with pytest.raises(SEEN):
            WAITS[way](there, here)
        send(here, GPU).masked_fill_(there > 0, 1.0).mul_(2).add_(there)[1:].sum()


def test_the_pretended_gpu_sees_mixed_devices(gpu):
    with gpu, pytest.raises(RuntimeError, match="device"):
        torch.zeros(4, device=GPU) + torch.zeros(4)


@pytest.mark.parametrize("module", ["batch_reader", "augment", "boxes", "colour", "autoaugment", "geometry"])
def test_a_transfer_that_waits_would_be_seen_in_every_module(gpu, monkeypatch, module):
    module = import_module(f"nasplug.data.{module}")
    monkeypatch.setattr(module, "send", lambda tensor, device: tensor.to(device))
    training = Training(batch_size=30, augment="autoaugment", **CHANGES)
    with gpu:
        batches = stream(gpu, images(), training)
        with pytest.raises(Waiting):
            batches.batch(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("resident", [True, False])
def test_a_true_gpu_is_not_waited_for(policy, resident):
    training = Training(batch_size=7, augment=policy, **CHANGES)
    batches = stream(PretendedGPU(), images(), training, count=7, resident=resident)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(3):
            check(batches.batch(step), 7, 3, 12, 12)
    finally:
        torch.cuda.set_sync_debug_mode("default")
