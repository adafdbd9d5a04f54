"""Images of every mode in every format that Pillow writes are read as a plain implementation reads them, or refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasplug.data.decoding import decode, image_formats
from nasplug.data.encoded_images import MAX_BYTES
from nasplug.errors import InputError

SIDE = 8
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
Image.init()
FORMATS = sorted(set(Image.SAVE) & set(image_formats()) - {"ICNS", "IM"})
"""ICNS has no image as small as these, and IM is deprecated."""
RANDOM = np.random.default_rng(0)
LOSSLESS = {"PNG": ".png", "TIFF": ".tif", "BMP": ".bmp", "PPM": ".ppm", "TGA": ".tga", "QOI": ".qoi", "PCX": ".pcx"}


def noise(*shape: int, top: int = 256) -> np.ndarray:
    values = RANDOM.integers(0, top, shape)
    values.flat[0] = top - 1  # so that the largest number of bits is used
    return values


def make_image(mode: str) -> Image.Image:
    if mode == "I":
        return Image.fromarray(noise(SIDE, SIDE, top=1 << 16).astype(np.int32))
    if mode == "I;16":
        return Image.fromarray(noise(SIDE, SIDE, top=1 << 16).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(RANDOM.random((SIDE, SIDE)).astype(np.float32))
    colours = Image.fromarray(noise(SIDE, SIDE, 4).astype(np.uint8))
    if mode in ("1", "PA", "RGBa"):
        return colours.convert(mode)
    if mode == "P":
        return colours.convert("RGB").quantize(16)
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (SIDE, SIDE), noise(SIDE, SIDE, bands).astype(np.uint8).tobytes())


def encode(image: Image.Image, kind: str) -> bytes | None:
    """The file; None for modes that a format does not have."""
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **({"sizes": [image.size]} if kind == "ICO" else {}))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stream.getvalue()


def read_plainly(content: bytes) -> np.ndarray:
    """RGB (H, W, 3) of the first frame, transparency on white, values of 16 bits divided by 65535."""
    with Image.open(io.BytesIO(content)) as image:
        image.seek(0)
        if image.mode.startswith("I"):
            return np.repeat((np.array(image).astype(np.int64) * 255 // 65535)[..., None], 3, 2)
        if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
            pixels = np.array(image.convert("RGBA")).astype(float)
            share = pixels[..., 3:] / 255
            return np.round(pixels[..., :3] * share + 255 * (1 - share)).astype(np.int64)
        return np.array(image.convert("RGB")).astype(np.int64)


def read(path: Path) -> np.ndarray:
    return decode(path, SIDE, 3, bits=16).permute(1, 2, 0).numpy().astype(np.int64)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_mode_in_every_format(tmp_path, kind):
    path = tmp_path / "image"
    written = 0
    for mode in MODES:
        content = encode(make_image(mode), kind)
        if content is None:
            continue
        written += 1
        path.write_bytes(content)
        with Image.open(path) as image:
            mode_in_file = image.mode
        if mode_in_file == "F":
            with pytest.raises(
                InputError, match=rf"^The image file {path} cannot be read \(its pixels are floating-point"
            ):
                read(path)
            continue
        difference = np.abs(read(path) - read_plainly(content))
        assert difference.max() <= 1, mode  # of two ways to round a mixture with white
        assert difference.max() == 0 or "A" in mode_in_file, mode
    assert written > 0


@pytest.mark.parametrize(("kind", "suffix"), LOSSLESS.items())
def test_formats_without_loss_give_the_pixels_that_were_written(tmp_path, kind, suffix):
    pixels = noise(SIDE, SIDE, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    assert np.array_equal(read(tmp_path / f"a{suffix}"), pixels)
    if kind != "QOI":
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"b{suffix}", kind)
        assert np.array_equal(decode(tmp_path / f"b{suffix}", SIDE, 1)[0].numpy(), pixels[..., 0])


TURNED = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen, -1),
    7: lambda seen: seen[::-1, ::-1].swapaxes(0, 1),
    8: lambda seen: np.rot90(seen),
}
"""How what a camera has recorded is turned by a viewer, by the orientation: TIFF 6.0, page 36."""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_format_that_has_one(tmp_path, kind, orientation):
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {kind}")
    row, column = np.mgrid[:64, :64]
    recorded = np.stack([2 * row + column, 3 * column, 255 - 3 * row], -1).astype(np.uint8)
    image = Image.fromarray(recorded)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a", kind, exif=exif, **({"quality": 100} if kind not in ("PNG", "TIFF") else {}))
    pixels = decode(tmp_path / "a", 64, 3).permute(1, 2, 0).numpy().astype(int)
    difference = np.abs(pixels - TURNED[orientation](recorded))
    assert difference.mean() < (0.01 if kind in ("PNG", "TIFF") else 4)


def write_png(path: Path, colour_type: int, planes: int, values: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG of 16 bits per value, which Pillow cannot write; `values` are (H, W, planes)."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.reshape(height, width * planes))
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (head, *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("colour_type", "planes"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_every_kind_of_png_with_16_bits(tmp_path, colour_type, planes):
    values = noise(SIDE, SIDE, planes, top=1 << 16)
    pixels = read(write_png(tmp_path / "a.png", colour_type, planes, values))
    if planes == 1:
        assert np.array_equal(pixels, np.repeat(values * 255 // 65535, 3, 2))
        return
    upper = values >> 8
    colours = upper[..., : 3 if planes > 2 else 1]
    share = upper[..., -1:] / 255 if planes in (2, 4) else np.ones((SIDE, SIDE, 1))
    assert np.abs(pixels - np.round(colours * share + 255 * (1 - share))).max() <= 1


def test_a_transparent_grey_of_16_bits_becomes_white(tmp_path):
    values = np.full((SIDE, SIDE, 1), 1000)
    values[0, 0] = 65535
    values[:, 4:] = 300
    path = write_png(tmp_path / "a.png", 0, 1, values, (b"tRNS", struct.pack(">H", 300)))
    pixels = read(path)
    assert (pixels[1:, :4] == 1000 * 255 // 65535).all()
    assert (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_read(tmp_path, kind):
    if kind not in Image.SAVE_ALL:
        pytest.skip(f"this Pillow does not write {kind} of several frames")
    frames = [Image.new("RGB", (SIDE, SIDE), (level, level, level)) for level in (40, 120, 200)]
    frames[0].save(tmp_path / "a", kind, save_all=True, append_images=frames[1:])
    assert np.abs(read(tmp_path / "a") - 40).max() <= 2


def whole_files() -> dict[str, bytes]:
    image = Image.fromarray(noise(64, 64, 3).astype(np.uint8))
    return {kind: content for kind in FORMATS if kind != "SPIDER" and (content := encode(image, kind)) is not None}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "content"), whole_files().items())
def test_a_file_of_which_a_part_is_missing_is_refused_by_name(tmp_path, kind, content):
    path = tmp_path / "part.img"
    for share in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=rf"^The image file {path} cannot be read \(.+\); repair or remove it\.$"):
            decode(path, SIDE, 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "content"), whole_files().items())
def test_a_file_with_wrong_bytes_is_read_or_refused_by_name(tmp_path, kind, content):
    path = tmp_path / "damaged.img"
    generator = np.random.default_rng(3)
    for _ in range(8):
        damaged = bytearray(content)
        # Most of them in the first bytes, where a wrong one says most.
        for place in (generator.random(4) ** 3 * len(damaged)).astype(int):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            assert decode(path, SIDE, 3).shape == (3, SIDE, SIDE)
        except InputError as refusal:
            assert str(refusal).startswith(f"The image file {path} cannot be read (")  # noqa: PT017 - it need not fail


def test_the_content_counts_and_not_the_name(tmp_path):
    pixels = noise(SIDE, SIDE, 3).astype(np.uint8)
    for name, kind in (("a.jpg", "PNG"), ("b.png", "TIFF"), ("c", "BMP"), ("d.TXT", "QOI")):
        Image.fromarray(pixels).save(tmp_path / name, kind)
        assert np.array_equal(read(tmp_path / name), pixels)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 1000,
        b"A text, not an image.",
        b"<html><body>404</body></html>",
        b"PK\3\4" + b"\0" * 60,
        b"\xff\xd8",
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^The image file {path} cannot be read \(.+\); repair or remove it\.$"):
        decode(path, SIDE, 3)


@pytest.mark.parametrize("width", [100_000, 2**31 - 1])
def test_a_small_file_of_a_huge_image_is_refused_before_it_is_decoded(tmp_path, width):
    head = (b"IHDR", struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0))
    path = write_png(tmp_path / "bomb.png", 0, 1, np.zeros((1, 1, 1)))
    start = path.read_bytes().index(b"IHDR")
    checked = head[0] + head[1]
    content = path.read_bytes()
    path.write_bytes(content[:start] + checked + struct.pack(">I", zlib.crc32(checked)) + content[start + 21 :])
    with pytest.raises(InputError, match=r"bomb\.png cannot be read \((it has|Image size).* pixels"):
        decode(path, SIDE, 3)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(InputError, match=r"huge\.png cannot be read \(it has 1,073,741,825 bytes, and at most"):
        decode(path, SIDE, 3)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("target", ["pipe", "/dev/zero", "/dev/null"])
def test_what_never_ends_is_not_opened(tmp_path, target):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.png").symlink_to(tmp_path / target)
    with pytest.raises(InputError, match=r"a\.png cannot be read \(it is a device or pipe, not a regular file\)"):
        decode(tmp_path / "a.png", SIDE, 3)


def test_links_are_followed_and_folders_are_no_images(tmp_path):
    pixels = noise(SIDE, SIDE, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "real.png")
    (tmp_path / "link.jpg").symlink_to("real.png")
    assert np.array_equal(read(tmp_path / "link.jpg"), pixels)
    (tmp_path / "gone.png").symlink_to("nothing.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "folder.png").mkdir()
    for name, reason in (("gone", "No such file"), ("loop", "symbolic links"), ("folder", "Is a directory")):
        with pytest.raises(InputError, match=rf"{name}\.png cannot be read \(.*{reason}"):
            decode(tmp_path / f"{name}.png", SIDE, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(InputError, match=r"a\.png cannot be read \(Permission denied\)"):
        decode(tmp_path / "a.png", SIDE, 3)
