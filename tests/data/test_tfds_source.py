"""TFDS sets: real CIFAR-10, cropping, errors, and no TensorFlow."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from score_sde import data


@pytest.fixture
def cifar_dir(shared):
    return shared / "data" / "tfds"


def test_cifar10_agrees_with_tfds_own_decoder(cifar_dir):
    import tensorflow_datasets as tfds

    source = data.load("cifar10", "test", data_dir=cifar_dir)
    assert source.info.size == len(source) == 9980
    assert source.info["image"].shape == (32, 32, 3)
    assert source.info["image"].values == 256
    assert source.info["label"].names[3] == "cat"
    reference = tfds.data_source("cifar10", split="test", data_dir=cifar_dir)
    for index in (0, 4321, 9979):
        example = source[index]
        assert np.array_equal(example["image"], reference[index]["image"])
        assert example["label"] == reference[index]["label"]
        assert type(example["label"]) is int


def test_image_size_averages_areas(cifar_dir):
    full = data.load("cifar10", "test[:4]", data_dir=cifar_dir)
    half = data.load("cifar10", "test[:4]", data_dir=cifar_dir, image_size=16)
    assert half.info["image"].shape == (16, 16, 3)
    assert len(half) == 4
    means = full[1]["image"].reshape(16, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(half[1]["image"] - means).max() <= 1  # Pillow rounds after each of two passes.


def test_crop_of_a_given_size(cifar_dir):
    full = data.load("cifar10", "test[:4]", data_dir=cifar_dir)
    middle = data.load("cifar10", "test[:4]", data_dir=cifar_dir, image_size=16, crop=16)
    np.testing.assert_array_equal(middle[1]["image"], full[1]["image"][8:24, 8:24])
    assert middle.info["image"].shape == (16, 16, 3)
    # The set's own size, but from fewer pixels.
    zoomed = data.load("cifar10", "test[:4]", data_dir=cifar_dir, image_size=32, crop=16)
    assert not np.array_equal(zoomed[1]["image"], full[1]["image"])


def test_resized_digits_no_longer_have_17_levels(digits_dir):
    assert data.load("digits", data_dir=digits_dir, image_size=8).info["image"].values == 17
    assert data.load("digits", data_dir=digits_dir, image_size=16).info["image"].values == 256


@pytest.mark.parametrize(
    ("name", "split", "says"),
    [
        ("mnist", "train", r"`python -m score_sde.data prepare mnist --data_dir=.*\[prepare\]"),
        ("cifar_10", "train", "did you mean cifar10"),
        ("digit", "train", "did you mean digits"),
        ("huggingface:mnist", "train", "unknown data set"),
        ("xqzw", "train", "unknown data set"),
        ("/tmp", "train", "'/tmp': it is a path: the set is 'folder', with the path as data_dir"),
        (__file__, "train", "it is a path: the set is 'arrays', with the path as data_dir"),
        ("digits", "validation", "use test, train|use train, test"),
        ("digits", "train[5:x]", "cannot read split"),
        ("cifar10:9.0.0", "train", "cifar10:9.0.0 is not prepared in"),
        ("celeb_a_hq/7", "train", "no variant '7': use .*256"),
    ],
)
def test_errors_say_what_to_do_in_one_line(digits_dir, name, split, says):
    with pytest.raises(data.DataError, match=says) as error:
        data.load(name, split, data_dir=digits_dir)
    assert "\n" not in str(error.value)


def test_a_set_of_the_users_own_needs_only_its_files(digits_dir, tmp_path):
    shutil.copytree(digits_dir / "digits" / "1.0.0", tmp_path / "my_digits" / "1.0.0")
    for path in (tmp_path / "my_digits" / "1.0.0").iterdir():
        if path.suffix == ".json":
            path.write_text(path.read_text().replace('"digits"', '"my_digits"'))
        path.rename(path.with_name(path.name.replace("digits-", "my_digits-")))
    source = data.load("my_digits", "test", data_dir=tmp_path)
    assert source.info["image"].shape == (8, 8, 1)
    assert np.array_equal(
        source[3]["image"], data.load("digits", "test", data_dir=digits_dir)[3]["image"]
    )


@pytest.fixture
def pictures(digits_dir, tmp_path):
    """A set of TFDS's form that anyone may have written, of these encoded images."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2

    def write(*images):
        folder = tmp_path / "pictures" / "1.0.0"
        shutil.copytree(digits_dir / "digits" / "1.0.0", folder)
        about = json.loads((folder / "dataset_info.json").read_text())
        train = next(split for split in about["splits"] if split["name"] == "train")
        train["shardLengths"] = [str(len(images))]
        about |= {"name": "pictures", "splits": [train]}
        (folder / "dataset_info.json").write_text(json.dumps(about))
        writer = ArrayRecordWriter(
            str(folder / "pictures-train.array_record-00000-of-00001"), "group_size:1"
        )
        for i, image in enumerate(images):
            example = tf_example_pb2.Example()
            example.features.feature["image"].bytes_list.value.append(image)
            example.features.feature["label"].int64_list.value.append(i)
            example.features.feature["more"].bytes_list.value.append(b"of no meaning here")
            writer.write(example.SerializeToString())
        writer.close()
        return tmp_path

    return write


