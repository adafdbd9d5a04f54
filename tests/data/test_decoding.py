from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from nasplug.data import decoding
from nasplug.data.decoding import decode, inspect_files, read_header
from nasplug.data.file_images import FileImages
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


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_header_says_the_size_of_the_upright_image(tmp_path, suffix, orientation):
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    header = read_header(tmp_path / f"a.{suffix}")
    assert (header.width, header.height) == ((40, 20) if orientation == 1 else (20, 40))


def files(*paths: Path, channels: int = 1) -> FileImages:
    labels = np.zeros(len(paths), np.int64)
    return FileImages(tuple(paths), labels, 4, channels, inspect_files(paths).bits, paths[0].parent)


def write_grey(path: Path, values: list[int], kind: type) -> Path:
    Image.fromarray(np.array(values, kind).reshape(4, 4)).save(path)
    return path


@pytest.mark.parametrize(("suffix", "kind"), [("png", np.uint16), ("tif", np.uint16), ("tif", np.int32)])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_values_are_scaled_by_the_bits_that_the_data_set_uses(tmp_path, suffix, kind, bits):
    top = (1 << bits) - 1
    ramp = [round(top * step / 15) for step in range(16)]
    images = files(write_grey(tmp_path / f"a.{suffix}", ramp, kind))
    assert images.bits == bits
    assert images.read([0]).flatten().tolist() == [value * 255 // top for value in ramp]
    assert images.notes == (
        f"1 image is of more than 8 bits per value, of which all images use {bits}; these were scaled to 8 (first: "
        f"a.{suffix}).",
    )


def test_equal_values_stay_equal_in_all_images_of_a_set(tmp_path):
    dark = write_grey(tmp_path / "dark.png", [100] * 16, np.uint16)
    light = write_grey(tmp_path / "light.png", [100] * 15 + [4095], np.uint16)
    images = files(dark, light)
    assert images.bits == 12
    assert images.read([0, 1])[:, 0, 0, 0].tolist() == [100 * 255 // 4095] * 2


def test_a_single_file_of_unknown_depth_is_refused(tmp_path):
    path = write_grey(tmp_path / "a.png", range(16), np.uint16)
    with pytest.raises(InputError, match="values reach 15, which does not tell how many bits"):
        decode(path, 4, 1)
    assert decode(path, 4, 1, bits=8).flatten().tolist() == list(range(16))
    with pytest.raises(InputError, match="values reach 300, and those of the training images have 8 bits"):
        decode(write_grey(path, [300] * 16, np.uint16), 4, 1, bits=8)


def test_negative_values_are_refused(tmp_path):
    path = write_grey(tmp_path / "a.tif", range(-8, 8), np.int32)
    with pytest.raises(InputError, match="values go from -8 to 7, and negative ones have no meaning"):
        files(path).read([0])


def write_deep_colour(path: Path, value: int) -> Path:
    """A PNG of 4x4 pixels with 16 bits per colour, which Pillow cannot write."""
    rows = (b"\0" + struct.pack(">H", value) * 12) * 4
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    return path


def test_colours_of_16_bits_are_read_only_if_their_upper_bits_are_used(tmp_path):
    whole = write_deep_colour(tmp_path / "whole.png", 0xC0FF)
    assert files(whole, channels=3).read([0]).unique().tolist() == [0xC0]
    part = write_deep_colour(tmp_path / "part.png", 0x0FFF)
    with pytest.raises(InputError, match="16 bits per colour, the images use 12 of them, and Pillow reads the upper 8"):
        files(part, channels=3).read([0])
    assert files(part, whole, channels=3).read([0]).unique().tolist() == [0x0F]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white_and_is_said_once(tmp_path, mode):
    for number in range(2):
        image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
        image.putpixel((0, 0), (0, 0, 0, 255))
        image.convert(mode).save(tmp_path / f"{number}.png")
    images = files(tmp_path / "0.png", tmp_path / "1.png", channels=3)
    pixels = images.read([0, 1])
    assert pixels[:, :, 0, 0].unique().tolist() == [0]
    assert pixels[:, :, 1:].unique().tolist() == [255]
    assert images.notes == ("2 images are transparent in places, which became white (first: 0.png).",)


def test_the_first_frame_of_an_animation_is_read_and_it_is_said(tmp_path):
    frames = [Image.new("L", (4, 4), level) for level in (40, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    images = files(tmp_path / "a.gif")
    assert images.read([0]).unique().tolist() == [40]
    assert images.notes == ("1 image is of several frames or pages, of which the first was read (first: a.gif).",)


def write_photograph(path: Path, entries: list[tuple[int, int, int, bytes]]) -> Path:
    """A JPEG, 2 pixels high and 4 wide, dark to the left, with these EXIF entries: tag, type, count and four bytes."""
    image = Image.fromarray(np.repeat([[0, 0, 255, 255]], 2, 0).astype(np.uint8))
    block = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + block + struct.pack("<I", 0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif, quality=100)
    path.write_bytes(stream.getvalue())
    return path


def test_a_photograph_with_an_odd_exif_entry_is_turned_upright(tmp_path):
    turned = (274, 3, 1, struct.pack("<HH", 6, 0))
    odd = (282, 7, 4, b"72/1")  # XResolution as bytes of no type, in place of a fraction
    path = write_photograph(tmp_path / "a.jpg", [turned, odd])
    assert (decode(path, 2, 1)[0, 0] < 20).all()  # what was to the left is on top
    assert files(path).read([0]).shape == (1, 1, 4, 4)


def test_an_orientation_that_cannot_be_read_is_said(tmp_path):
    images = files(write_photograph(tmp_path / "a.jpg", [(274, 7, 4, b"abcd")]))
    assert images.read([0])[0, 0, 0, 0] < 20
    assert images.notes == (
        "1 image is taken to be upright, because the orientation in the EXIF data cannot be read (first: a.jpg).",
    )


def test_images_of_too_many_pixels_are_refused_without_a_warning(tmp_path, monkeypatch):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 1199)
    with pytest.raises(InputError, match="40 x 30 pixels, and at most 1,199 are read"):
        decode(tmp_path / "a.png", 4, 1)
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow warns of more, and refuses more than twice as many
    assert decode(tmp_path / "a.png", 4, 1).shape == (1, 4, 4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(InputError, match=r"a\.png cannot be read \(Image size"):
        decode(tmp_path / "a.png", 4, 1)


def test_all_files_that_cannot_be_read_are_named_at_once(tmp_path):
    paths = [tmp_path / f"{number:03}.png" for number in range(103)]
    write_grey(paths[0], [0] * 16, np.uint8)
    for path in paths[1:]:
        path.write_bytes(b"")
    with pytest.raises(InputError) as refusal:
        files(*paths).in_memory()
    listed = ", ".join(f"{path} (it is empty, damaged or no image)" for path in paths[1:101])
    assert str(refusal.value) == (
        f"102 image files cannot be read: {listed} and 2 more; repair or remove them, or start with "
        f"data.skip_damaged=true, which leaves them out."
    )


def test_files_are_told_apart_by_their_content(tmp_path):
    paths = [write_grey(tmp_path / f"{number}.png", [number] * 16, np.uint8) for number in range(3)]
    before, decoded = files(*paths), files(*paths).in_memory()
    assert decoded.digests([0, 1, 2]) == before.digests([0, 1, 2])
    assert decoded.names == before.names == ("0.png", "1.png", "2.png")
    write_grey(paths[1], [9] * 16, np.uint8)
    now = files(*paths).digests([0, 1, 2])
    assert [now[index] == digest for index, digest in enumerate(before.digests([0, 1, 2]))] == [True, False, True]
    paths[2].unlink()
    with pytest.raises(InputError, match=r"2\.png cannot be read \(No such file"):
        files(*paths[:2], paths[2]).digests([0, 1, 2])
    assert torch.equal(decoded.read([2]), torch.full((1, 1, 4, 4), 2, dtype=torch.uint8))


def test_a_drawing_under_the_name_of_an_image_is_not_run(tmp_path):
    """Pillow would hand PostScript to Ghostscript, whatever the file is called."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", "EPS")
    with pytest.raises(InputError, match=r"a\.png cannot be read \(it is empty, damaged or no image\)"):
        decode(tmp_path / "a.png", 4, 1)
