"""The door to images: which are let in, and what their pixels are."""

import importlib.util
import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from score_sde import images

RAMP = np.arange(256, dtype=np.uint16)[None] * 257


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(data, **options):
    """Mode and first pixel, which the header must have foreseen."""
    found = images.read(data, **options)
    header = images.header(data, background=options.get("background", images.WHITE))
    assert header == images.Header(found.size, {"L": 1, "RGB": 3}[found.mode])
    return found.mode, found.getpixel((0, 0))


@pytest.mark.parametrize(
    ("mode", "value", "options", "expected"),
    [
        ("1", 1, {}, ("L", 255)),
        ("L", 7, {}, ("L", 7)),
        ("LA", (7, 255), {}, ("L", 7)),
        ("LA", (7, 0), {}, ("L", 255)),  # hidden: the background shows
        ("L", 7, {"transparency": 7}, ("L", 255)),
        ("1", 0, {"transparency": 0}, ("L", 255)),
        ("RGB", (1, 2, 3), {}, ("RGB", (1, 2, 3))),
        ("RGB", (1, 2, 3), {"transparency": (1, 2, 3)}, ("RGB", (255, 255, 255))),
        ("RGBA", (1, 2, 3, 0), {}, ("RGB", (255, 255, 255))),
        ("RGBA", (9, 9, 9, 128), {}, ("RGB", (132, 132, 132))),  # 9 + (1 - 128/255) 246 = 131.5
        ("P", 1, {}, ("RGB", (40, 50, 60))),
        ("P", 1, {"transparency": 1}, ("RGB", (255, 255, 255))),
        ("P", 1, {"transparency": b"\xff\x80"}, ("RGB", (147, 152, 157))),
        ("CMYK", (0, 255, 255, 0), {"form": "JPEG"}, ("RGB", (255, 0, 0))),
        ("RGBA", (1, 2, 3, 0), {"form": "WEBP", "lossless": True}, ("RGB", (255, 255, 255))),
    ],
)
def test_every_mode_is_eight_bits_of_what_is_seen(mode, value, options, expected):
    image = Image.new(mode, (2, 2), value)
    if mode == "P":
        image.putpalette([10, 20, 30, 40, 50, 60])
    assert pixels(encoded(image, **options)) == expected


def test_what_is_transparent_lies_on_the_background():
    image = encoded(Image.new("LA", (2, 2), (7, 0)))
    assert pixels(image, background=images.BLACK) == ("L", 0)
    assert pixels(image, background=(10, 0, 0)) == ("RGB", (10, 0, 0))
    opaque = encoded(Image.new("L", (2, 2), 7))
    assert pixels(opaque, background=(10, 0, 0)) == ("L", 7)


def test_grey_of_16_bits_is_divided_by_257():
    """And not cut at 255: a ramp stays one, in one channel."""
    np.testing.assert_array_equal(
        np.asarray(images.read(encoded(Image.fromarray(RAMP))))[0], range(256)
    )
    near = Image.fromarray(np.array([[128, 129, 65535 - 129]], np.uint16))
    assert np.asarray(images.read(encoded(near))).tolist() == [[0, 1, 254]]
    hidden = images.read(encoded(Image.fromarray(RAMP), transparency=257))
    assert np.asarray(hidden)[0, :3].tolist() == [0, 255, 2]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_images_are_turned_as_their_exif_data_say(form):
    """As Pillow itself turns them; the header knows the size."""
    values = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    quality = {"PNG": {}, "JPEG": {"quality": 100}, "WEBP": {"lossless": True}}[form]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.fromarray(np.stack([values] * 3, -1)), form, exif=exif, **quality)
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        assert images.header(data).size == expected.size
        np.testing.assert_array_equal(np.asarray(images.read(data)), np.asarray(expected))


def test_damaged_exif_data_say_nothing(recwarn):
    unknown = []
    for orientation in (0, 9, 6 * 256, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        unknown.append(exif.tobytes())
    for exif in (
        b"",
        b"II",
        b"MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        *unknown,
    ):
        data = encoded(Image.new("L", (3, 2)), "JPEG", exif=exif)
        assert images.header(data).size == images.read(data).size == (3, 2)
    assert not recwarn.list


@pytest.mark.parametrize("form", ["EPS", "GIF", "BMP", "TIFF", "PPM"])
def test_only_three_formats_are_images(form, tmp_path, monkeypatch):
    """Whatever a name claims; for some of the others Pillow starts a program."""
    monkeypatch.setattr("subprocess.check_call", lambda *a, **k: pytest.fail("started a program"))
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path, form)
    for look in (images.header, images.read):
        with pytest.raises(images.ImageError, match=r"a\.png is not a readable image: .* no PNG"):
            look(path)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to("nowhere")
    for name, reason in (
        ("pipe.png", "no regular file"),
        ("folder.png", "no regular file"),
        ("broken.png", "No such file"),
    ):
        with pytest.raises(images.ImageError, match=f"{name} .*{reason}"):
            images.read(tmp_path / name)
    with pytest.raises(images.ImageError, match="no regular file"):
        images.read("/dev/zero")


