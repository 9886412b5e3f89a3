"""Data options: every command that opens data has those of data.load."""

import argparse
import inspect

import numpy as np
import pytest
from PIL import Image

from score_sde import data
from score_sde.data import __main__ as command
from score_sde.data import selection
from score_sde.evaluation import reference, statistics

LOAD = set(inspect.signature(data.load).parameters)


def test_the_config_and_the_flags_have_all_options_of_load():
    """data_dir is called dir in a config, whose section is data, and the split is asked for."""
    parser = argparse.ArgumentParser()
    selection.add_flags(parser)
    assert vars(parser.parse_args(["digits"])).keys() == LOAD
    fields = {"data_dir" if name == "dir" else name for name in vars(selection.DataOptions())}
    assert fields - {"field", "replace_damaged"} == LOAD - {"split"}


def test_the_config_and_the_flags_mean_the_same(monkeypatch):
    asked = []

    def load(*arguments, data_dir, **options):
        asked.append((arguments, {"data_dir": str(data_dir), **options}))

    monkeypatch.setattr(selection, "load", load)
    values = {"image_size": 8, "crop": 6, "background": "black", "skip_damaged": True}
    values |= {"only": ("label=3", "style=a|b"), "first_frames": 2}
    selection.read({"name": "folder", "dir": "here", **values}).open("test")
    parser = argparse.ArgumentParser()
    selection.add_flags(parser)
    line = "folder --split=test --data_dir=here --image_size=8 --crop=6 --background=black"
    line += " --only=label=3 --only=style=a|b --first_frames=2"
    args = parser.parse_args([*line.split(), "--skip_damaged"])
    args.only = tuple(args.only)
    selection.from_flags(args)
    assert asked[0] == asked[1] == (("folder", "test"), {"data_dir": "here", **values})


@pytest.fixture
def folder(tmp_path):
    """Images whose middle is brighter than the rest, and one that is damaged."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(3):
        image = np.full((8, 8), 10 * i, np.uint8)
        image[2:6, 2:6] = 100
        Image.fromarray(image).save(folder / f"{i}.png")
    (folder / "9.png").write_bytes(b"no image")
    return folder


def test_statistics_are_of_images_as_a_run_takes_them(folder, tmp_path, capsys):
    line = ["folder", f"--data_dir={folder}", "--features=pixels", "--image_size=4"]
    assert statistics.main([*line, f"--out={tmp_path / 'a.npz'}"]) == 2
    assert "9.png is not a readable image" in capsys.readouterr().err
    line += ["--skip_damaged", "--crop=4"]
    assert statistics.main([*line, f"--out={tmp_path / 'a.npz'}"]) == 0
    assert "note: 1 of 4 images are damaged and left out, the first" in capsys.readouterr().out
    found = reference.load(tmp_path / "a.npz")
    assert found.n == 3
    np.testing.assert_allclose(found.mean, 100 / 255, rtol=1e-6)


def test_info_has_them_too(folder, capsys):
    line = ["info", "folder", f"--data_dir={folder}", "--image_size=4", "--skip_damaged"]
    assert command.main(line) == 0
    out = capsys.readouterr().out
    assert "size: 3\n" in out
    assert "note: 1 of 4 images are damaged" in out
    assert command.main([*line, "--background=wite"]) == 2
    assert "background: 'wite' is no colour: give white" in capsys.readouterr().err


def test_only_some_classes(tmp_path, capsys):
    """Of each field any of those that are named; the splits stay apart."""
    digits = data.load("digits", "train")
    some = data.load("digits", "train", only=("label=3|7",))
    labels = digits.gather(np.arange(len(digits)))["label"]
    wanted = np.flatnonzero(np.isin(labels, [3, 7]))
    assert len(some) == some.info.size == len(wanted) > 100
    found = some.gather(np.arange(len(some)))
    np.testing.assert_array_equal(found["image"], digits.gather(wanted)["image"])
    assert some.info.fingerprint != digits.info.fingerprint
    assert some.note == f"{len(wanted)} of 1,297: label=3|7"
    assert command.main(["info", "digits", "--only=label=3|7"]) == 0
    assert f"size: {len(wanted)}\n" in capsys.readouterr().out
    for only, said in (
        ("label", "give FIELD=CLASS, such as label=3"),
        ("label=", "give FIELD=CLASS"),
        ("label=12", "'12' is no class of label: they are 0, 1, 2, "),
        ("image=3", "image is of kind image, and must be a label"),
        ("lable=3", "did you mean 'label'?"),
    ):
        assert command.main(["info", "digits", f"--only={only}"]) == 2
        assert said in capsys.readouterr().err
    np.savez(tmp_path / "a.npz", vector=np.zeros((20, 1), np.float32), label=np.arange(20) % 2)
    with pytest.raises(data.DataError, match="has no example of label=1 and label=0 in its split"):
        data.load("arrays", data_dir=tmp_path / "a.npz", only=("label=1", "label=0"))
