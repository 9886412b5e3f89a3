"""The table of known sets says what the sets themselves say."""

import dataclasses

import pytest
import tensorflow_datasets as tfds

from score_sde import data, fields
from score_sde.data import known
from score_sde.data.base import DataError


@pytest.mark.parametrize("name", [name for name in known._KNOWN if name != "digits"])
def test_the_table_agrees_with_tensorflow_datasets(name, tmp_path):
    """Shapes and classes of the builders' own features; no image is needed."""
    features = tfds.builder(name, data_dir=tmp_path).info.features
    classes = features["label"].num_classes if "label" in features else 0
    assert known._KNOWN[name] == (features["image"].shape, classes, 256)


@pytest.mark.parametrize("image_size", [None, 8, 4])
def test_digits_are_described_as_they_load(data_dir, image_size):
    loaded = data.load("digits", data_dir=data_dir, image_size=image_size).info
    described = known.describe("digits", image_size=image_size)
    nameless = tuple(dataclasses.replace(field, names=()) for field in loaded.fields)
    assert dataclasses.replace(loaded, size=0, fields=nameless, fingerprint="") == described


def test_sets_of_images_that_differ_in_size():
    assert known.describe("lsun/bedroom", image_size=256)["image"].shape == (256, 256, 3)
    with pytest.raises(DataError, match=r"differ in size: give config\.data\.image_size"):
        known.describe("lsun/bedroom")


def test_a_set_that_is_neither_known_nor_there(tmp_path):
    missing = tmp_path / "none"
    info = known.describe("folder", data_dir=str(missing), image_size=64)
    assert info.fields == (fields.image((64, 64, 3)),)
    with pytest.raises(DataError, match=r"give config\.data\.image_size"):
        known.describe("folder", data_dir=str(missing))