def encoded(form="PNG", value=7, size=(8, 8)):
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, form)
    return buffer.getvalue()


def test_images_come_through_the_door_and_are_named(pictures):
    """Not through TFDS, whose decoder asks Pillow for any format."""
    folder = pictures(encoded("JPEG"), encoded("EPS"), encoded(size=(9, 8)))
    source = data.load("pictures", data_dir=folder)
    assert source[0]["image"][0, 0] == 7
    for index, said in ((1, "is not a readable image: it holds no PNG"), (2, "is 9x8, not 8x8")):
        with pytest.raises(
            data.DataError, match=f"image {index} of split 'train' of pict.* {said}"
        ):
            source[index]


def test_damaged_images_are_left_out_and_counted(pictures):
    folder = pictures(encoded(value=0), encoded()[:45], b"", encoded(value=3))
    source = data.load("pictures", data_dir=folder, skip_damaged=True)
    assert [(int(one["image"][0, 0, 0]), one["label"]) for one in source] == [(0, 0), (3, 3)]
    said = "2 of 4 images are damaged and left out, the first: image 1 of split 'train' of pictures"
    assert source.note.startswith(said)
    assert source.info.fingerprint != data.load("pictures", data_dir=folder).info.fingerprint


def test_negative_and_out_of_range_positions(digits_dir):
    source = data.load("digits", "test", data_dir=digits_dir)
    assert np.array_equal(source[-1]["image"], source[499]["image"])
    with pytest.raises(IndexError):
        source[500]


def test_tensorflow_is_never_imported_even_where_it_is_installed(
    digits_dir, cifar_dir, tmp_path, python
):
    # A decoy that is found like TensorFlow and leaves a trace when it is imported.
    trace = tmp_path / "imported"
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(f"open({str(trace)!r}, 'w').close()")
    program = """
import sys
import score_sde.data as data
light = {"grain", "tensorflow_datasets", "PIL", "sklearn"} & set(sys.modules)
assert not light, light
for name, folder in (("digits", sys.argv[1]), ("cifar10", sys.argv[2])):
    source = data.load(name, "test", data_dir=folder)
    next(data.train_batches(source, batch_size=4, seed=0))
    next(data.eval_batches(source, 4))
assert "tensorflow" not in sys.modules
import importlib.util
assert importlib.util.find_spec("tensorflow")
"""
    run = python("-c", program, digits_dir, cifar_dir, first_on_path=[str(tmp_path)])
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err) == (0, "", "")
    assert not trace.exists()
