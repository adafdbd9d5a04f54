"""Images that stay in their files: crops of originals, whoever decodes them and whatever is kept of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from nasplug.data import decode_request
from nasplug.data.batches import BatchStream
from nasplug.data.decoding import inspect_files
from nasplug.data.decoding_processes import DecodingProcesses
from nasplug.data.file_images import FileImages
from nasplug.data.pixel_cache import Form, PixelCache
from nasplug.data.reading import UnreadableImages
from nasplug.parts import RandomBoxes
from nasplug.values import Training

COUNT, SIZE = 40, 12
ALL = range(COUNT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images of several sizes, modes, formats and orientations."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in ALL:
        height, width = random.integers(9, 60, 2)
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        if number % 4 == 1:
            image = image.convert("RGBA")
            image.putalpha(200)
        exif = Image.Exif()
        exif[274] = 6 if number % 4 == 2 else 1
        image.save(folder / f"{number:02}.{'png' if number % 2 else 'jpg'}", exif=exif)
    return folder


@pytest.fixture(scope="module")
def two_processes() -> DecodingProcesses:
    return DecodingProcesses(2)


def images(folder: Path, **options) -> FileImages:
    paths = tuple(sorted(folder.iterdir()))
    return FileImages(paths, np.arange(len(paths)) % 3, SIZE, 3, inspect_files(paths).bits, folder, **options)


def boxes(count: int = COUNT, seed: int = 0) -> RandomBoxes:
    return RandomBoxes.sample(count, torch.Generator().manual_seed(seed))


def stream(images: FileImages, augment: str = "imagenet") -> BatchStream:
    settings = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "flips": True, "shift": 1, "seed": 3, "phase": "search"}
    training = Training(batch_size=8, augment=augment, cutout=2)
    return BatchStream(
        images, np.arange(COUNT), training=training, split="train", device=torch.device("cpu"), **settings
    )


def test_a_crop_is_a_part_of_the_upright_original_as_torchvision_scales_it(folder):
    read, drawn = images(folder), boxes()
    crops = read.read_crops(ALL, drawn)
    for number, path in enumerate(read.paths):
        image = Image.open(path).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        image = image.transpose(Image.Transpose.ROTATE_270) if number % 4 == 2 else image
        expected = F.resized_crop(image, *drawn.fit_one(number, image.height, image.width), [SIZE, SIZE])
        assert torch.equal(crops[number], F.pil_to_tensor(expected))


def check_reading(folder: Path, **options: object) -> None:
    """Reads squares and crops several times, in several orders, and compares them with those of files alone."""
    plain, other = images(folder), images(folder, **options)
    for seed, order in enumerate(([*ALL], [*reversed(ALL)], [7, 7, 3], [], [*ALL])):
        assert torch.equal(other.read(order), plain.read(order))
        drawn = boxes(len(order), seed)
        assert torch.equal(other.read_crops(order, drawn), plain.read_crops(order, drawn))
    assert other.digests(ALL) == plain.digests(ALL)
    assert other.notes == plain.notes != ()


@pytest.mark.parametrize("budget", [5_000, 60_000, 1 << 30])
def test_what_is_kept_changes_nothing(folder, budget):
    check_reading(folder, cache=PixelCache(budget))


@pytest.mark.parametrize("budget", [0, 60_000])
def test_processes_read_what_threads_read(folder, two_processes, budget):
    check_reading(folder, processes=two_processes, cache=PixelCache(budget))


@pytest.mark.slow
def test_one_process_reads_what_two_read(folder):
    check_reading(folder, processes=DecodingProcesses(1))


@pytest.mark.parametrize("augment", ["imagenet", "imagenet-autoaugment", "standard"])
def test_batches_do_not_depend_on_who_decodes_or_on_what_is_kept(folder, two_processes, augment):
    plain = stream(images(folder, has_originals=True), augment)
    ways = [{"cache": PixelCache(60_000)}, {"processes": two_processes, "cache": PixelCache(1 << 30)}]
    others = [stream(images(folder, has_originals=True, **way), augment) for way in ways]
    for step in (0, 1, 2, 9, 4, 0):
        expected = plain.batch(step)
        for other in others:
            batch = other.batch(step)
            assert torch.equal(batch.images, expected.images)
            assert torch.equal(batch.labels, expected.labels)


def test_only_random_crops_are_taken_from_originals(folder):
    squares, originals = images(folder), images(folder, has_originals=True)
    assert torch.equal(stream(originals, "standard").batch(2).images, stream(squares, "standard").batch(2).images)
    assert not torch.equal(stream(originals).batch(2).images, stream(squares).batch(2).images)


def test_flips_and_boxes_of_originals_are_those_of_squares(tmp_path):
    """Where a file is a square of the size of the data set, its original is what is read without augmentation."""
    random = np.random.default_rng(1)
    for number in ALL:
        Image.fromarray(random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    squares, originals = images(tmp_path), images(tmp_path, has_originals=True)
    for step in (0, 7):
        ours, theirs = stream(originals).batch(step).images, stream(squares).batch(step).images
        # Pillow and torchvision's tensors round differently: by one of 255 levels, divided by the deviation 0.2.
        assert float((ours - theirs).abs().max()) < 1.01 / 255 / 0.2


@pytest.mark.parametrize("in_processes", [False, True])
def test_files_that_cannot_be_read_are_all_named(folder, tmp_path, two_processes, in_processes):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: 30 if path.name.startswith("1") else None])
    broken = images(tmp_path, processes=two_processes if in_processes else None, cache=PixelCache(1 << 30))
    for read in (broken.read, lambda indices: broken.read_crops(indices, boxes())):
        with pytest.raises(UnreadableImages, match=r"^10 image files cannot be read: .*10\.jpg \(.*19\.png") as error:
            read(ALL)
        assert len(error.value.failures) == 10


def test_digests_are_computed_once(folder, monkeypatch):
    digested = []
    compute = decode_request.digest_content
    monkeypatch.setattr(decode_request, "digest_content", lambda content: digested.append(1) or compute(content))
    read = images(folder)
    for _ in range(3):
        read.read([1, 2, 3])
        read.read_crops([3, 4], boxes(2))
    assert len(digested) == 4


def test_originals_too_large_for_the_cache_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_request, "LARGEST_KEPT", 3 * 30 * 30)
    for number, side in enumerate((30, 31)):
        Image.new("RGB", (side, 30)).save(tmp_path / f"{number}.png")
    read = images(tmp_path, cache=PixelCache(1 << 30))
    read.read_crops([0, 1], boxes(2))
    assert read.cache.find(Form.ORIGINAL, [(read._key, 0), (read._key, 1)]).keys() == {0}


class Cell:
    """An image in a table that cannot be sent to other processes."""

    def __init__(self, content: bytes | None) -> None:
        self.read = lambda: content

    def __str__(self) -> str:
        return "a cell"

    def read_bytes(self) -> bytes:
        if self.read() is None:
            raise ValueError("its cell is empty")
        return self.read()


def test_images_that_are_no_files_are_decoded_in_processes_too(folder, two_processes):
    plain = images(folder)
    cells = tuple(Cell(path.read_bytes()) for path in plain.paths)
    tables = FileImages(cells, plain.labels, SIZE, 3, plain.bits, processes=two_processes, cache=PixelCache(60_000))
    for seed in (0, 1):
        assert torch.equal(tables.read(ALL), plain.read(ALL))
        assert torch.equal(tables.read_crops(ALL, boxes(seed=seed)), plain.read_crops(ALL, boxes(seed=seed)))
    empty = FileImages((Cell(None), *cells), np.zeros(COUNT + 1, int), SIZE, 3, plain.bits, processes=two_processes)
    with pytest.raises(UnreadableImages, match=r"a cell cannot be read \(its cell is empty\)"):
        empty.read(range(COUNT + 1))
