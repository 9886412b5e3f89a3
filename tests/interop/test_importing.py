"""What an import leaves in a folder, however it ends."""

import os

import pytest

from score_sde.errors import UserError
from score_sde.interop.importing import MARK, check_free, importing


def test_an_import_that_fails_leaves_nothing(tmp_path):
    def fails(folder):
        with importing(folder):
            (folder / "checkpoints" / "0").mkdir(parents=True)
            (folder / "parts").mkdir()
            raise KeyboardInterrupt

    (tmp_path / "old").mkdir()
    for name in ("new", "old"):
        with pytest.raises(KeyboardInterrupt):
            fails(tmp_path / name)
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == []


def test_what_a_killed_import_left_is_replaced_and_nothing_else(tmp_path):
    for name in (MARK, ".lock"):
        (tmp_path / name).touch()
    (tmp_path / "checkpoints" / "7.partial").mkdir(parents=True)
    for name in ("config.json", "notes.txt"):  # a run that is whole, what others put there
        (tmp_path / name).touch()
        for refused in (check_free, lambda folder: importing(folder).__enter__()):
            with pytest.raises(UserError, match="is not an empty folder"):
                refused(tmp_path)
        assert (tmp_path / "checkpoints" / "7.partial").is_dir()
        (tmp_path / name).unlink()
    check_free(tmp_path)
    with importing(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [MARK, ".lock"]
        (tmp_path / "config.json").touch()
    assert os.listdir(tmp_path) == ["config.json"]
