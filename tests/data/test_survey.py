"""What is said of images that make a result mean less than it seems to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.in_memory import to_image_data
from nasplug.data.splits import Splits
from nasplug.data.survey import digest_pixels, note_properties, survey

LABELS = [0, 1] * 5
PIXELS = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def notes(pixels, labels, train, validation=(), test=(), tests=None):
    data = to_image_data(((pixels, labels), tests) if tests else (pixels, labels))
    splits = Splits(*(np.array(part, np.int64) for part in (train, validation, test)), "test" if tests else "train")
    return note_properties(data, splits, survey(data.train), survey(data.test) if tests else None)


def test_ordinary_images_need_no_note():
    assert notes(PIXELS, LABELS, [0, 1, 2, 3], [], [6, 7, 8, 9]) == []


def test_few_validation_images_are_said_with_what_chance_makes_of_them():
    (said,) = notes(PIXELS, LABELS, [0, 1, 2, 3], [4, 5], [6, 7, 8, 9])
    assert said.startswith("2 images are held out for validation, so one image is 50.0%, and an error of 10 % has a ")
    assert "a standard error of 21.2%" in said
    pixels = torch.randint(0, 256, (310, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = [0, 1] * 155
    assert notes(pixels, labels, [0, 1], range(2, 302), range(302, 310)) == []
    assert len(notes(pixels, labels, [0, 1, 2], range(3, 302), range(302, 310))) == 1


def test_images_without_content_are_counted():
    pixels = PIXELS.clone()
    pixels[4] = torch.tensor([1, 2, 3], dtype=torch.uint8).view(3, 1, 1)
    assert notes(pixels, LABELS, range(6), [], range(6, 10)) == ["1 image is of one single colour (first: number 4)."]


def test_images_that_are_all_equal_are_said():
    said = notes(PIXELS[:1].expand(10, 3, 4, 4), LABELS, range(6), [], range(6, 10))
    assert "All images for training are equal; there is nothing to learn from them." in said
    assert any("10 images are equal to images of another class" in note for note in said)
    assert any("4 of 4 test images are copies of training images" in note for note in said)


@pytest.mark.parametrize("own_test_images", [False, True])
def test_copies_of_training_images_in_a_held_out_split_are_counted(own_test_images):
    pixels = PIXELS.clone()
    pixels[8], pixels[6] = pixels[0], pixels[2]
    if own_test_images:
        said = notes(pixels[:6], LABELS[:6], range(6), tests=(pixels[6:], LABELS[6:]), test=range(4))
        first = "number 0, equal to number 2"
    else:
        said = notes(pixels, LABELS, range(6), [], range(6, 10))
        first = "number 6, equal to number 2"
    assert said == [
        f"2 of 4 test images are copies of training images, pixel by pixel (first: {first}); the test error says less "
        f"of new images."
    ]


def test_copies_in_the_validation_split_and_equal_images_of_two_classes_are_said():
    pixels = PIXELS.clone()
    pixels[7] = pixels[0]
    said = notes(pixels, LABELS, range(6), [6, 7], [8, 9])
    assert said[0].startswith("2 images are equal to images of another class, pixel by pixel (such as number 0 and ")
    assert said[1].startswith("1 of 2 validation images are copies of training images")


@pytest.mark.parametrize(("counts", "said"), [((75, 25), False), ((76, 24), True), ((40, 30, 30), False)])
def test_a_class_that_answers_most_of_the_test_is_said(counts, said):
    labels = np.repeat(range(len(counts)), counts).tolist()
    pixels = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1).repeat(1, 1, 2, 2)
    pixels[:, :, 0, 0] = 255
    (*_, last) = notes(pixels, labels, range(100), [], range(100)) or [""]
    assert ("76 of 100 test images are of class '0', so that always answering it has an error of 24.0%" in last) == said


def test_a_digest_is_of_the_pixels_and_nothing_else():
    first, again = (
        digest_pixels(PIXELS[[3, 4]]),
        digest_pixels(PIXELS.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)[[4, 3]]),
    )
    assert first == again[::-1]
    assert len(set(digest_pixels(PIXELS))) == 10
