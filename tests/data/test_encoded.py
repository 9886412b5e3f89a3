"""Data sets of latents: what is written is read, and what is wrong is said in a line."""

import json

import numpy as np
import pytest

from score_sde import data, fields
from score_sde.data import DataError, Info, SplitError, encoded

FIELDS = (fields.gaussian((4, 2, 3)), fields.label(3, ("a", "b", "c")), fields.text(5))


@pytest.fixture
def written(tmp_path):
    """A folder with one split, and its arrays."""
    rng = np.random.default_rng(0)
    arrays = {
        "latent": rng.standard_normal((7, 4, 2, 6)).astype(np.float32),
        "label": np.arange(7, dtype=np.int32) % 3,
        "text": fields.encode_texts(["one", "two", ""] + 4 * ["three"], 5),
    }
    (tmp_path / "train").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "train" / f"{name}.npy", array)
    info = Info("encoded", "train", 7, FIELDS, "ab")
    encoded.write_index(tmp_path, {"train": info}, {"note": "of made-up images"})
    return tmp_path, arrays, info


def test_what_is_written_is_read(written):
    """Fields with all that is known of them, names of classes too."""
    folder, arrays, info = written
    source = data.load("encoded", "train", data_dir=folder)
    assert source.info == info
    assert source.note == "of made-up images"
    assert source.info["latent"].shape == (4, 2, 6)  # mean and deviation of three channels
    rows = np.array([6, 0, 6])
    for name, values in source.gather(rows).items():
        np.testing.assert_array_equal(values, arrays[name][rows])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("encoded.json", None, "is no data set of latents: make one with"),
        ("encoded.json", b"[]", "is damaged .is not a JSON object.: make it again"),
        ("train/label.npy", None, "label.npy is damaged .*No such file"),
        ("train/label.npy", np.zeros(6, np.int32), "label.npy is damaged .it is another array"),
        ("train/latent.npy", np.zeros(7, object), "latent.npy is damaged"),
    ],
)
def test_what_is_damaged_is_said(written, name, content, message):
    path = written[0] / name
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=message) as error:
        data.load("encoded", data_dir=written[0])
    assert "\n" not in str(error.value)


def test_an_index_that_was_changed_is_refused(written):
    path = written[0] / "encoded.json"
    values = json.loads(path.read_text())
    values["note"] = "of others"
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="was changed since it was written"):
        data.load("encoded", data_dir=written[0])


def test_what_there_is_not_is_said(written):
    with pytest.raises(SplitError, match="has no split 'test': use train"):
        data.load("encoded", "test", data_dir=written[0])
    with pytest.raises(DataError, match=r"need data_dir \(config.data.dir\), the folder that"):
        data.load("encoded")