def test_a_disk_that_fails_is_one_line():
    """Reading a process's memory at 0 fails as a broken disk does."""
    with pytest.raises(images.ImageError, match=r"is not a readable image \(.*Input/output error"):
        images.read(Path("/proc/self/mem"))


def test_pillow_warns_of_nothing(recwarn):
    """Of an animation that is damaged it would, beside what is raised or read."""
    images._kinds.cache_clear()
    data = encoded(Image.new("L", (4, 4)), save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    count = data.index(b"acTL") + 4
    body = b"acTL" + bytes(8)  # no pictures
    damaged = data[: count - 4] + body + struct.pack(">I", zlib.crc32(body)) + data[count + 12 :]
    assert images.read(damaged).getextrema() == (0, 0)
    assert not recwarn.list


def test_sizes_are_checked_before_anything_is_decoded(tmp_path, monkeypatch, recwarn):
    bomb = bytearray(encoded(Image.new("1", (8, 8))))
    bomb[16:24] = np.array([20_000, 20_000], ">u4").tobytes()  # Pillow would warn, or raise
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    for look in (images.header, images.read, images.about):
        with pytest.raises(
            images.ImageError, match="20000x20000 pixels: an image can have 134,217"
        ):
            look(bytes(bomb), "it")
    monkeypatch.setattr(images, "MOST_BYTES", 10)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(images.ImageError, match="larger"):
        images.header(tmp_path / "a.png")
    assert not recwarn.list


def test_a_png_says_what_it_is_without_being_decoded(tmp_path):
    """In ASCII before its pixels; other formats and other texts say nothing."""
    info = PngInfo()
    info.add_text(images.KEYWORD, '{"step": 8}')
    said = encoded(Image.new("L", (8, 8)), pnginfo=info)
    assert images.about(said) == '{"step": 8}'
    assert images.about(said[: said.index(b"IDAT") + 6]) == '{"step": 8}'
    for form in ("PNG", "JPEG", "WEBP"):
        assert images.about(encoded(Image.new("L", (8, 8)), form)) == ""


def test_a_system_without_posix_flags_reads_files(tmp_path, monkeypatch):
    """Windows has neither O_NONBLOCK nor O_CLOEXEC."""
    for name in ("O_NONBLOCK", "O_CLOEXEC"):
        monkeypatch.delattr(os, name)
    spec = importlib.util.find_spec("score_sde.images")
    there = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "score_sde.images", there)
    spec.loader.exec_module(there)
    Image.new("L", (8, 9), 7).save(tmp_path / "a.png")
    assert there.header(tmp_path / "a.png").size == (8, 9)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_damage_is_one_line_that_names_the_image(form):
    rng = np.random.default_rng(0)
    whole = encoded(Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)), form)
    said = []
    for _ in range(60):
        data = bytearray(whole[: rng.integers(12, len(whole))] if rng.random() < 0.5 else whole)
        for at in rng.integers(12, len(data) + 1, 3):
            data[at : at + 2] = rng.bytes(2)
        try:
            images.read(bytes(data), "this one")
        except images.ImageError as error:
            said.append(str(error))
    assert len(said) > 15
    assert all(line.startswith("this one ") and "\n" not in line for line in said)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_the_first_pictures_of_an_animation(form, tmp_path):
    """Each as `read` gives one: on white, of the size that is asked for; too few are one line."""
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (3, 6, 8, 4), np.uint8)
    shown[:, :2, :, 3], shown[:, 2:, :, 3] = 0, 255
    first, *more = (Image.fromarray(one) for one in shown)
    path = tmp_path / "clip"
    options = {"lossless": True} if form == "WEBP" else {}
    path.write_bytes(encoded(first, form, save_all=True, append_images=more, **options))
    found = images.frames(path, 2, (6, 8), 3)
    assert (found[:, :2] == 255).all()
    np.testing.assert_array_equal(found[:, 2:], shown[:2, 2:, :, :3])
    assert images.frames(path, 3, (3, 4), 1).shape == (3, 3, 4, 1)
    with pytest.raises(images.ImageError, match=r"clip shows 3 pictures, and 4 are needed: give"):
        images.frames(path, 4, (6, 8), 3)
    said = []
    whole = path.read_bytes()
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(12, len(data) - 2, 5):
            data[at : at + 2] = rng.bytes(2)
        path.write_bytes(data)
        try:
            images.frames(path, 3, (6, 8), 3)
        except images.ImageError as error:
            said.append(str(error))
    assert len(said) > 10
    assert all(line.startswith(f"{path} ") and "\n" not in line for line in said)


def test_colours_are_named_or_six_digits():
    assert images.color("white") == (255, 255, 255)
    assert images.color("#0a141E") == (10, 20, 30)
    for text in ("whit", "#12", "rgb(1,2,3)", ""):
        with pytest.raises(ValueError, match="is no colour: give white, black"):
            images.color(text)


def test_there_is_no_other_door():
    package = Path(images.__file__).parent
    opening = [path.name for path in package.rglob("*.py") if "Image.open(" in path.read_text()]
    assert opening == []
