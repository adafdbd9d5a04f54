from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from nasplug.data.decoding import decode
from nasplug.errors import InputError


@pytest.mark.parametrize("shape", [(40, 23), (17, 64), (90, 90), (9, 5)])
def test_images_are_scaled_and_cropped_as_torchvision_does(tmp_path, shape):
    row, column = np.mgrid[: shape[1], : shape[0]] / max(shape)
    smooth = np.stack([np.sin(3 * row), np.cos(2 * column), (row + column) / 2], -1)
    image = Image.fromarray((smooth * 127 + 128).astype(np.uint8))
    image.save(tmp_path / "a.png")
    expected = v2.functional.pil_to_tensor(v2.CenterCrop(16)(v2.Resize(16)(image)))
    difference = (decode(tmp_path / "a.png", 16, 3).int() - expected.int()).abs()
    assert float(difference.float().mean()) < 4  # the crop there is rounded to whole pixels


def test_large_images_are_scaled_with_antialiasing(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a.png")
    inner = decode(tmp_path / "a.png", 8, 1)[:, 1:-1, 1:-1].float()
    assert float((inner - 127.5).abs().max()) < 3


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "RGB", "CMYK", "1"])
def test_images_of_any_mode_get_the_channels_asked_for(tmp_path, mode):
    grey = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (4, 2)))
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    grey.convert("RGB").convert(mode).save(path)
    for channels in (1, 3):
        pixels = decode(path, 4, channels)
        assert pixels.tolist() == [[[0, 255, 0, 255]] * 4] * channels


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", 4, 1).unique().tolist() == [128]


def test_floating_point_images_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif cannot be read .*floating-point"):
        decode(tmp_path / "a.tif", 4, 1)


def test_photographs_are_turned_upright(tmp_path):
    image = Image.fromarray(np.array([[10, 10], [200, 200]], np.uint8))
    exif = image.getexif()
    exif[0x0112] = 3  # taken upside down
    image.save(tmp_path / "a.png", exif=exif)
    assert decode(tmp_path / "a.png", 2, 1).tolist() == [[[200, 200], [10, 10]]]
