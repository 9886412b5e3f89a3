"""A folder of images: order, classes, splits, shapes and errors."""

import os
import re

import numpy as np
import pytest
from made_info import described, image_info
from PIL import Image

from score_sde import data, fields


@pytest.fixture
def write(tmp_path):
    def one(name, value=0, size=(4, 4), mode="RGB"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(path)

    return one


def values(source):
    return [int(example["image"][0, 0, 0]) for example in source]


def test_every_tenth_image_is_held_out(write, tmp_path):
    for i in range(20):
        write(f"{i:02d}.png", i)
    train = data.load("folder", "train", data_dir=tmp_path)
    test = data.load("folder", "test", data_dir=tmp_path)
    assert values(test) == [9, 19]
    assert values(train) == [*range(9), *range(10, 19)]
    assert described(train) == image_info("folder", "train", 18, (4, 4, 3))
    assert "label" not in train[0]


def test_classes_are_named_over_both_splits(write, tmp_path):
    write("train/cat/1.png", 1)
    write("train/dog/2.png", 2)
    write("test/dog/deep/3.png", 3)
    train = data.load("folder", "train", data_dir=tmp_path)
    test = data.load("folder", "test", data_dir=tmp_path)
    assert train.info["label"] == test.info["label"] == fields.label(2, ("cat", "dog"))
    assert [example["label"] for example in train] == [0, 1]
    assert [example["label"] for example in test] == [1]
    assert values(test) == [3]


def test_a_loose_image_means_no_classes(write, tmp_path):
    write("cat/1.png")
    write("dog/2.png")
    write("3.png")
    assert "label" not in data.load("folder", data_dir=tmp_path).info


def test_formats_hidden_files_and_greyscale(write, tmp_path):
    for i, suffix in enumerate(("png", "JPG", "jpeg")):
        write(f"{i}.{suffix}", 100, mode="L")
    (tmp_path / "._0.png").write_bytes(b"made by a Mac")
    (tmp_path / "notes.txt").write_text("not an image")
    grey = data.load("folder", data_dir=tmp_path)
    assert grey.info["image"].shape == (4, 4, 1)
    assert values(grey) == [100] * 3
    write("3.webp", 100)
    mixed = data.load("folder", data_dir=tmp_path)
    assert mixed.info["image"].shape == (4, 4, 3)
    assert len(mixed) == 4


def test_centre_crop(tmp_path):
    pixels = np.zeros((4, 10, 3), np.uint8)
    pixels[:, 3:7] = 200  # Exactly the central square.
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    for size in (2, 4, 8):
        image = data.load("folder", data_dir=tmp_path, image_size=size)[0]["image"]
        assert image.shape == (size, size, 3)
        assert np.all(image == 200)


def test_crop_of_a_given_size(tmp_path):
    pixels = np.zeros((6, 10, 3), np.uint8)
    pixels[1:5, 3:7] = 200  # Exactly the central 4 by 4.
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    for size in (2, 4, 6, 8):
        image = data.load("folder", data_dir=tmp_path, image_size=size, crop=4)[0]["image"]
        assert image.shape == (size, size, 3)
        assert np.all(image == 200)
    larger = data.load("folder", data_dir=tmp_path, image_size=6, crop=100)[0]["image"]
    np.testing.assert_array_equal(larger, pixels[:, 2:8])


def test_errors_say_what_to_do(write, tmp_path):
    def load(split="train", data_dir=tmp_path, **kwargs):
        return data.load("folder", split, data_dir=data_dir, **kwargs)

    with pytest.raises(data.DataError, match="its path as data_dir"):
        load(data_dir=None)
    with pytest.raises(data.DataError, match="not a folder"):
        load(data_dir=tmp_path / "none")
    with pytest.raises(data.DataError, match="no PNG, JPEG or WebP"):
        load()
    write("a.png")
    with pytest.raises(data.DataError, match="use train, test"):
        load("validation")
    with pytest.raises(data.DataError, match="at least 1"):
        load(image_size=0)
    with pytest.raises(data.DataError, match=r"crop is 0: .* at least 1"):
        load(image_size=4, crop=0)
    with pytest.raises(data.DataError, match=r"crop is 4: .* and image_size"):
        load(crop=4)
    write("b.png", size=(6, 4))
    with pytest.raises(data.DataError, match=r"4x4 to 6x4\): give --config.data.image_size"):
        load()
    write("c.png", size=(64, 64))
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:60])
    with pytest.raises(data.DataError, match=r"c\.png cannot be decoded"):
        load(image_size=4)[2]
    (tmp_path / "d.png").write_bytes(b"no image")
    with pytest.raises(data.DataError, match=r"d\.png is not a readable image"):
        load(image_size=4)


def test_train_folder_without_test_folder_is_not_split_again(write, tmp_path):
    write("train/a.png")
    with pytest.raises(data.DataError, match="no test/"):
        data.load("folder", "test", data_dir=tmp_path)


