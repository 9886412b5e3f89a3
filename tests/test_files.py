"""Files are written whole or not at all, by however many at once."""

import argparse
import os

import pytest

from score_sde.errors import UserError
from score_sde.files import Irregular, check_writable, regular, replacing, typed


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("before")
    theirs = tmp_path / "results.json.1.partial"  # another process writes it too
    theirs.write_text("half")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(bytes(1 // 0))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "results.json": "before",
        "results.json.1.partial": "half",
    }
    with replacing(path) as file:
        file.write(b"after")
    assert (path.read_text(), theirs.read_text()) == ("after", "half")


def test_what_cannot_take_its_place_does_not_stay(tmp_path):
    (tmp_path / "a" / "folder").mkdir(parents=True)
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "a" / "folder"):
        pass
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["folder"]


def test_what_cannot_be_written_is_known_before(tmp_path):
    """Where it can, nothing is left, and what is there stays."""
    (tmp_path / "there").write_text("before")
    for name in ("there", "new", "folder/new"):
        check_writable(tmp_path / name)
    assert {p.name for p in tmp_path.rglob("*")} == {"there", "folder"}
    assert (tmp_path / "there").read_text() == "before"
    for name in ("folder", "there/new", "x" * 255):
        with pytest.raises(UserError, match=r"(folder|directory|exists|too long)\. Another"):
            check_writable(tmp_path / name, "Another")


def test_only_a_regular_file_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "it is no regular file"),
        ("/dev/zero", "it is no regular file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(Irregular) as caught:
            regular(path)
        assert caught.value.strerror == reason
    with pytest.raises(OSError, match="no file can have this name"):
        regular("a\0b")


def test_a_typed_path_is_one_that_can_be(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed("~/new/x") == tmp_path / "new" / "x"
    (tmp_path / "loop").symlink_to("loop")
    for text in ("x" * 300, "a\0b", "\udcff", str(tmp_path / "loop")):
        with pytest.raises(argparse.ArgumentTypeError, match=r"cannot be the path|link to itself"):
            typed(text)
