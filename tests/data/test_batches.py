from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from nasplug.data.batch_reader import copy_to_device
from nasplug.data.batches import BatchStream, sequential_batches
from nasplug.data.images import MemoryImages
from nasplug.errors import InputError
from nasplug.parts import Batch, Images
from nasplug.values import Training

CPU = torch.device("cpu")
COUNT = 50


def in_memory() -> MemoryImages:
    """Images whose every pixel of channel 0 is their number, so that a batch tells whom it holds."""
    pixels = torch.randint(0, 256, (COUNT, 3, 8, 8), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    pixels[:, 0] = torch.arange(COUNT, dtype=torch.uint8)[:, None, None]
    return MemoryImages(pixels, np.arange(COUNT) * 7 % 10)


class Slow(Images):
    """The same images, read in other threads at uneven speed."""

    def __init__(self) -> None:
        self._images = in_memory()
        self.labels = self._images.labels
        self.threads: set[str] = set()
        self.reads = 0

    def read(self, indices):
        self.threads.add(threading.current_thread().name)
        self.reads += 1
        time.sleep(0.001 * (indices[0] % 3))
        return self._images.read(indices)


def stream(images: Images | None = None, **changes) -> BatchStream:
    training = changes.pop("training", Training(batch_size=8, augment="standard", cutout=3))
    settings = {
        "mean": (0.0, 0.5, 0.5),
        "std": (1 / 255, 0.2, 0.2),
        "flips": True,
        "shift": 2,
        "seed": 1,
        "phase": "search",
        "split": "train",
        "device": CPU,
    }
    indices = changes.pop("indices", np.arange(COUNT))
    return BatchStream(images or in_memory(), indices, training=training, **(settings | changes))


def numbers(batch: Batch) -> list[int]:
    """Which images an unaugmented batch holds."""
    return batch.images[:, 0, 0, 0].round().int().tolist()


def equal(first: Batch, second: Batch) -> bool:
    return torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)


def test_an_epoch_goes_through_the_split_once_without_the_incomplete_batch():
    indices = np.arange(10, 45)
    plain = stream(indices=indices, augmented=False)
    assert plain.steps_per_epoch == 35 // 8
    epochs = [[number for step in range(4) for number in numbers(plain.batch(4 * epoch + step))] for epoch in (0, 1)]
    for epoch in epochs:
        assert len(set(epoch)) == 32
        assert set(epoch) <= set(indices.tolist())
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


def test_labels_go_with_their_images():
    batch = stream(augmented=False).batch(3)
    assert batch.labels.tolist() == [number * 7 % 10 for number in numbers(batch)]
    assert batch.labels.dtype == torch.int64


def test_a_split_smaller_than_a_batch_is_one_batch():
    small = stream(indices=np.array([3, 9, 27]), augmented=False)
    assert small.steps_per_epoch == 1
    assert sorted(numbers(small.batch(0))) == sorted(numbers(small.batch(5))) == [3, 9, 27]


def test_batches_do_not_depend_on_the_order_of_calls():
    forwards = [stream().batch(step) for step in range(14)]
    straight = stream()
    in_turn = [straight.batch(step) for step in range(14)]
    mixed = stream()
    shuffled = {step: mixed.batch(step) for step in (13, 2, 7, 0, 6, 2, 11, 5, 1, 12, 3, 9, 4, 10, 8)}
    for step in range(14):
        assert equal(forwards[step], in_turn[step])
        assert equal(forwards[step], shuffled[step])


@pytest.mark.parametrize(
    "policy", ["standard", "autoaugment", "autoaugment-pillow", "imagenet", "imagenet-autoaugment"]
)
def test_a_stream_that_starts_late_gives_the_batches_of_a_whole_run(policy):
    colours = {"color_jitter": (0.4, 0.4, 0.4, 0.2), "random_erasing": 0.5}
    training = Training(batch_size=8, augment=policy, cutout=3, **(colours if policy.startswith("imagenet") else {}))
    whole = stream(training=training)
    expected = [whole.batch(step) for step in range(16)]
    resumed = stream(training=training)
    torch.manual_seed(123)
    for step in range(9, 16):
        assert equal(resumed.batch(step), expected[step])


@pytest.mark.parametrize("change", [{"seed": 2}, {"phase": "retrain/x"}, {"split": "train.alpha"}])
def test_streams_of_other_names_or_seeds_are_other_streams(change):
    assert not equal(stream(augmented=False).batch(0), stream(augmented=False, **change).batch(0))
    single = np.array([4])
    assert any(
        not torch.equal(stream(indices=single).batch(k).images, stream(indices=single, **change).batch(k).images)
        for k in range(4)
    )


def test_streams_do_not_influence_each_other():
    images = in_memory()
    alone = [stream(images, split="train.alpha").batch(step) for step in range(5)]
    first, second = stream(images, split="train.alpha"), stream(images, split="train.weights")
    for step in range(5):
        second.batch(step)
        assert equal(first.batch(step), alone[step])


