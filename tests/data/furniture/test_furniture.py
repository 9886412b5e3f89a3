"""The furniture sets, from a library that the test makes, by the program."""

import re
import zipfile

import numpy as np
import pytest

from score_sde import data
from score_sde.data import __main__ as command
from score_sde.data.furniture import catalogue, depth, points
from score_sde.fields import decode_texts, words_of

# A box that is 1 wide, 2 high (its second axis) and 3 deep; one side is open.
BOX = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 3))
BOX += "f 1 2 4 3\nf 5 6 8 7\nf 1 2 6 5\nf 3 4 8 7\nf 1 3 7 5\n"
NAMES = [f"Chair {i}" for i in range(30)]


def entry(number, name, category="Office", model="/box.obj", **more):
    values = {"name": name, "category": category, "model": model, "id": f"made#{name}", **more}
    values = {"width": "50", "depth": "60", "height": "100", **values}
    return "".join(f"{key}#{number}={value}\n" for key, value in values.items())


@pytest.fixture
def library(tmp_path):
    """An .sh3f file of thirty chairs, an armchair of another category, and two without a mesh."""
    listed = "# a comment\nid=made\n" + "".join(entry(i, n) for i, n in enumerate(NAMES, 1))
    listed += entry(40, r"Caf\u00e9", "Kitchen", modelRotation="0 0 1 0 1 0 -1 0 0")
    listed += entry(41, "Nothing", model="/none.obj") + entry(42, "Bad", model="/bad.obj")
    path = tmp_path / "libraries" / "made.sh3f"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("PluginFurnitureCatalog.properties", listed.encode("latin-1"))
        made.writestr("box.obj", BOX)
        made.writestr("bad.obj", "f 1 2 3")
    return path


def test_a_thing_that_cannot_be_drawn_is_left_out_and_a_pair_of_escapes_is_one_character(tmp_path):
    """Turns that are none, coordinates and corners without end, no size, half of a character."""
    turns = ("nan 0 0 0 1 0 0 0 1", "inf 0 0 0 1 0 0 0 1", "0 " * 9, "1 0 0", "1 0 0 " * 3)
    listed = entry(1, r"A\ud83d\ude00") + entry(2, r"Half\ud83d") + entry(3, r"No\u0000thing")
    listed += "".join(entry(i, f"B{i}", modelRotation=t) for i, t in enumerate(turns, 10))
    listed += entry(20, "Huge", model="/huge.obj") + entry(21, "Far", model="/far.obj")
    listed += entry(22, "Nowhere", width="1e-300", depth="1e-300", height="1e-300")
    path = tmp_path / "made.sh3f"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("PluginFurnitureCatalog.properties", listed.encode("latin-1"))
        made.writestr("box.obj", BOX)
        made.writestr("huge.obj", BOX.replace(" 2 ", " 1e300 "))
        made.writestr("far.obj", f"{BOX}f 1 2 {'9' * 30}\n")
    said = []
    found = list(catalogue.things(path, said.append))
    assert [thing.name for thing in found] == ["A\U0001f600", "Half\ufffd", "Nothing"]
    assert all(np.isfinite(thing.triangles).all() and thing.split for thing in found)
    assert said[-1] == "left out, without a mesh that can be read: 8"


def test_points_are_made_and_read(library, tmp_path, capsys):
    """By name and category, a shape in one split alone; made twice it is left as it is."""
    words = ["prepare", "furniture_points", f"--data_dir={tmp_path}", f"--from={library.parent}"]
    assert command.main(words) == 0
    assert "left out, without a mesh that can be read: 2" in capsys.readouterr().out
    assert command.main(words) == 0
    train, test = (data.load("furniture_points", s, data_dir=tmp_path) for s in ("train", "test"))
    found = {}
    for source in (train, test):
        batch = source.gather(np.arange(len(source)))
        found[source.info.split] = set(decode_texts(batch["text"]))
        assert batch["points"].shape[1:] == (points.POINTS, 3)
        # Of a box of 0.5 by 0.6 by 1 metres, the height along the third axis, the corner 1 away.
        radius = np.linalg.norm([0.25, 0.3, 0.5])
        np.testing.assert_allclose(batch["metres"], radius, rtol=1e-6)
        most = np.abs(batch["points"] * radius).max(axis=(0, 1))
        np.testing.assert_allclose(most, [0.25, 0.3, 0.5], rtol=0.02)
    assert found["train"] | found["test"] == {*NAMES, "Café"}
    assert not found["train"] & found["test"]
    assert len(train) == points.DRAWS["train"] * len(found["train"])
    assert train.info["category"].names == ("Kitchen", "Office")
    assert set(train.info["text"].vocabulary) == set(words_of(found["train"]))
    assert "Creative Commons" in train.license


def test_pictures_are_made_and_read(library, tmp_path):
    """An image and the depth it was drawn by, with all else that the points have."""
    depth.prepare(tmp_path / depth.NAME, library, say=lambda line: None)
    source = data.load("furniture_depth", "test", data_dir=tmp_path)
    assert [f.name for f in source.info.fields] == ["image", "depth", "text", "category"]
    batch = source.gather(np.arange(len(source)))
    there = batch["depth"] >= 32
    assert there.any(axis=(1, 2, 3)).all()
    assert (batch["image"][batch["depth"] == 0] == 255).all()


def test_a_mesh_in_its_box():
    """Up is the third axis, and the front, which was towards +z, towards -y: handedness stays."""
    mesh = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 2, 3]]])
    placed, radius = catalogue.placed_in(mesh, (0.5, 0.6, 1.0))
    expected = [[-0.25, 0.3, -0.5], [0.25, 0.3, -0.5], [-0.25, -0.3, 0.5]]
    np.testing.assert_allclose(radius * placed[0], expected)
    np.testing.assert_allclose(np.linalg.norm(placed[0], axis=1).max(), 1)
    flat, _ = catalogue.placed_in(mesh * [1, 1, 0], (0.5, 0.6, 1.0))
    assert not flat[..., 1].any()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"no .sh3f library in .*apt-get install sweethome3d-furniture"),
        (b"not a zip", "made.sh3f cannot be read .*install it again"),
        ("empty", "no PluginFurnitureCatalog.properties in it"),
    ],
)
def test_what_is_missing_or_damaged_is_one_line(tmp_path, capsys, content, said):
    folder = tmp_path / "libraries"
    folder.mkdir()
    if content == "empty":
        with zipfile.ZipFile(folder / "made.sh3f", "w") as made:
            made.writestr("other", "")
    elif content:
        (folder / "made.sh3f").write_bytes(content)
    words = ["prepare", "furniture_points", f"--data_dir={tmp_path}", f"--from={folder}"]
    assert command.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(said, error)
    assert not (tmp_path / "furniture_points").exists()
