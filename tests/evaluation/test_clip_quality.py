"""Whether clips show what was asked for: motions and digits of clips that are known exactly."""

import json

import numpy as np
import pytest

from score_sde import data, fields
from score_sde.data import moving_digits
from score_sde.evaluation import clip_quality

pytestmark = pytest.mark.slow

STEPS = list(moving_digits.MOTIONS.values())


@pytest.fixture(scope="module")
def clips(data_dir):
    """Held-out clips, and digit and motion of each, [n, 2]."""
    source = data.load("digits_video", "test", data_dir=data_dir)
    batch = source.gather(np.arange(0, len(source), 7))
    return batch["video"], np.stack([batch["digit"], batch["motion"]], axis=1)


def test_the_motion_of_every_real_clip_is_measured_right(clips):
    """Also under noise of a tenth of the range; and diagonal ones, which are never asked for."""
    videos, of = clips
    rng = np.random.default_rng(0)
    noisy = np.clip(videos + rng.normal(0, 25, videos.shape), 0, 255).astype(np.uint8)
    for shown in (videos, noisy):
        np.testing.assert_array_equal(clip_quality.step_of(shown), np.array(STEPS)[of[:, 1]])
    image = videos[0, 0, 4:12, 4:12, 0]
    frames = np.zeros((1, 8, 16, 16, 1), np.uint8)
    for f in range(8):
        frames[0, f, f : f + 8, 8 - f : 16 - f, 0] = np.maximum(image, 1)
    np.testing.assert_array_equal(clip_quality.step_of(frames), [[1, -1]])


def test_to_undo_a_motion_is_to_show_the_first_frame_again(clips):
    videos, of = clips
    for motion, step in enumerate(STEPS):
        moved = videos[of[:, 1] == motion]
        again = clip_quality.undone(moved, *step)
        np.testing.assert_array_equal(again, np.repeat(moved[:, :1], 8, axis=1))


def test_shares_are_of_what_was_asked_for(clips):
    """Real clips, a quarter of them asked for another motion and a quarter for another digit."""
    videos, of = clips
    asked = of.copy()
    asked[0::4, 1] = (asked[0::4, 1] + 1) % 5
    asked[1::4, 0] = (asked[1::4, 0] + 1) % 10
    n = len(of)
    right, wrong = (clip_quality.measure(videos, a, videos, of) for a in (of, asked))
    assert right == {
        "n": n,
        **{name: {"value": 1, "standard_error": 0} for name in ("motion", "digit", "both")},
    }
    shares = {name: 1 - len(of[at::4]) / n for name, at in (("motion", 0), ("digit", 1))}
    shares["both"] = shares["motion"] + shares["digit"] - 1
    for name, share in shares.items():
        expected = {"value": share, "standard_error": np.sqrt(share * (1 - share) / n)}
        assert wrong[name] == pytest.approx(expected, abs=1e-4)


def test_held_out_digits_are_known_by_the_training_clips(clips, data_dir):
    """At least 95 in 100, wherever they are in the picture: as digits are that do not move."""
    source = data.load("digits_video", "train", data_dir=data_dir)
    batch = source.gather(np.arange(0, len(source), 5))
    of = np.stack([batch["digit"], batch["motion"]], axis=1)
    found = clip_quality.measure(*clips, batch["video"], of)
    assert found["motion"]["value"] == 1
    assert found["digit"]["value"] > 0.95


def test_the_command(clips, tmp_path, monkeypatch, capsys):
    """What was asked, as texts or as labels; what cannot be is one line."""
    videos, of = clips
    monkeypatch.setattr(clip_quality, "real", lambda split: clips)
    path = tmp_path / "samples.npz"
    texts = [moving_digits.words(*pair) for pair in of]
    asked = {"text": fields.encode_texts(texts, 19)}
    for told in (asked, {"digit": of[:, 0], "motion": of[:, 1]}):
        np.savez(path, samples=videos, **told)
        assert clip_quality.main(["", str(path)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["motion"] == {"value": 1, "standard_error": 0}
        assert said["both"]["value"] > 0.7  # known by 72 digits alone
        assert said["real"]["n"] == len(videos)
    bad = {
        "does not say of each clip": {"samples": videos},
        "does not say of each": {"samples": videos, "text": asked["text"][:, ::-1]},
        "does not say": {"samples": videos, "digit": of[:, 0], "motion": of[:, 1] + 1},
        "need uint8 [n, 8, 16, 16, 1]": {"samples": videos[:, :4], **asked},
        "it holds no samples": asked,
    }
    for message, arrays in bad.items():
        np.savez(path, **arrays)
        assert clip_quality.main(["", str(path)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    for argv, message in ((["", str(tmp_path / "no.npz")], "draw samples first"), ([""], "usage:")):
        assert clip_quality.main(argv) == 2
        assert message in capsys.readouterr().err
