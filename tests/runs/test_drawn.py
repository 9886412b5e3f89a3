"""Files of what was drawn: what they say of themselves, and whether they can be written."""

import json

import numpy as np
import pytest

from score_sde.cli import conditions
from score_sde.errors import UserError
from score_sde.fields import ABOUT, encode_texts, image, label, number, signal, text
from score_sde.runs import drawn
from score_sde.runs.drawn import Target
from score_sde.spaces import Waveforms

THEIRS = {"asked": {"task": "class", "label": None, "scale": 3.0}, "sampler": {"steps": 5}}


@pytest.mark.parametrize(
    ("ours", "difference"),
    [
        ({"asked": THEIRS["asked"] | {"label": 3}}, "asked.label was None, is 3"),
        ({"sampler": {}}, "sampler.steps was 5, is nothing"),
        ({"seed": "a" * 99}, f"seed was nothing, is {'a' * 80}"),
        ({"asked": None}, f"asked was {THEIRS['asked']!s:.80}, is None"),
    ],
)
def test_the_value_in_which_samples_differ_is_named(tmp_path, ours, difference):
    """Not the section that it is in, whose beginning is the same."""
    target = Target.of(tmp_path, tmp_path, "samples")
    np.savez(target.arrays, **{ABOUT: np.array(json.dumps(THEIRS | {"nfe": 5, "shown": 1}))})
    with pytest.raises(UserError) as error:
        target.holds(THEIRS | ours)
    assert f"samples.npz holds other samples ({difference}): --out=FILE puts" in str(error.value)


@pytest.mark.parametrize(
    ("shown", "captions", "heads", "above"),
    [
        (2, ["a", "b"], (), ["a", "b"]),
        (1, ["a", "b"], (), ["a"]),
        (6, ["a", "b"], ("known", "drawn", "was"), ["known", "drawn", "was"] * 2),
        (2, [], (), []),
    ],
)
def test_what_stands_above_a_picture(shown, captions, heads, above, tmp_path, monkeypatch):
    """What was asked of each sample; of rows of several, what these are."""
    told = []
    monkeypatch.setattr(drawn, "picture", lambda *arguments: told.append(arguments[5]))
    samples, about = np.zeros((2, 100), np.float32), {"of": 2, "shown": 2}
    space = Waveforms.of(signal(100, 1000))
    target = Target.of(tmp_path / "a", tmp_path, "samples")
    target.write(space, {"samples": samples}, np.zeros((shown, 100)), None, about, captions, heads)
    assert [list(one) for one in told] == [above]


def test_files_of_samples_are_named_after_what_was_asked(tmp_path):
    """In a folder that may hold other files; without some of them there is nothing to keep."""
    space = Waveforms.of(signal(100, 1000))
    target = Target.of(tmp_path / "a", tmp_path, "samples", space.ending)
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
    assert Target.of(None, tmp_path, "samples").files is None
    blocked = Target.of(tmp_path / "b", tmp_path, "samples", "wav")
    blocked.files.touch()
    with pytest.raises(UserError, match="it is no folder"):
        blocked.check()


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
            Target.of(tmp_path / out, tmp_path, "samples").check()
        assert message in str(error.value)
    Target.of(tmp_path / "new" / "a", tmp_path, "samples").check()
    assert not list((tmp_path / "new").iterdir())
