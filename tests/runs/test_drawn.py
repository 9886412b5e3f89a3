"""Files of what was drawn: what they say of themselves, and whether they can be written."""

import json
import os
import signal as signals
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import written_files
from program import ROOT, environment

from score_sde import files
from score_sde.cli import conditions
from score_sde.errors import UserError
from score_sde.fields import ABOUT, encode_texts, image, label, number, points, signal, text
from score_sde.runs import drawn
from score_sde.runs.drawn import Target
from score_sde.spaces import Backbones, Pixels, Waveforms

pytestmark = pytest.mark.slow

IMAGES = Pixels.of(image((2, 2, 1)))
THEIRS = {
    "asked": {"task": "class", "label": None, "scale": 3.0, "sha256": "a"},
    "sampler": {"steps": 5},
    "of": 2,
}


@pytest.mark.parametrize(
    ("ours", "difference"),
    [
        ({"asked": THEIRS["asked"] | {"label": 3}}, "--label: nothing there, 3 asked for"),
        ({"sampler": {}}, "the sampler's steps: 5 there, nothing asked for"),
        ({"seed": "a" * 99}, f"seed: nothing there, {'a' * 80} asked for"),
        ({"asked": None}, "--task: class there, nothing asked for"),
        ({"guidance": {}}, "another version drew them"),
        ({"asked": THEIRS["asked"] | {"predictions": ""}}, "another version drew them"),
        ({"of": 3}, "number of samples: 2 there, 3 asked for"),
        (
            {"asked": THEIRS["asked"] | {"sha256": "b"}, "of": 3},
            "number of samples: 2 there, 3 asked for",
        ),
        (
            {"asked": THEIRS["asked"] | {"sha256": "b"}},
            "the model is told other things, or is asked about other examples",
        ),
        (
            {"asked": THEIRS["asked"] | {"conditions": {"size": "4"}}},
            "--condition=size: nothing there, 4 asked for",
        ),
        (
            {"asked": THEIRS["asked"] | {"predictions": "a.npz"}},
            "--from: nothing there, a.npz asked for",
        ),
    ],
)
def test_the_value_in_which_samples_differ_is_named(tmp_path, ours, difference):
    """Not the section that it is in, whose beginning is the same."""
    target = Target.of(tmp_path, tmp_path, "samples", IMAGES)
    np.savez(target.arrays, **{ABOUT: np.array(json.dumps(THEIRS | {"nfe": 5, "shown": 1}))})
    with pytest.raises(UserError) as error:
        target.holds(THEIRS | ours)
    assert f"samples.npz holds other samples ({difference}): --out=FILE puts" in str(error.value)


def test_files_of_samples_are_named_after_what_was_asked(tmp_path):
    """In a folder that may hold other files; without some of them there is nothing to keep."""
    space = Waveforms.of(signal(100, 1000))
    target = Target.of(tmp_path / "a", tmp_path, "samples", space)
    assert target.files == tmp_path / "a_wav"
    samples = np.zeros((2, 100), np.float32)
    about = {"of": 2, "shown": 2, "nfe": 1}
    for captions, names in (
        (["../../a  b", "für " * 40], ["sample_000_a_b.wav", f"sample_001_{'für_' * 9}für.wav"]),
        ([], ["sample_000.wav", "sample_001.wav"]),
    ):
        target.write(space, {"samples": samples}, samples, None, about, captions)
        found = sorted(path.name for path in target.files.iterdir())
        assert found == names
        assert target.holds({"of": 2}) == about
    (target.files / found[0]).rename(target.files / "mine.wav")
    assert target.holds({"of": 2}) is None
    target.write(space, {"samples": samples}, samples, None, about)
    assert (target.files / "mine.wav").exists()
    assert Target.of(None, tmp_path, "samples", IMAGES).files is None
    blocked = Target.of(tmp_path / "b", tmp_path, "samples", space)
    blocked.files.touch()
    with pytest.raises(UserError, match="it is no folder"):
        blocked.check()


@pytest.mark.parametrize(("ending", "moments"), [("wav", 4), ("", 3)])
def test_what_is_killed_while_it_is_written_is_drawn_again(tmp_path, monkeypatch, ending, moments):
    """At every moment: a picture or files of what was there before do not pass for the new ones."""
    space = Waveforms.of(signal(100, 1000))
    target = Target.of(tmp_path / "a", tmp_path, "samples", space if ending else IMAGES)
    samples = np.zeros((2, 100), np.float32)

    def write(seed):
        about = {"of": 2, "shown": 2, "nfe": 1, "seed": seed}
        target.write(space, {"samples": samples}, samples, None, about)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    for seed, (where, name) in enumerate(
        (
            (files, "write_npz"),
            (drawn, "picture"),
            (drawn.pictures, "annotate"),
            (Waveforms, "save"),
        )[:moments]
    ):
        write(seed)
        monkeypatch.setattr(where, name, killed)
        with pytest.raises(KeyboardInterrupt):
            write(seed + 1)
        monkeypatch.undo()
        ours = {"of": 2, "seed": seed + 1}
        if name == "write_npz":
            with pytest.raises(UserError, match="other samples"):
                target.holds(ours)
        else:
            assert target.holds(ours) is None
        write(seed + 1)
        assert target.holds(ours)["seed"] == seed + 1


