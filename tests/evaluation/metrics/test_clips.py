"""The shares of moving digits that show what was asked for, of samples that are known to."""

import dataclasses

import numpy as np
import pytest
from made_subject import made_source, subject_of

from score_sde import VP, fields
from score_sde.data import moving_digits
from score_sde.evaluation.metrics.clips import Clips
from score_sde.spaces import Video

FIELDS = moving_digits.FIELDS
N = 30


def shapes():
    """Ten digits, whose halves and quarters differ, 8x8."""
    rng = np.random.default_rng(0)
    return np.round(rng.integers(0, 17, (10, 8, 8)) * 255 / 16).astype(np.uint8)


def made(digits, motions, seed):
    rng = np.random.default_rng(seed)
    images, clips = shapes(), []
    for digit, motion in zip(digits, motions, strict=True):
        at = moving_digits.start(int(rng.integers(99)), motion)
        clips.append(moving_digits.clip(images[digit], motion, at))
    texts = [moving_digits.words(*pair) for pair in zip(digits, motions, strict=True)]
    return {
        "video": np.stack(clips),
        "digit": np.array(digits, np.int32),
        "motion": np.array(motions, np.int32),
        "text": fields.encode_texts(texts, *FIELDS[-1].shape),
    }


TRAIN = made(list(range(10)) * 5, np.repeat(np.arange(5), 10), 1)
HELD_OUT = made(list(range(10)), [0, 1, 2, 3, 4] * 2, 2)


def subject(folder, **changes):
    """Which draws what is asked for but for every fifth motion and every third digit."""
    digits, motions = np.arange(N) % 10, np.arange(N) % 5
    asked = made(digits, motions, 3)
    wrong = np.where(np.arange(N) % 3 == 0, (digits + 1) % 10, digits)
    moved = np.where(np.arange(N) % 5 == 0, 1, motions)
    drawn = made(wrong, moved, 4)["video"]

    def draw(batch_size, number, first, on_progress):
        for start in range(first, number, batch_size):
            yield drawn[start : min(start + batch_size, number)], 7

    given = {
        "draw": draw,
        "conditions": ("text",),
        "training": lambda: made_source(TRAIN, FIELDS, split="train"),
        "asked": lambda number: {name: array[:number] for name, array in asked.items()},
    }
    source = made_source(HELD_OUT, FIELDS)
    return subject_of(folder, VP(), None, Video.of(FIELDS[0]), source, **given | changes)[0]


def test_shares_are_those_that_are_right(tmp_path):
    found = Clips(num_samples=N).prepare(subject(tmp_path))()
    for name, share in (("motion", 4 / 5), ("digit", 2 / 3), ("both", 8 / 15)):
        entry = found[f"clips_{name}"]
        assert entry["value"] == pytest.approx(share)
        assert entry["standard_error"] == pytest.approx((share * (1 - share) / N) ** 0.5)
        assert entry["of_real_examples"] == 1
        assert (entry["nfe"], entry["protocol"]["n"]) == (7, N)


def test_what_it_is_not_of_is_refused(tmp_path):
    what = subject(tmp_path)
    told = dataclasses.replace(what, conditions=("digit", "motion"))
    with pytest.raises(ValueError, match="told what to draw by more than classes"):
        Clips().prepare(told)
    video = fields.video((4, 8, 8, 1))
    for described in ([video, *FIELDS[1:]], [FIELDS[0], *FIELDS[2:]]):
        arrays = HELD_OUT | {"video": np.zeros((10, *described[0].shape), np.uint8)}
        other = dataclasses.replace(what, source=made_source(arrays, described))
        with pytest.raises(ValueError, match="of the data set digits_video"):
            Clips().prepare(other)