@pytest.mark.parametrize("folders", [False, True], ids=["every tenth", "train and test"])
def test_channels_and_size_are_those_of_both_splits(write, tmp_path, folders):
    """Whichever split has the one image of colours, or of another size."""

    def name(i):
        part = ("test/" if i % 10 == 9 else "train/") if folders else ""
        return f"{part}{i:02d}.png"

    for i in range(20):
        write(name(i), i, mode="RGB" if i == 0 else "L")
    for split in ("train", "test"):
        source = data.load("folder", split, data_dir=tmp_path)
        assert source.info["image"].shape == source[0]["image"].shape == (4, 4, 3)
    write(name(19), size=(6, 4))
    for split in ("train", "test"):
        with pytest.raises(data.DataError, match=r"4x4 to 6x4\): give --config.data.image_size"):
            data.load("folder", split, data_dir=tmp_path)


def test_a_turned_image_has_the_size_that_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (6, 4)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("L", (4, 6)).save(tmp_path / "upright.jpg")
    assert data.load("folder", data_dir=tmp_path)[0]["image"].shape == (6, 4, 1)


def test_transparent_pixels_show_the_background(write, tmp_path):
    Image.new("LA", (4, 4), (7, 0)).save(tmp_path / "a.png")

    def first(**options):
        return data.load("folder", data_dir=tmp_path, **options)[0]["image"][0, 0].tolist()

    assert (first(), first(background="black")) == ([255], [0])
    assert first(background="#ff0000") == [255, 0, 0]
    with pytest.raises(data.DataError, match="background: 'blak' is no colour: give white"):
        first(background="blak")


def test_fewer_than_ten_images_are_all_for_training(write, tmp_path):
    for i in range(9):
        write(f"{i}.png", i)
    assert values(data.load("folder", data_dir=tmp_path)) == list(range(9))
    with pytest.raises(data.SplitError, match=r"has 9 images, .* make train/ and test/"):
        data.load("folder", "test", data_dir=tmp_path)


def test_links_add_nothing_that_is_there_already(write, tmp_path):
    for i in range(12):
        write(f"{'cat' if i < 6 else 'dog'}/{i:02d}.png", i)
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "cat" / "up").symlink_to("..")
    (tmp_path / "aaa").symlink_to("dog")
    (tmp_path / "dog" / "99.png").symlink_to("../cat/00.png")
    train, test = (data.load("folder", split, data_dir=tmp_path) for split in ("train", "test"))
    assert values(test) == [9]
    assert sorted(values(train) + values(test)) == list(range(12))
    assert train.info["label"].names == ("cat", "dog")


def test_links_that_lead_elsewhere_are_followed(write, tmp_path):
    write("store/one.png", 1)
    write("store/more/two.png", 2)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b.png").symlink_to("../store/one.png")
    (tmp_path / "set" / "a").symlink_to("../store/more")
    assert values(data.load("folder", data_dir=tmp_path / "set")) == [2, 1]


def test_an_image_is_in_one_split(write, tmp_path):
    write("train/a.png")
    write("train/b.png")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "x.png").symlink_to("../train/a.png")
    with pytest.raises(
        data.DataError, match=r"test/x\.png is .*train/a\.png: images that are held"
    ):
        data.load("folder", data_dir=tmp_path)


def damage(path):
    """Cut an image off; its header stays as it is."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:70])


def test_damage_is_one_line_through_the_threads_of_the_pipeline(write, tmp_path):
    for i in range(12):
        write(f"{i:02d}.png", i)
    damage(tmp_path / "05.png")
    source = data.load("folder", data_dir=tmp_path)
    batches = data.train_batches(source, batch_size=11, seed=0)
    with pytest.raises(data.DataError, match=r"05\.png cannot be decoded \(.*: remove or") as error:
        next(batches)
    assert "\n" not in str(error.value)


def test_damaged_images_are_left_out_and_counted(write, tmp_path):
    """The others stay in the split that they were in."""
    for i in range(20):
        write(f"{i:02d}.png", i)
    whole = data.load("folder", data_dir=tmp_path, skip_damaged=True)
    assert (len(whole), whole.note) == (18, "")
    damage(tmp_path / "05.png")
    (tmp_path / "09.png").write_bytes(b"no image")
    (tmp_path / "10.png").unlink()
    os.mkfifo(tmp_path / "10.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    train, test = (
        data.load("folder", split, data_dir=tmp_path, skip_damaged=True)
        for split in ("train", "test")
    )
    assert values(test) == [19]
    assert values(train) == [*range(5), 6, 7, 8, *range(11, 19)]
    said = r"3 of 19 images are damaged and left out, the first: .*05\.png cannot be decoded \("
    assert re.match(said, train.note)
    assert test.note.startswith("1 of 2 images are damaged")
    assert train.info.fingerprint != whole.info.fingerprint
