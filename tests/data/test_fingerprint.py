"""The fingerprint of examples: it changes when they do, and with nothing else."""

import shutil

import numpy as np
from PIL import Image

from score_sde import data
from score_sde.data import arrays


def of(*arguments, **options):
    return data.load(*arguments, **options).info.fingerprint


def test_of_a_folder_names_and_sizes_count_and_not_where_it_lies(tmp_path):
    here = tmp_path / "here"
    for folder, n in (("cat", 3), ("dog", 3)):
        (here / folder).mkdir(parents=True)
        for i in range(n):
            Image.new("L", (4, 4), 9 * i).save(here / folder / f"{i}.png")
    before = of("folder", data_dir=here)
    shutil.copytree(here, tmp_path / "there")
    assert of("folder", data_dir=tmp_path / "there") == before
    assert of("folder", data_dir=here, image_size=8) == before  # data.image_size is compared itself
    (here / "dog").rename(here / "cow")
    renamed = of("folder", data_dir=here)
    assert renamed != before
    Image.new("L", (40, 4)).save(here / "cow" / "0.png")
    assert of("folder", data_dir=here, image_size=4) not in (before, renamed)


def test_of_arrays_the_values_count_and_not_what_holds_them(tmp_path):
    images = np.arange(20 * 12, dtype=np.uint8).reshape(20, 2, 2, 3)
    before = arrays.source(images).info.fingerprint
    np.save(tmp_path / "a.npy", np.asfortranarray(images))
    np.savez(tmp_path / "b.npz", train_image=images[np.arange(20) % 10 < 9], test_image=images[:1])
    assert of("arrays", data_dir=tmp_path / "a.npy") == before
    assert of("arrays", data_dir=tmp_path / "b.npz") == before
    assert arrays.source(images, hold_out=4).info.fingerprint != before
    assert arrays.source(images[:, ::-1]).info.fingerprint != before
    assert arrays.source({"picture": images}).info.fingerprint != before


def test_of_values_that_are_read_in_parts_all_count(monkeypatch):
    values = np.arange(30.0).reshape(10, 3)
    whole = arrays.source({"train": values}).info.fingerprint
    monkeypatch.setattr(arrays, "_CHUNK", 7)
    assert arrays.source({"train": values}).info.fingerprint == whole
    values[9, 2] += 1
    assert arrays.source({"train": values}).info.fingerprint != whole


def test_of_a_large_set_some_examples_count(monkeypatch):
    """Evenly spaced, the first and the last among them; no others are read."""
    monkeypatch.setattr(arrays, "_HASHED", 3 * arrays._PAGE)
    values = np.zeros((2001, 4), np.float32)

    def changed(row):
        there = values.copy()
        there[row] = 1
        return arrays.source({"train": there}).info.fingerprint

    found = {row: changed(row) for row in (0, 999, 1000, 2000)}
    assert len(set(found.values())) == 4
    assert found[999] == arrays.source({"train": values}).info.fingerprint


def test_of_a_tfds_set_the_slice_counts(digits_dir):
    splits = ("train", "test", "train[:100]", "train[100:200]")
    found = {split: of("digits", split, data_dir=digits_dir) for split in splits}
    assert len(set(found.values())) == 4
    assert of("digits", "train[100:200]", data_dir=digits_dir) == found["train[100:200]"]


def test_made_points_are_the_same_every_time():
    assert of("moons", "test") == of("moons", "test") != of("moons", "train")