def test_an_image_is_augmented_anew_in_each_step():
    batches = stream(indices=np.array([4]), training=Training(batch_size=2, augment="standard"))
    assert len({tuple(batches.batch(step).images.flatten().tolist()) for step in range(30)}) > 15


def test_options_of_training_switch_augmentation_and_cutout():
    plain = stream(augmented=False).batch(0)
    none = stream(training=Training(batch_size=8, augment="none")).batch(0)
    assert equal(none, plain)
    cut = stream(training=Training(batch_size=8, augment="none", cutout=4)).batch(0)
    gone = cut.images != plain.images
    assert gone.any((1, 2, 3)).all()
    assert (cut.images[gone] == 0).all()
    assert cut.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("option", [{"color_jitter": (0.0, 0.0, 0.0, 0.5)}, {"random_erasing": 1.0}])
def test_options_of_training_switch_colours_and_erasing(option):
    plain = stream(augmented=False).batch(0)
    changed = stream(training=Training(batch_size=8, augment="none", **option)).batch(0)
    assert torch.equal(changed.labels, plain.labels)
    assert (changed.images != plain.images).flatten(1).any(1).all()
    assert changed.images.is_contiguous(memory_format=torch.channels_last)


def test_images_kept_on_the_host_give_the_same_batches():
    resident, kept = stream(), stream(resident=False)
    assert all(equal(kept.batch(step), resident.batch(step)) for step in (0, 1, 7, 3))


def test_images_read_ahead_in_threads_give_the_same_batches():
    slow = Slow()
    expected, ahead = stream(), stream(slow)
    ahead.prefetch(0)
    for step in [*range(14), 3, 4, 40, 41, 5]:
        assert equal(ahead.batch(step), expected.batch(step))
    assert any(name.startswith("nasplug-read") for name in slow.threads)


def test_no_batch_is_read_twice_in_a_run():
    slow = Slow()
    ahead = stream(slow)
    for step in range(20):
        ahead.batch(step)
    assert 20 <= slow.reads <= 24


def test_an_error_while_reading_ahead_reaches_the_step_that_needs_the_image():
    class Broken(Slow):
        def read(self, indices):
            if 11 in indices:
                raise InputError("image 11 is damaged")
            return super().read(indices)

    known = stream(augmented=False)
    step = next(step for step in range(6) if 11 in numbers(known.batch(step)))
    broken = stream(Broken())
    for before in range(step):
        broken.batch(before)
    with pytest.raises(InputError, match="image 11"):
        broken.batch(step)


def test_an_empty_split_is_refused_by_name():
    with pytest.raises(InputError, match=r"Split 'train' of phase 'search' holds no images"):
        stream(indices=np.empty(0, np.int64))


@pytest.mark.parametrize("kind", [in_memory, Slow])
def test_evaluation_sees_every_image_once_and_in_order(kind):
    indices = np.array([30, 2, 2, 17, 49, 8, 1])
    batches = list(sequential_batches(kind(), indices, 3, (0.0, 0.5, 0.5), (1 / 255, 0.2, 0.2), CPU))
    assert [numbers(batch) for batch in batches] == [[30, 2, 2], [17, 49, 8, 1]]
    assert torch.cat([batch.labels for batch in batches]).tolist() == (indices * 7 % 10).tolist()
    pixel = in_memory().pixels[30, 2, 4, 5].item()
    assert batches[0].images[0, 2, 4, 5].item() == pytest.approx((pixel / 255 - 0.5) / 0.2, rel=1e-5)
    assert list(sequential_batches(kind(), indices[:0], 3, (0.0,) * 3, (1.0,) * 3, CPU)) == []


@pytest.mark.parametrize(("images", "sizes"), [(1, [1]), (2, [2]), (3, [3]), (4, [4]), (5, [3, 2]), (7, [3, 4])])
def test_no_batch_of_evaluation_is_a_lone_image_unless_there_is_but_one(images, sizes):
    batches = sequential_batches(in_memory(), np.arange(images), 3, (0.0,) * 3, (1.0,) * 3, CPU)
    assert [len(batch.labels) for batch in batches] == sizes


def test_only_small_sets_in_memory_live_on_the_device(monkeypatch):
    images = in_memory()
    meta = torch.device("meta")
    assert copy_to_device(images, CPU) is images
    assert copy_to_device(images, CPU, allowed=False) is images
    assert copy_to_device(images, meta) is images.to(meta)
    assert copy_to_device(images, meta, allowed=False) is None
    assert copy_to_device(Slow(), CPU) is None
    monkeypatch.setattr("nasplug.data.batch_reader.RESIDENT_BYTES", 100)
    assert copy_to_device(images, meta) is None
    assert copy_to_device(images, CPU) is images


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_batches_of_the_cpu():
    gpu, cpu = stream(device=torch.device("cuda")), stream()
    for step in (0, 9):
        assert gpu.batch(step).images.is_cuda
        torch.testing.assert_close(gpu.batch(step).images.cpu(), cpu.batch(step).images)
        assert gpu.batch(step).labels.cpu().tolist() == cpu.batch(step).labels.tolist()
