"""TFDS sets: real CIFAR-10, cropping, errors, and no TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

from score_sde import data


@pytest.fixture
def cifar_dir(shared):
    return shared / "data" / "tfds"


def test_cifar10_agrees_with_tfds_own_decoder(cifar_dir):
    import tensorflow_datasets as tfds

    source = data.load("cifar10", "test", data_dir=cifar_dir)
    assert source.info.size == len(source) == 9980
    assert source.info.shape == (32, 32, 3)
    assert source.info.levels == 256
    assert source.info.label_names[3] == "cat"
    reference = tfds.data_source("cifar10", split="test", data_dir=cifar_dir)
    for index in (0, 4321, 9979):
        example = source[index]
        assert np.array_equal(example["image"], reference[index]["image"])
        assert example["label"] == reference[index]["label"]
        assert type(example["label"]) is int


def test_image_size_averages_areas(cifar_dir):
    full = data.load("cifar10", "test[:4]", data_dir=cifar_dir)
    half = data.load("cifar10", "test[:4]", data_dir=cifar_dir, image_size=16)
    assert half.info.shape == (16, 16, 3)
    assert len(half) == 4
    means = full[1]["image"].reshape(16, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(half[1]["image"] - means).max() <= 1  # Pillow rounds after each of two passes.


def test_resized_digits_no_longer_have_17_levels(digits_dir):
    assert data.load("digits", data_dir=digits_dir, image_size=8).info.levels == 17
    assert data.load("digits", data_dir=digits_dir, image_size=16).info.levels == 256


@pytest.mark.parametrize(
    ("name", "split", "says"),
    [
        ("mnist", "train", r"`python -m score_sde.data prepare mnist --data_dir=.*\[prepare\]"),
        ("cifar_10", "train", "did you mean cifar10"),
        ("digit", "train", "did you mean digits"),
        ("huggingface:mnist", "train", "unknown data set"),
        ("xqzw", "train", "unknown data set"),
        ("digits", "validation", "use test, train|use train, test"),
        ("digits", "train[5:x]", "cannot read split"),
        ("celeb_a_hq/7", "train", "cannot open celeb_a_hq/7"),
    ],
)
def test_errors_say_what_to_do_in_one_line(digits_dir, name, split, says):
    with pytest.raises(data.DataError, match=says) as error:
        data.load(name, split, data_dir=digits_dir)
    assert "\n" not in str(error.value)


def test_negative_and_out_of_range_positions(digits_dir):
    source = data.load("digits", "test", data_dir=digits_dir)
    assert np.array_equal(source[-1]["image"], source[499]["image"])
    with pytest.raises(IndexError):
        source[500]


def test_tensorflow_is_never_even_looked_for(digits_dir, cifar_dir):
    # TensorFlow is not installed where these tests run, so a failed import is what has to be seen.
    program = """
import sys
tried = []
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            tried.append(name)
sys.meta_path.insert(0, Finder())
import score_sde.data as data
light = [m for m in ("grain", "tensorflow_datasets", "PIL", "sklearn") if m in sys.modules]
assert not light, light
for name, folder in (("digits", sys.argv[1]), ("cifar10", sys.argv[2])):
    source = data.load(name, "test", data_dir=folder)
    next(data.train_batches(source, batch_size=4, seed=0))
    next(data.eval_batches(source, 4))
assert "tensorflow" not in sys.modules and not tried, tried
"""
    run = subprocess.run(
        [sys.executable, "-c", program, digits_dir, cifar_dir], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
