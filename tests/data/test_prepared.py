"""Prepared folders of others: nothing in them is imported, and damage is one line."""

import json
import os
import re
import shutil
import sys

import numpy as np
import pytest

from score_sde import data
from score_sde.data import prepared

EVIL = "evil_features.Text"
SEQUENCE = "tensorflow_datasets.core.features.sequence_feature.Sequence"
DICT = "tensorflow_datasets.core.features.features_dict.FeaturesDict"


@pytest.fixture
def folder(digits_dir, tmp_path):
    """The digits under a name of their own, as anyone might hand them on."""
    folder = tmp_path / "mine" / "1.0.0"
    shutil.copytree(digits_dir / "digits" / "1.0.0", folder)
    for path in folder.iterdir():
        if path.suffix == ".json":
            path.write_text(path.read_text().replace('"digits"', '"mine"'))
        path.rename(path.with_name(path.name.replace("digits-", "mine-")))
    return folder


def read(folder):
    """All of its training examples."""
    source = data.load("mine", "train", data_dir=folder.parent.parent)
    source.gather(np.arange(len(source)))


def refusal(folder):
    """What is said of a folder, one line."""
    with pytest.raises(data.DataError) as error:
        read(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def features(values):
    return values["featuresDict"]["features"]


def legacy(values):
    values.clear()
    values.update(type=EVIL, content={})


def in_a_string(values):
    inside = json.dumps({"x": {"type": EVIL, "content": {}}})
    values.clear()
    values.update(pythonClassName=DICT, jsonFeature={"json": inside})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features.json", lambda v: features(v)["label"].update(pythonClassName=EVIL)),
        (
            "features.json",
            lambda v: features(v).update(
                label={"python_class_name": EVIL, "classLabel": {"numClasses": "10"}}
            ),
        ),
        (
            "features.json",
            lambda v: features(v).update(
                x={
                    "pythonClassName": SEQUENCE,
                    "sequence": {"feature": {"pythonClassName": EVIL, "text": {}}},
                }
            ),
        ),
        ("features.json", legacy),
        ("features.json", in_a_string),
        ("dataset_info.json", lambda v: v.update(features={"pythonClassName": EVIL, "text": {}})),
    ],
    ids=["class", "other_spelling", "nested", "legacy", "in_a_string", "info"],
)
def test_no_class_of_others_is_imported(folder, tmp_path, monkeypatch, name, change):
    """The module is there to be found, and leaves a trace where it is executed."""
    trace = tmp_path / "executed"
    (tmp_path / "evil_features.py").write_text(f"open({str(trace)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    edit(folder / name, change)
    assert f"{name} names the class {EVIL}, which is no feature of tensorf" in refusal(folder)
    assert not trace.exists()
    assert "evil_features" not in sys.modules


def test_all_features_of_tfds_itself_may_be_named():
    import tensorflow_datasets as tfds

    for name in ("Image", "ClassLabel", "Tensor", "Text", "Scalar", "Sequence", "Video", "Audio"):
        feature = getattr(tfds.features, name)
        assert f"{feature.__module__}.{name}" in prepared._classes()
    assert all(
        name.startswith("tensorflow_datasets.core.features.") for name in prepared._classes()
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{nope", "Expecting property name"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe", "codec can't decode"),
        (None, "No such file"),
    ],
)
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_metadata_that_are_no_json(folder, name, content, reason):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    said = refusal(folder)
    assert said.startswith(f"cannot read {folder / name} (")
    assert reason in said
    assert said.endswith(f"remove {folder} and prepare it again")


def splits(**changes):
    def change(values):
        for split in values["splits"]:
            split.update(changes)

    return "dataset_info.json", change


def of_image(**changes):
    return "features.json", lambda v: features(v)["image"]["image"].update(changes)


