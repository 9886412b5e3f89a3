"""The first frames of videos as a field of their own."""

import numpy as np
import pytest

from score_sde import data
from score_sde.data import DataError, known
from score_sde.data.first_frames import FIELD
from score_sde.fields import video


@pytest.fixture
def clips(tmp_path):
    path, rng = tmp_path / "clips.npz", np.random.default_rng(0)
    videos = rng.integers(0, 256, (6, 4, 3, 5, 1)).astype(np.uint8)
    np.savez(path, video=videos, label=np.arange(6) % 2)
    return path


def test_they_are_those_of_the_videos(clips):
    """Of all examples or of some; all other fields are as they were."""
    source = data.load("arrays", "train", data_dir=clips)
    told = data.load("arrays", "train", data_dir=clips, first_frames=2)
    assert told.info.fields == (*source.info.fields, video((2, 3, 5, 1), name=FIELD))
    assert told.info.fingerprint == source.info.fingerprint
    rows = np.array([3, 0, 3])
    found, plain = told.gather(rows), source.gather(rows)
    np.testing.assert_array_equal(found.pop(FIELD), plain["video"][:, :2])
    for name, values in plain.items():
        np.testing.assert_array_equal(found.pop(name), values)
    assert not found
    some = data.load("arrays", "train", data_dir=clips, first_frames=1, only=("label=1",))
    batch = some.gather(np.arange(len(some)))
    np.testing.assert_array_equal(batch[FIELD], batch["video"][:, :1])


def test_there_are_fewer_than_all_and_of_videos_only(clips, tmp_path):
    for number in (4, -1):
        with pytest.raises(DataError, match=f"first_frames={number}: the videos of arrays have 4"):
            data.load("arrays", "train", data_dir=clips, first_frames=number)
    with pytest.raises(DataError, match="first_frames=2: digits has no field of kind video"):
        data.load("digits", "train", first_frames=2)
    np.savez(
        tmp_path / "b.npz", video=np.zeros((20, 4, 3, 5, 1), np.uint8), first_frames=np.ones(20)
    )
    with pytest.raises(DataError, match="arrays has a field first_frames already"):
        data.load("arrays", "train", data_dir=tmp_path / "b.npz", first_frames=2)


def test_they_are_known_of_sets_that_are_not_there():
    found = known.describe("digits_video", first_frames=3)
    assert found[FIELD] == video((3, 16, 16, 1), 17, FIELD)
