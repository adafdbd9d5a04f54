"""Images that are handed over in Python come out as the same bytes, whatever holds them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset, random_split

from nasplug.data import datasets
from nasplug.data.datasets import DatasetImages
from nasplug.data.images import MemoryImages
from nasplug.data.in_memory import InMemorySource, digest, to_image_data
from nasplug.errors import InputError
from nasplug.parts import ImageData

BYTES = torch.arange(256, dtype=torch.uint8).repeat(12)
"""Every value of a byte."""
DIFFERENT = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1)
GREY = BYTES[: 4 * 16 * 16].reshape(4, 1, 16, 16) + DIFFERENT
COLOUR = BYTES.reshape(4, 3, 16, 16) + DIFFERENT
LABELS = [0, 1, 0, 1]


class Listed(torch.utils.data.Dataset):
    """Items from a list."""

    def __init__(self, images, labels=LABELS, classes=None):
        self.items = list(zip(images, labels, strict=True))
        if classes is not None:
            self.classes = classes

    def __getitem__(self, index):
        return self.items[index]

    def __len__(self):
        return len(self.items)


def flat(images):
    return [image[0] for image in images]


def last(images):
    return [image.permute(1, 2, 0) for image in images]


FORMS = {
    "Pillow L": lambda: Listed([Image.fromarray(image.numpy()) for image in flat(GREY)]),
    "Pillow RGB": lambda: Listed([Image.fromarray(image.numpy()) for image in last(COLOUR)]),
    "Pillow RGBA": lambda: Listed([Image.fromarray(image.numpy()).convert("RGBA") for image in last(COLOUR)]),
    "array HW": lambda: Listed([image.numpy() for image in flat(GREY)]),
    "array HWC": lambda: Listed([image.numpy() for image in last(COLOUR)]),
    "array, backwards": lambda: Listed([image.numpy()[::-1].copy()[::-1] for image in last(COLOUR)]),
    "array HWC, big-endian": lambda: Listed([(image.numpy() / 255).astype(">f4") for image in last(COLOUR)]),
    "array HWC, float64": lambda: Listed([image.numpy() / 255 for image in last(COLOUR)]),
    "tensor HW": lambda: Listed(flat(GREY)),
    "tensor CHW": lambda: Listed(COLOUR),
    "tensor CHW, float32": lambda: Listed(COLOUR / 255),
    "tensor CHW, float16": lambda: Listed((COLOUR / 255).half()),
    "tensors": lambda: (COLOUR, torch.tensor(LABELS)),
    "tensors, float32": lambda: (COLOUR / 255, LABELS),
    "tensors NHW": lambda: (GREY[:, 0], np.array(LABELS)),
    "arrays NHWC": lambda: (COLOUR.permute(0, 2, 3, 1).numpy(), np.array(LABELS, np.uint8)),
    "arrays NHW": lambda: (GREY[:, 0].numpy(), LABELS),
    "TensorDataset": lambda: TensorDataset(COLOUR, torch.tensor(LABELS)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bytes(form):
    data = to_image_data(FORMS[form]())
    expected = COLOUR if data.channels == 3 else GREY

    assert torch.equal(data.train.read([0, 1, 2, 3]), expected)
    assert data.train.labels.tolist() == LABELS
    assert (data.classes, data.size, data.test) == (("0", "1"), 16, None)


def test_a_data_set_that_does_not_fit_in_memory_is_read_when_it_is_needed(monkeypatch):
    monkeypatch.setattr(datasets, "RESIDENT_BYTES", COLOUR.nbytes - 1)
    source = Listed(COLOUR / 255)
    lazy = to_image_data(source).train

    assert isinstance(lazy, DatasetImages)
    assert torch.equal(lazy.read([3, 1]), COLOUR[[3, 1]])
    assert digest(to_image_data(source)) == digest(to_image_data((COLOUR, LABELS)))
    source.items[1] = (COLOUR[0, :, :8, :8], 1)
    with pytest.raises(InputError, match=r"Item 1 of Listed differs each time"):
        lazy.read([1])


def test_classes_are_those_of_the_data_set_also_through_subsets():
    whole = Listed(COLOUR, classes=["cat", "dog"])

    assert to_image_data(whole).classes == ("cat", "dog")
    assert to_image_data(Subset(Subset(whole, [1, 2]), [0, 1])).classes == ("cat", "dog")
    train, test = random_split(whole, [2, 2])
    pair = to_image_data((train, test))
    assert (len(pair.train), len(pair.test), pair.classes) == (2, 2, ("cat", "dog"))
    assert pair.name == "Subset"


def test_pairs_of_tensors_are_for_training_and_test():
    pair = to_image_data(((COLOUR, LABELS), (COLOUR[:2] / 255, LABELS[:2])))

    assert torch.equal(pair.test.read([0, 1]), COLOUR[:2])


def test_labels_of_short_floating_point_numbers_are_read():
    labels = torch.tensor([[0.5, 1.0], [2.0, 3.0], [0.25, 0.0], [4.0, 5.0]])
    data = to_image_data((COLOUR, labels.bfloat16()))
    assert data.train.labels.tolist() == labels.tolist()


def test_whether_a_data_set_fits_in_memory_is_asked_of_its_bytes(monkeypatch):
    monkeypatch.setattr(datasets, "RESIDENT_BYTES", WAVES.nbytes - 1)
    assert isinstance(to_image_data(Listed(WAVES)).train, DatasetImages)


def test_a_digest_tells_order_labels_and_classes_apart():
    first = digest(to_image_data((COLOUR, LABELS)))
    others = [
        to_image_data((COLOUR.flip(0), LABELS)),
        to_image_data((COLOUR, [1, 0, 0, 1])),
        to_image_data(Listed(COLOUR, classes=["cat", "dog"])),
        to_image_data(((COLOUR, LABELS), (COLOUR, LABELS))),
    ]

    assert first == digest(to_image_data(Listed(COLOUR / 255)))
    assert len({first, *map(digest, others)}) == 5
    source = InMemorySource(images=others[0], digest=first)
    with pytest.raises(InputError, match="not the images that the run was started with"):
        source.load("", None, False)


def test_flips_and_shift_can_be_said_of_images_that_say_nothing():
    data = to_image_data((COLOUR, LABELS))

    assert (data.flips, data.shift) == (True, 2)
    changed = InMemorySource(images=data, flips=False, shift=0).load("", None, False)
    assert (changed.flips, changed.shift) == (False, 0)
    assert InMemorySource(images=changed).load("", None, False) == changed
    assert isinstance(to_image_data(data), ImageData)


WAVES = torch.randn(4, 3, 24, generator=torch.Generator().manual_seed(0))
SIGNALS = {
    "tensors NCL": lambda: (WAVES, LABELS),
    "tensors NC1L": lambda: (WAVES[:, :, None], LABELS),
    "arrays NCL": lambda: (WAVES.numpy(), np.array(LABELS)),
    "arrays NC1L": lambda: (WAVES[:, :, None].numpy(), np.array(LABELS)),
    "arrays, float64": lambda: (WAVES.numpy().astype(">f8"), LABELS),
    "TensorDataset": lambda: TensorDataset(WAVES, torch.tensor(LABELS)),
    "array CL": lambda: Listed([wave.numpy() for wave in WAVES]),
    "tensor C1L": lambda: Listed(WAVES[:, :, None]),
}


@pytest.mark.parametrize("form", SIGNALS)
def test_signals_are_taken_in_every_form(form):
    data = to_image_data(SIGNALS[form]())
    assert (data.dims, data.dtype, data.channels, data.size, data.flips, data.shift) == (1, "float32", 3, 24, False, 3)
    assert torch.equal(data.train.read([2, 0]), WAVES[[2, 0], :, None])
    assert data.notes == (
        "These are signals of 3 channels and 24 samples; as grey images they would have to be square.",
    )


@pytest.mark.parametrize("channel", [WAVES[:, 0], WAVES[:, 0].numpy(), WAVES[:, :1], WAVES[:, :1, None].numpy()])
def test_signals_of_one_channel(channel):
    data = to_image_data(((channel, LABELS), (channel[:2], LABELS[:2])))
    assert (data.dims, data.channels, data.size, data.notes) == (1, 1, 24, ())
    assert torch.equal(data.test.read([1]), WAVES[1:2, :1, None])


def test_signals_of_bytes_and_grey_images_are_told_apart():
    counts = (WAVES * 10).to(torch.uint8)
    data = to_image_data((counts[:, :, None], LABELS))
    assert (data.dims, data.dtype) == (1, "uint8")
    assert torch.equal(data.train.read([3]), counts[3:, :, None])
    assert to_image_data((counts[:, 0], LABELS)).dims == 1
    square = GREY[:, 0] / 255  # as many channels as samples, or a grey image
    assert to_image_data((square, LABELS)).dims == 2
    assert to_image_data((square[:, :, None], LABELS)).dims == 1
    with pytest.raises(InputError, match=r"signals of whole numbers have the shape \(N, C, 1, L\)"):
        to_image_data((counts, LABELS))


class Changing(Listed):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image.roll(int(torch.randint(1, 16, ())), -1), label


class Broken(Listed):
    def __getitem__(self, index):
        raise KeyError("no such file")


class Exiting(Listed):
    def __getitem__(self, index):
        sys.exit(0)


class Guessing(Listed):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        self.items[index] = image, 1 - label
        return image, label


class Wordy(Listed):
    def __getitem__(self, index):
        raise ValueError("no\nsuch\n\nfile")


class Backwards(Listed):
    def __len__(self):
        return -1


class Halved(Listed):
    def __len__(self):
        return 1.5


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


def repeated(image):
    return Listed([image] * 4)


REFUSALS = [
    (lambda: Listed(COLOUR, ["cat"] * 4), "has the label 'cat'; labels are whole numbers"),
    (lambda: Listed(COLOUR, [0, 1, 0, 1.5]), "Item 3 of Listed has the label 1.5"),
    (lambda: Listed(COLOUR, [0, 1, 0, -1]), "Labels must lie between 0 and 1.*image 3"),
    (lambda: Listed(COLOUR, [0, 1, 2, 1], ["cat", "dog"]), "for 2 classes, but that of image 2"),
    (lambda: Listed(COLOUR, [0] * 4), "At least two different classes"),
    (lambda: Listed([*COLOUR[:3], GREY[0]]), r"Item 3 of Listed has the shape \(1, 16, 16\)"),
    (lambda: Changing(COLOUR), "leave random transforms out"),
    (lambda: Broken(COLOUR), "Item 0 of Broken cannot be read .KeyError: 'no such file'."),
    (lambda: repeated(COLOUR[0, :, :8]), "must be square"),
    (lambda: repeated(COLOUR[0].permute(1, 2, 0)), "last in arrays and first in tensors"),
    (lambda: repeated(COLOUR[0].numpy()), "last in arrays and first in tensors"),
    (lambda: repeated(torch.zeros(2, 8, 8)), "1 or 3 channels"),
    (lambda: repeated(COLOUR[0].float()), "values from 0 to 255.*divide by the largest"),
    (lambda: repeated(COLOUR[0] / 255 - 0.5), "leave normalisation out"),
    (lambda: repeated(torch.full((1, 8, 8), torch.nan)), "values from nan to nan"),
    (lambda: repeated(COLOUR[0].long()), "holds int64; convert it to uint8"),
    (lambda: repeated(Image.new("CMYK", (8, 8))), "mode CMYK; convert it to L or RGB"),
    (lambda: repeated("photo.jpg"), "is of type str; nasplug reads Pillow images"),
    (lambda: [COLOUR[0], COLOUR[1], COLOUR[2]], "a list of 3"),
    (lambda: TensorDataset(COLOUR), r"must be a pair \(image, label\)"),
    (lambda: Listed([], []), "is empty"),
    (lambda: (COLOUR, LABELS[:3]), "4 images and 3 labels"),
    (lambda: (torch.zeros(4), LABELS), r"shape \(4,\)"),
    (lambda: (Listed(COLOUR), Listed(GREY)), r"test images have the shape \(1, 16, 16\)"),
    (lambda: (Listed(COLOUR, classes=["a", "b"]), Listed(COLOUR, classes=["b", "a"])), "in the same order"),
    (lambda: DataLoader(Listed(COLOUR)), "cannot be of type DataLoader; give the name of a data set"),
    (Endless, "cannot be of type Endless"),
    (lambda: COLOUR, "cannot be of type Tensor"),
    (lambda: 7, "cannot be of type int"),
    (lambda: Listed, r"Listed is a class; hand over Listed\(...\)"),
    (lambda: Exiting(COLOUR), "Item 0 of Exiting cannot be read .SystemExit: 0."),
    (lambda: Wordy(COLOUR), "Item 0 of Wordy cannot be read .ValueError: no such file."),
    (lambda: Guessing(COLOUR), "Item 0 of Guessing differs each time"),
    (lambda: Backwards(COLOUR), "Backwards has no length .ValueError"),
    (lambda: Halved(COLOUR), "Halved has no length .TypeError"),
    (lambda: (COLOUR, 5), "with one number for each image, but these are 5"),
    (lambda: (COLOUR, None), "with one number for each image, but these are None"),
    (lambda: (COLOUR, np.array(1)), "with one number for each image"),
    (lambda: (COLOUR, torch.tensor(1)), "with one number for each image"),
    (lambda: (COLOUR, dict.fromkeys(range(4), 1)), "with one number for each image, but these are {0: 1"),
    (lambda: (COLOUR, torch.zeros(4, dtype=torch.int64, device="meta")), "Labels .* a tensor without dense values"),
    (lambda: (COLOUR, torch.zeros(4, 2, device="meta")), "Labels .* a tensor without dense values"),
    (lambda: (COLOUR, torch.eye(4).to_sparse()), "Labels .* a tensor without dense values"),
    (
        lambda: (COLOUR, torch.zeros(4, 2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)),
        "Labels cannot be read",
    ),
    (lambda: (COLOUR, [0, 1, 0, 2**70]), "Image 3 has the label 1180591620717411303424"),
    (lambda: Listed(COLOUR, [0, 1, 0, 2**70]), "Item 3 of Listed has the label 1180591620717411303424"),
    (lambda: (COLOUR, [0, 1, 3_000_000, 3]), "images with the label 3, but none with 2"),
    (lambda: (COLOUR.numpy().astype(object), LABELS), "array of images holds object; convert it to uint8"),
    (lambda: (COLOUR.numpy().astype(str), LABELS), "array of images holds <U"),
    (lambda: (COLOUR.numpy().astype(np.longdouble), LABELS), "array of images holds (longdouble|float)"),
    (lambda: (torch.zeros(0, 3, 8, 8), []), "tensor of images is empty"),
    (lambda: (COLOUR.to_sparse(), LABELS), "is a tensor that is not dense"),
    (lambda: (WAVES[:, 0].to("meta"), LABELS), "is a tensor without values"),
    (lambda: (WAVES / 0, LABELS), "as signals, hold NaN or infinity in 4 of 4 signals"),
    (lambda: (WAVES.long()[:, 0], LABELS), r"must be uint8 or float32 .* but they are int64 \(4, 24\)"),
    (lambda: (WAVES, LABELS[:3]), "4 signals and 3 labels; each signal needs one label"),
    (lambda: ((WAVES, LABELS), (WAVES[:, :2], LABELS)), r"The test signals have the shape \(2, 1, 24\)"),
    (lambda: ((WAVES[:, 0], LABELS), (WAVES[:, 0].byte(), LABELS)), r"\(1, 1, 24\) .*uint8.* \(float32\)"),
    (lambda: Listed([*WAVES[:3], WAVES[3].byte()[:, None]]), r"Item 3 of Listed .*uint8.* item 0 .*float32"),
    (lambda: (COLOUR.to("meta"), LABELS), "is a tensor without values"),
]


@pytest.mark.parametrize(("data", "sentence"), REFUSALS)
def test_what_is_no_data_is_refused_in_one_sentence(data, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        to_image_data(data())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("test", [None, (COLOUR[:2], LABELS[:2])])
@pytest.mark.parametrize("in_memory", [True, False])
def test_validation_images_follow_those_for_training(monkeypatch, test, in_memory):
    if not in_memory:
        monkeypatch.setattr(datasets, "RESIDENT_BYTES", 0)
    validation = Listed(COLOUR.flip(0)[:3], [0, 1, 1])
    data = to_image_data((Listed(COLOUR), validation, test))
    assert isinstance(data.train, MemoryImages) == in_memory
    assert data.train.labels.tolist() == [*LABELS, 0, 1, 1]
    assert data.validation.tolist() == [4, 5, 6]
    assert (data.test is None) == (test is None)
    whole = torch.cat([COLOUR, COLOUR.flip(0)[:3]])
    for indices in ([0], [6], [5, 1, 6, 0, 0, 4, 3], list(range(7))):
        assert torch.equal(data.train.read(indices), whole[indices])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((Listed(COLOUR), Listed(GREY), None), r"validation images have the shape \(1, 16, 16\)"),
        ((Listed(COLOUR), Listed(COLOUR, [0, 1, 2, 0]), None), r"that of image 2 \(validation\) is 2"),
        (
            (Listed(COLOUR, classes=["a", "b"]), Listed(COLOUR, classes=["b", "a"]), None),
            "validation images have the cl",
        ),
        ((COLOUR, LABELS, LABELS), "a pair or three of them, but this is a tuple of 3"),
        ((Listed(COLOUR),) * 4, "but this is a tuple of 4"),
        ((), "but this is a tuple of 0"),
    ],
)
def test_three_sets_that_do_not_fit_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        to_image_data(data)
