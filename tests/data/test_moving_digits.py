"""Moving digits: each clip is its digit, moved as its text says; prepared without a download."""

import dataclasses

import numpy as np
import pytest
from made_info import described

from score_sde import data, fields
from score_sde.data import known, moving_digits
from score_sde.data.base import DataError, Info

pytestmark = pytest.mark.slow

SHOWN = ("video", "digit", "motion")
MOTIONS = list(moving_digits.MOTIONS)


@pytest.fixture(scope="module")
def clips(digits_dir):
    return {s: data.load("digits_video", s, data_dir=digits_dir) for s in ("train", "test")}


def test_its_fields_and_sizes(clips):
    for split, size in (("train", 6485), ("test", 2500)):
        expected = Info("digits_video", split, size, moving_digits.FIELDS)
        assert described(clips[split]) == expected


def test_every_frame_is_the_digit_one_step_further_and_black_else(clips, digits_dir):
    """All of it, against the digits themselves; a clip of each digit in each motion."""
    for split, source in clips.items():
        digits = data.load("digits", split, data_dir=digits_dir)
        digits = digits.gather(np.arange(len(digits)))
        known = {(image.tobytes(), int(c)) for image, c in zip(*digits.values(), strict=True)}
        batch = source.gather(np.arange(len(source)))
        seen = set()
        for video, digit, motion in zip(*(batch[name] for name in SHOWN), strict=True):
            down, right = moving_digits.MOTIONS[MOTIONS[motion]]
            first = np.argwhere(video[0, ..., 0] > 0)
            for frame in video:
                np.testing.assert_array_equal(np.argwhere(frame[..., 0] > 0), first)
                first = first + np.array([down, right])
            seen.add((video[0, ..., 0].sum(), int(digit), int(motion)))
            window = _window(video[0])
            assert any((image, digit) in known for image in window)
        assert len({(d, m) for _, d, m in seen}) == 50


def _window(frame):
    """The bytes of each 8x8 window that holds all ink of a frame."""
    rows, columns = np.argwhere(frame[..., 0] > 0).T
    for row in range(max(0, rows.max() - 7), min(8, rows.min()) + 1):
        for column in range(max(0, columns.max() - 7), min(8, columns.min()) + 1):
            yield np.ascontiguousarray(frame[row : row + 8, column : column + 8]).tobytes()


def test_texts_say_what_is_shown(clips):
    batch = clips["test"].gather(np.arange(200))
    texts = fields.decode_texts(batch["text"])
    pairs = list(zip(batch["digit"], batch["motion"], strict=True))
    assert texts == [f"a {digit} {MOTIONS[motion]}" for digit, motion in pairs]
    assert "a 3 moves left" in {moving_digits.words(3, m) for m in range(5)}
    assert [moving_digits.said(text) for text in texts] == pairs
    assert moving_digits.said("a 3 moves") is None


def test_places_are_fixed_and_leave_no_digit_out_of_the_picture():
    """From SHA-256 by hand, of one; and each place that there is occurs."""
    assert moving_digits.start(0, 1) == (7, 7)
    places = {moving_digits.start(index, 2) for index in range(300)}
    assert places == {(row, column) for row in range(9) for column in (0, 1)}


def test_it_is_described_without_being_there(clips):
    loaded = clips["train"].info
    nameless = tuple(dataclasses.replace(field, names=()) for field in loaded.fields)
    expected = dataclasses.replace(loaded, size=0, fields=nameless, fingerprint="")
    assert known.describe("digits_video") == expected


def test_it_has_no_other_size(digits_dir, clips):
    with pytest.raises(DataError, match="videos of digits_video are taken as they are: leave out"):
        data.load("digits_video", data_dir=digits_dir, image_size=8)
