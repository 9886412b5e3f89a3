"""Files are written whole or not at all, by however many at once."""

import pytest

from score_sde.files import replacing


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