@pytest.mark.parametrize("ending", written_files.MADE)
def test_every_file_is_whole_or_not_there(tmp_path, monkeypatch, ending):
    """Stopped before each file takes its name; the second time writes the same bytes."""
    written_files.write(tmp_path / "whole", ending)
    whole = written_files.contents(tmp_path / "whole")
    moments = []

    def replace(partial, path, real=Path.replace):
        moments.append(path)
        if len(moments) == stop:
            raise KeyboardInterrupt
        return real(partial, path)

    monkeypatch.setattr(Path, "replace", replace)
    stop = 0
    written_files.write(tmp_path / "counted", ending)
    assert len(moments) >= len(whole)
    for stop in range(1, len(moments) + 1):
        moments.clear()
        with pytest.raises(KeyboardInterrupt):
            written_files.write(tmp_path / "stopped", ending)
        left = written_files.contents(tmp_path / "stopped")
        bare = {name for name in left if name.suffix == ".png"}  # does not say yet what it is
        assert all(left[name] == whole[name] for name in left.keys() - bare)
        assert written_files.held(tmp_path / "stopped", ending) is None
        moments.clear()
        stop = 0
        written_files.write(tmp_path / "stopped", ending)
        assert written_files.contents(tmp_path / "stopped") == whole
        for name in whole:
            (tmp_path / "stopped" / name).unlink()


@pytest.mark.slow
def test_what_sigkill_leaves_is_whole(tmp_path):
    """Of files of all kinds that are written again and again; then they are written once more."""
    child = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "written_files.py", str(tmp_path / "killed")],
        stdout=subprocess.PIPE,
        env=environment(PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path])),
    )
    assert child.stdout.readline() == b"all are written\n"
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.1)
    child.kill()
    assert child.wait() == -signals.SIGKILL
    child.stdout.close()
    for ending in written_files.MADE:
        written_files.write(tmp_path / ending, ending)
        whole = written_files.contents(tmp_path / ending)
        left = written_files.contents(tmp_path / "killed" / ending)
        assert all(left[name] == whole[name] for name in left if name.suffix != ".png")
        written_files.write(tmp_path / "killed" / ending, ending)
        assert written_files.contents(tmp_path / "killed" / ending) == whole


def test_files_of_samples_that_are_alone_are_not_overwritten(tmp_path):
    """Nor are those of the user, whose names have no number."""
    space = Waveforms.of(signal(100, 1000))
    target = Target.of(tmp_path / "a", tmp_path, "samples", space)
    samples = np.zeros((2, 100), np.float32)
    about = {"of": 2, "shown": 2, "nfe": 1}
    target.files.mkdir()
    mine = target.files / "sample_of_mine.wav"
    mine.touch()
    assert target.holds({"of": 2}) is None
    target.write(space, {"samples": samples}, samples, None, about)
    assert mine.exists()
    assert target.holds({"of": 2}) == about
    target.arrays.unlink()
    target.picture.unlink()
    with pytest.raises(UserError, match="a_wav holds files of other samples: --out=FILE"):
        target.holds({"of": 2})
    target.check()
    assert len(list(target.files.iterdir())) == 3


def test_a_gif_that_is_there_is_not_overwritten(tmp_path):
    """One of the user's, beside which samples of videos are to be; without it they are drawn."""
    space, samples = written_files.MADE["gif"]
    target = written_files.target(tmp_path, "gif")
    target.moving.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"a\.gif holds what does not say what it is: --out=FILE"):
        target.holds({"of": 2})
    target.moving.unlink()
    assert target.holds({"of": 2}) is None
    target.write(space, {"samples": samples}, samples, None, written_files.ABOUT)
    assert target.holds({"of": 2}) == written_files.ABOUT
    target.moving.unlink()
    assert target.holds({"of": 2}) is None
    target.moving.mkdir()
    with pytest.raises(UserError, match=r"a\.gif: it is a folder\. Give another --out"):
        target.check()


def test_what_a_file_cannot_hold_is_said_in_one_line(tmp_path):
    """A chain that is a kilometre long; the arrays have it."""
    space = Backbones.of(points(4, 3))
    target = Target.of(tmp_path / "a", tmp_path, "samples", space)
    samples = np.full((1, 4, 3), 1e13, np.float32) * np.arange(1, 5)[None, :, None]
    with pytest.raises(UserError, match=r"a PDB file holds .* as they are in .*a\.npz") as error:
        target.write(space, {"samples": samples}, samples, None, {"of": 1, "shown": 1})
    assert "\n" not in str(error.value)
    assert target.arrays.exists()


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        (text(8), encode_texts(["a, b", ""], 8), ["a, b", ""]),
        (label(2, ("cat", "dog")), [1, 0], ["dog", "cat"]),
        (label(5), [3, 4], ["label 3", "label 4"]),
        (number("seconds"), [0.5, 2], ["seconds 0.5", "seconds 2"]),
        (image((2, 2, 1)), np.zeros((2, 2, 2, 1)), []),
    ],
)
def test_what_was_asked_is_said_in_words(field, values, words):
    assert conditions.words(field, np.asarray(values, field.dtype)) == words


def test_files_that_cannot_be_written_are_found_before(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "drawn.png").mkdir()
    for out, message in (
        ("file/a", f"cannot write to {tmp_path / 'file'}: File exists. Give another --out"),
        ("file/a/b", f"cannot write to {tmp_path / 'file' / 'a'}: Not a directory. Give another"),
        ("drawn", f"cannot write {tmp_path / 'drawn.png'}: it is a folder. Give another --out"),
    ):
        with pytest.raises(UserError) as error:
            Target.of(tmp_path / out, tmp_path, "samples", IMAGES).check()
        assert message in str(error.value)
    Target.of(tmp_path / "new" / "a", tmp_path, "samples", IMAGES).check()
    assert not list((tmp_path / "new").iterdir())
