"""What `predict` takes, and what it makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nasplug.data.decoding import decode
from nasplug.errors import InputError
from nasplug.results.classifier import Classifier
from nasplug.results.input_images import read_images
from nasplug.results.prediction import BATCH, answer, classify, classify_signals, predict

GREY, COLOUR = 1, 3
SIZE = 8
RANDOM = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def made(channels: int, **weights: float) -> Classifier:
    net = nn.Sequential(nn.Flatten(), nn.Linear(channels * SIZE**2, 4))
    if weights:
        net[1].weight.data.fill_(weights["fill"])
    facts = {"classes": list("abcd"), "channels": channels, "size": SIZE, "mean": [0.5] * channels}
    return Classifier(net, {"data": facts | {"std": [0.25] * channels}})


def read(images, channels: int = GREY) -> torch.Tensor:
    result = read_images(images, channels, SIZE)
    assert result.dtype is torch.uint8
    assert result.shape[1:] == (channels, SIZE, SIZE)
    return result


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_arrays_and_tensors_of_the_size_of_the_network_are_taken_as_they_are(wrap):
    grey, colour = pixels(5, SIZE, SIZE), pixels(5, SIZE, SIZE, 3)
    for images in (grey, grey[:, None], grey[..., None]):
        assert np.array_equal(read(wrap(images))[:, 0], grey)
    for images in (grey[0], grey[0][None], grey[0][..., None]):
        assert np.array_equal(read(wrap(images))[:, 0], grey[:1])
    assert np.array_equal(read(wrap(grey[:3]))[:, 0], grey[:3])  # three grey images, not one of three channels
    first = np.ascontiguousarray(colour.transpose(0, 3, 1, 2))
    for images in (colour, first):
        assert np.array_equal(read(wrap(images), COLOUR), first)
        assert np.array_equal(read(wrap(images[0]), COLOUR), first[:1])


def test_floating_point_numbers_from_0_to_1_are_pixels_too():
    images = pixels(2, SIZE, SIZE)
    assert np.array_equal(read(images / 255)[:, 0], images)
    assert np.array_equal(read(torch.from_numpy(images).half() / 255)[:, 0], images)
    with pytest.raises(InputError, match="values from 0 to 255"):
        read(torch.arange(256).float().view(4, 1, 8, 8))


def test_arrays_of_any_layout_in_memory():
    images = pixels(2, SIZE, SIZE)
    backwards = images[:, ::-1]
    backwards.flags.writeable = False
    assert np.array_equal(read(backwards)[:, 0], images[:, ::-1])
    assert np.array_equal(read((images / 255).astype(">f4"))[:, 0], images)


@pytest.mark.parametrize("channels", [GREY, COLOUR])
def test_a_file_a_pillow_image_and_its_pixels_of_any_size_are_the_same(tmp_path, channels):
    array = pixels(20, 30, 3)
    image, path = Image.fromarray(array), tmp_path / "image.png"
    image.save(path)
    expected = decode(path, SIZE, channels)[None]
    forms = (path, str(path), image, array, torch.from_numpy(array).permute(2, 0, 1), array[None])
    for form in forms:
        given = [form] if channels == GREY and isinstance(form, torch.Tensor) else form  # else: three grey images
        assert torch.equal(read(given, channels), expected), type(form)
    listed = read(list(forms[:-1]), channels)
    assert torch.equal(listed, expected.expand(5, -1, -1, -1))
    assert torch.equal(read(tuple(forms[:2]), channels), expected.expand(2, -1, -1, -1))
    assert torch.equal(read((form for form in forms[:2]), channels), expected.expand(2, -1, -1, -1))
    assert torch.equal(read(np.array([str(path)] * 2), channels), expected.expand(2, -1, -1, -1))


def test_lists_hold_images_of_several_sizes_and_modes():
    images = [
        pixels(8, 8),
        pixels(9, 12, 3),
        Image.new("RGBA", (5, 5)),
        Image.new("P", (7, 7)),
        Image.new("I;16", (9, 9), 40_000),  # which tells that white has 16 bits
    ]
    assert len(read(images)) == len(read(images, COLOUR)) == 5
    ragged = np.empty(2, dtype=object)
    ragged[:] = images[:2]
    assert len(read(ragged)) == 2
    assert read([]).shape == (0, 1, SIZE, SIZE)
    assert read(np.empty((0, 8, 8), np.uint8)).shape == (0, 1, SIZE, SIZE)


@pytest.mark.parametrize(
    ("images", "channels", "message"),
    [
        (7, GREY, "type int cannot be classified; hand over a path, a Pillow image, a NumPy array or a tensor"),
        (None, GREY, "type NoneType"),
        (b"bytes", GREY, "type bytes"),
        ({"image": pixels(8, 8)}, GREY, "type dict"),
        ([pixels(8, 8), 3], GREY, "Item 1 is of type int; hand over a path"),
        ((Image.new("L", (8, 8)), 3), GREY, "Item 1 is of type int"),
        ([pixels(2, 8, 8, 1)], GREY, r"Item 0 of a list is to be one image, but its shape is \(2, 8, 8, 1\)"),
        (pixels(8), GREY, r"has the shape \(8,\), which is not that of images; hand over"),
        (pixels(2, 8, 8, 5), GREY, r"shape \(2, 8, 8, 5\)"),
        (pixels(5, 8, 8), COLOUR, r"shape \(5, 8, 8\)"),
        (pixels(2, 0, 8, 1), GREY, r"shape \(2, 0, 8, 1\)"),
        (pixels(8, 8).astype(np.int64), GREY, "holds int64; convert it to uint8"),
        (np.zeros((8, 8), np.complex64), GREY, "complex64"),
        (torch.empty(8, 8, device="meta"), GREY, "without dense values"),
        (Image.new("F", (8, 8)), GREY, "Pillow image that cannot be used .*floating-point"),
        ("nowhere.png", GREY, "There is no image file 'nowhere.png'"),
        (".", GREY, "it is a folder"),
        (Image.new("L", (8, 8)), 4, "this network takes 4"),
        (pixels(2, 4, 9, 9), 4, "this network takes 4"),
    ],
)
def test_anything_else_gets_a_sentence(images, channels, message):
    with pytest.raises(InputError, match=message):
        read_images(images, channels, SIZE)


def test_networks_of_other_numbers_of_channels_take_tensors_of_their_size():
    images = torch.from_numpy(pixels(2, 4, SIZE, SIZE))
    assert torch.equal(read_images(images, 4, SIZE), images)


def test_predictions_have_a_row_for_each_image_however_many_there_are():
    classifier, images = made(GREY), torch.from_numpy(pixels(BATCH + 3, 1, SIZE, SIZE))
    expected = classifier(images)
    torch.testing.assert_close(predict(classifier, images), expected)
    torch.testing.assert_close(predict(classifier, Image.fromarray(images[0, 0].numpy())), expected[:1])
    assert predict(classifier, []).shape == (0, 4)


def of_signals() -> Classifier:
    """A network that adds up the 4 samples of a signal, which for large ones is infinity."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    net[1].weight.data.fill_(2)
    facts = {"classes": list("ab"), "channels": 1, "size": 4, "mean": [1.0], "std": [1.0]}
    return Classifier(net, {"data": facts | {"dims": 1, "dtype": "float32"}})


