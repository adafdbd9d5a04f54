"""What is said of images that make a result mean less than it seems to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.in_memory import to_image_data
from nasplug.data.notes import describe_folds
from nasplug.data.overview import look
from nasplug.data.splits import Splits

LABELS = [0, 1] * 5
PIXELS = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def remarks(pixels, labels, train, validation=(), test=(), tests=None, closely=False):
    data = to_image_data(((pixels, labels), tests) if tests else (pixels, labels))
    splits = Splits(*(np.array(part, np.int64) for part in (train, validation, test)), "test" if tests else "train")
    overview = look(data, splits, with_thumbnails=closely)
    return overview.remark(overview.find_duplicates(closely=closely))


def notes(*arguments, **options):
    found = remarks(*arguments, **options)
    return [*found.leaks, *found.contradictions, *found.notes]


def test_ordinary_images_need_no_note():
    assert notes(PIXELS, LABELS, [0, 1, 2, 3], [], [6, 7, 8, 9]) == []


def test_few_validation_images_are_said_with_what_chance_makes_of_them():
    (said,) = notes(PIXELS, LABELS, [0, 1, 2, 3], [4, 5], [6, 7, 8, 9])
    assert said.startswith("2 images are held out for validation, so one image is 50.0%, and an error of 10 % has a ")
    assert "a standard error of 21.2%" in said
    assert "cross-validation over all 6 that are not for the test (data.folds=5)" in said
    pixels = torch.randint(0, 256, (310, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = [0, 1] * 155
    assert notes(pixels, labels, [0, 1], range(2, 302), range(302, 310)) == []
    assert len(notes(pixels, labels, [0, 1, 2], range(3, 302), range(302, 310))) == 1


def test_with_folds_few_validation_images_are_no_matter():
    data = to_image_data((PIXELS, LABELS))
    splits = Splits(*(np.array(part, np.int64) for part in ([0, 1, 2, 3], [4, 5], [6, 7, 8, 9])), "train")
    overview = look(data, splits, with_thumbnails=False, folds=3)
    assert overview.remark(overview.find_duplicates(closely=False)).notes == ()
    said = describe_folds(5, 48)
    assert "each is trained 5 times, each time without one fold of the 48 images" in said
    assert "an error of 10 % has a standard error of 4.3% or more" in said  # sqrt(0.1 * 0.9 / 48)


def test_images_without_content_are_counted():
    pixels = PIXELS.clone()
    pixels[4] = torch.tensor([1, 2, 3], dtype=torch.uint8).view(3, 1, 1)
    assert notes(pixels, LABELS, range(6), [], range(6, 10)) == ["1 image is of one single colour (first: number 4)."]


def test_channels_of_one_value_are_said_and_those_of_deviation_one_are_not():
    generator = torch.Generator().manual_seed(0)
    signals = 2.0 * torch.randint(0, 2, (10, 2, 16), generator=generator) - 1
    signals[:, 1] = 3.5
    signals[:, 0, 8:] = -signals[:, 0, :8]  # of the mean 0 and the deviation 1
    (said,) = [note for note in notes(signals, LABELS, range(6), [], range(6, 10)) if "everywhere" in note]
    assert said.startswith("Channel 1 of the training signals have one value everywhere (3.500)")
    pixels = PIXELS.clone()
    pixels[:, 2] = 51
    assert any("Channel 2 of the training images" in note for note in notes(pixels, LABELS, range(6), [], range(6, 10)))


def test_images_that_are_all_equal_are_said():
    said = notes(PIXELS[:1].expand(10, 3, 4, 4), LABELS, range(6), [], range(6, 10))
    assert "All images for training are equal; there is nothing to learn from them." in said
    assert any("10 images are equal to images of another class" in note for note in said)
    assert any("4 of 4 test images are copies of training images" in note for note in said)


@pytest.mark.parametrize("own_test_images", [False, True])
def test_copies_of_training_images_in_the_test_are_a_leak_with_the_pairs(own_test_images):
    pixels = PIXELS.clone()
    pixels[8], pixels[6] = pixels[0], pixels[2]
    if own_test_images:
        said = remarks(pixels[:6], LABELS[:6], range(6), tests=(pixels[6:], LABELS[6:]), test=range(4))
        pairs = "number 0 of the test images, equal to number 2; number 2 of the test images, equal to number 0"
    else:
        said = remarks(pixels, LABELS, range(6), [], range(6, 10))
        pairs = "number 6, equal to number 2; number 8, equal to number 0"
    assert (said.contradictions, said.notes) == ((), ())
    assert said.leaks == (
        f"A leak between training and test: 2 of 4 test images are copies of training images, pixel by pixel (first: "
        f"{pairs}); the test error says less of new images.",
    )


def test_copies_in_the_validation_split_and_equal_images_of_two_classes_are_said():
    pixels = PIXELS.clone()
    pixels[7] = pixels[0]
    said = remarks(pixels, LABELS, range(6), [6, 7], [8, 9])
    assert said.leaks == ()
    assert said.contradictions == (
        "2 images are equal to images of another class, pixel by pixel (such as number 0 (0) and number 7 (1)); at "
        "most one of the classes is right.",
    )
    assert said.notes[0].startswith("1 of 2 validation images are copies of training images")


def test_copies_of_validation_images_in_the_test_are_a_leak_too():
    pixels = PIXELS.clone()
    pixels[8] = pixels[4]
    (leak,) = remarks(pixels, LABELS, range(4), [4, 5], range(6, 10)).leaks
    assert leak.startswith("A leak between validation and test: 1 of 4 test images are copies of validation images")


def test_nearly_equal_images_are_a_leak_too_and_said_apart():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 250, (10, 3, 32, 32), dtype=torch.uint8, generator=generator)
    pixels[7], pixels[8] = pixels[1] + 3, pixels[2]
    (equal, near) = remarks(pixels, LABELS, range(6), [], range(6, 10), closely=True).leaks
    assert "1 of 4 test images are copies of training images, pixel by pixel (first: number 8, equal to" in equal
    assert "1 of 4 test images are nearly equal to training images (first: number 7, nearly equal to number 1)" in near
    assert len(remarks(pixels, LABELS, range(6), [], range(6, 10)).leaks) == 1


@pytest.mark.parametrize(("counts", "said"), [((75, 25), False), ((76, 24), True), ((40, 30, 30), False)])
def test_a_class_that_answers_most_of_the_test_is_said(counts, said):
    labels = np.repeat(range(len(counts)), counts).tolist()
    pixels = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1).repeat(1, 1, 2, 2)
    pixels[:, :, 0, 0] = 255
    (*_, last) = notes(pixels, labels, range(100), [], range(100)) or [""]
    assert ("76 of 100 test images are of class '0', so that always answering it has an error of 24.0%" in last) == said
