"""Files of what was drawn: what they say of themselves, and whether they can be written."""

import json

import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.fields import ABOUT
from score_sde.runs.drawn import Target

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
