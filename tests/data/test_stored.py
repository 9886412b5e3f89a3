"""Folders of prepared sets: what is in the way is said before the work, with what to do."""

import os

import numpy as np
import pytest

from score_sde.data import DataError, stored
from score_sde.errors import UserError
from score_sde.fields import number

FIELDS = (number("pitch"),)
SPLITS = {"train": {"pitch": np.zeros(3, np.float32)}}


def test_what_is_ready_is_left_and_what_is_not_can_be_made(tmp_path):
    folder = tmp_path / "sets" / "tones"
    assert not stored.ready(folder, "tones")
    assert not any(folder.parent.iterdir())
    stored.write(folder, "tones", FIELDS, SPLITS)
    assert stored.ready(folder, "tones")
    assert [path.name for path in folder.parent.iterdir()] == ["tones"]


@pytest.mark.parametrize("there", ["folder", "file", "link", "other"])
def test_what_is_in_the_way_is_not_to_be_prepared_over_and_over(tmp_path, there):
    """The line does not only name the command that ended with it, which it gives with data_dir."""
    folder = tmp_path / "my sets" / "tones"
    folder.parent.mkdir()
    if there == "file":
        folder.write_text("mine")
    elif there == "link":
        folder.symlink_to(tmp_path / "nowhere")
    else:
        folder.mkdir()
        if there == "other":
            (folder / "mine.txt").write_text("mine")
    with pytest.raises(DataError) as error:
        stored.ready(folder, "tones", "--from=FILE")
    said = str(error.value)
    assert "remove" in said
    assert "\n" not in said
    command = f"prepare tones --from=FILE --data_dir='{tmp_path}/my sets'"
    assert said.endswith(f"run python -m score_sde.data {command}")


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*file: .*Give another --data_dir"):
        stored.ready(tmp_path / "file" / "tones", "tones")


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(tmp_path):
    """In a container each is the first."""
    left = tmp_path / f"tones.{os.getpid()}.partial"
    (left / "train").mkdir(parents=True)
    assert not stored.ready(tmp_path / "tones", "tones")
    stored.write(tmp_path / "tones", "tones", FIELDS, SPLITS)
    assert stored.ready(tmp_path / "tones", "tones")
    assert left.is_dir()


def test_of_two_that_prepare_at_once_one_says_that_the_other_was_faster(tmp_path, monkeypatch):
    real = stored.write_index

    def with_another(path, *args):
        real(path, *args)
        monkeypatch.setattr(stored, "write_index", real)
        stored.write(tmp_path / "tones", "tones", FIELDS, SPLITS)

    monkeypatch.setattr(stored, "write_index", with_another)
    with pytest.raises(UserError, match="tones was made by another process meanwhile"):
        stored.write(tmp_path / "tones", "tones", FIELDS, SPLITS)
    assert [path.name for path in tmp_path.iterdir()] == ["tones"]
    assert stored.ready(tmp_path / "tones", "tones")