def of_label(classes):
    return "features.json", lambda v: features(v)["label"]["classLabel"].update(numClasses=classes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (splits(shardLengths=["5"]), "has 1297 examples, not 5"),
        (splits(shardLengths=["1000000000000000"]), "has 1297 examples, not 1000000000000000"),
        (splits(shardLengths=["-5"]), "has no examples"),
        (splits(shardLengths=[]), "has no examples"),
        (splits(shardLengths=["1297", "1297"]), "lacks mine-train.array_record-00000-of-00002"),
        (splits(shardLengths=["x"]), "is damaged (Failed to parse"),
        (splits(filepathTemplate="/etc/passwd"), "/etc/passwd lies outside"),
        (splits(filepathTemplate="../{DATASET}"), "which can be none of this set"),
        (splits(filepathTemplate="{SPLIT.__class__}"), "which can be none of this set"),
        (splits(filepathTemplate="{SPLIT:>99999999999}"), "which can be none of this set"),
        (("dataset_info.json", lambda v: v.update(name="../../x")), "lies outside"),
        (("dataset_info.json", lambda v: v.update(fileFormat="tfrecord")), "without TensorFlow"),
        (("dataset_info.json", lambda v: v.update(fileFormat="evil")), "is not a valid FileFormat"),
        (("features.json", lambda v: v.update(featuresDict=[3])), "is damaged (Failed to parse"),
        (of_image(shape={"dimensions": ["x", "8", "1"]}), "is damaged (Failed to parse"),
        (of_image(shape={"dimensions": ["9000000000", "8", "1"]}), "is 8x8, not 8x9000000000"),
        (of_label("3"), "is damaged (a label is "),
        (of_label("1000000000000"), "label of 1000000000000 classes; there can be 1,048,576"),
    ],
)
def test_metadata_that_cannot_be(folder, change, reason):
    name, edited = change
    edit(folder / name, edited)
    assert reason in refusal(folder)


def test_records_that_are_damaged(folder):
    path = folder / "mine-train.array_record-00000-of-00001"
    whole = path.read_bytes()
    for content, reason in (
        (whole[: len(whole) // 2], "is damaged (Invalid Riegeli/records file"),
        (b"x" * len(whole), "is damaged (Corrupted Riegeli/records file"),
        (whole[:30_000] + b"\x55" * 100 + whole[30_100:], "is damaged (Corrupted Riegeli/records"),
        (b"", "is damaged (ArrayRecord file should be at least"),
    ):
        path.write_bytes(content)
        assert reason in refusal(folder)
    path.unlink()
    assert "it lacks mine-train" in refusal(folder)
    os.mkfifo(path)  # which must not be waited for
    assert f"{path} is no regular file" in refusal(folder)


def test_a_damaged_record_is_named(folder):
    path = folder / "mine-train.array_record-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)
    line = refusal(folder)
    record = re.match(rf"record (\d+) of {path} is damaged \(Corrupted", line)
    assert line.endswith(f"remove {folder} and prepare it again")
    part = data.load("mine", "train[1%:]", data_dir=folder.parent.parent)
    at = int(record[1]) - (1297 - len(part))
    with pytest.raises(data.DataError, match=f"record {record[1]} of "):
        part.gather(np.array([0, at, at + 1]))
    part.gather(np.array([at - 1, at + 1]))


def test_the_newest_version_is_read_or_the_one_that_is_asked_for(tmp_path):
    for version in ("1.9.0", "1.10.0", "2.0.0", "x"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "features.json").touch()
    (tmp_path / "3.0.0").mkdir()  # nothing in it
    for asked, found in (("", "2.0.0"), ("1.*.*", "1.10.0"), ("1.9.0", "1.9.0")):
        assert prepared.find(tmp_path, asked) == tmp_path / found
    assert prepared.find(tmp_path, "7.0.0") is None
    assert prepared.find(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine/..", "unknown data set 'mine/..'"),
        ("mine/a=1", "unknown data set"),
        ("../mine", "unknown data set"),
        ("mine:9.0.0", r"mine:9.0.0 is not prepared in .*: use mine:1\.0\.0, mine/small"),
        ("mine/big", r"mine/big is not prepared in .*: use mine/small"),
    ],
)
def test_names_that_lead_to_no_folder(folder, name, said):
    shutil.copytree(folder, folder.parent / "small" / "1.0.0")
    with pytest.raises(data.DataError, match=said):
        data.load(name, data_dir=folder.parent.parent)