def test_a_signal_of_large_values_has_no_answer_and_the_others_have(tmp_path):
    signals, classifier, file = np.zeros((BATCH + 2, 4), np.float32), of_signals(), tmp_path / "new.npz"
    signals[1] = signals[BATCH] = [-1, 0, 0, 3e38]
    np.savez(file, signals=signals)
    found = dict(classify_signals(classifier, [file]))
    refused = {name: str(answer) for name, answer in found.items() if isinstance(answer, InputError)}
    assert list(refused) == [f"{file}[1]", f"{file}[{BATCH}]"]
    assert refused[f"{file}[1]"].startswith(
        f"The signal {file}[1] has no finite answer: its values go from -1 to 3e+38"
    )
    expected = classifier(torch.zeros(1, 1, 1, 4))[0]
    assert all(torch.equal(answer, expected) for name, answer in found.items() if name not in refused)
    signals[1] = 0
    with pytest.raises(InputError, match=rf"Signal {BATCH} of those handed over has no finite answer: its values go"):
        predict(classifier, signals)


def test_a_file_without_signals_is_named(tmp_path):
    np.savez(tmp_path / "none.npz", signals=np.zeros((0, 4), np.float32))
    ((name, refused),) = classify_signals(of_signals(), [tmp_path / "none.npz"])
    assert name == str(tmp_path / "none.npz")
    assert "holds no signals" in str(refused)


def zipped(path: Path, content: bytes, place: int, flag: int) -> Path:
    """A file npz with another byte at one place of both headers of its entry."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", place), (b"PK\x01\x02", place + 2)):
        changed[changed.index(signature) + offset] = flag
    path.write_bytes(changed)
    return path


def test_npz_files_that_cannot_be_unpacked_are_named_and_the_others_answered(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez(whole, signals=np.zeros((1, 4), np.float32))
    encrypted = zipped(tmp_path / "encrypted.npz", whole.read_bytes(), 6, 1)
    unknown = zipped(tmp_path / "unknown.npz", whole.read_bytes(), 8, 99)
    first, second, (name, answer) = classify_signals(of_signals(), [encrypted, unknown, whole])
    for (_, refused), word in (
        (first, "encrypted, password required"),
        (second, "compression method is not supported"),
    ):
        assert isinstance(refused, InputError)
        assert word in str(refused)
    assert name == f"{whole}[0]"
    assert answer.isfinite().all()


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(InputError, match="File name too long"):
        predict(made(GREY), "a" * 5000)


def test_a_network_that_answers_with_nan_says_so(tmp_path):
    broken, path = made(GREY, fill=float("inf")), tmp_path / "image.png"
    Image.new("L", (8, 8)).save(path)
    for ask in (
        lambda: predict(broken, pixels(2, 8, 8)),
        lambda: answer(broken, torch.zeros(1, 1, 8, 8)),
        lambda: list(classify(broken, [path])),
    ):
        with pytest.raises(InputError, match=r"answers with NaN.*lower learning rate"):
            ask()
