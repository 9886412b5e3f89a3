"""The numbers are right where the answer is known."""

import json

import numpy as np
import pytest

from score_sde import data
from score_sde.evaluation import digit_quality

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    sets = [data.load("digits", split, data_dir=folder) for split in ("train", "test")]
    train, test = (s.gather(np.arange(len(s))) for s in sets)
    return train["image"], train["label"], test["image"]


def test_held_out_images_score_one(real):
    train, labels, test = real
    found = digit_quality.measure(test, train, labels, test)
    assert found["frechet_ratio"] == found["nearest_ratio"] == 1
    assert min(found["classes"]) > 0.08


def test_the_share_that_is_as_asked(real, tmp_path, capsys):
    """All images but a tenth are asked for as what they are; and from a file that says so."""
    train, labels, test = real
    own = digit_quality.measure(train[:500], train, labels, test, labels[:500])["as_asked"]
    asked = np.where(np.arange(500) % 10 == 0, (labels[:500] + 1) % 10, labels[:500])
    found = digit_quality.measure(train[:500], train, labels, test, asked)["as_asked"]
    assert own > 0.99
    assert found == pytest.approx(0.9 * own, abs=0.01)
    np.savez(tmp_path / "class.npz", samples=train[:500], label=asked)
    assert digit_quality.main(["digits", str(tmp_path / "class.npz")]) == 0
    assert json.loads(capsys.readouterr().out)["as_asked"] == found
    np.savez(tmp_path / "class.npz", samples=train[:500], label=asked[:3])
    assert digit_quality.main(["digits", str(tmp_path / "class.npz")]) == 2


def test_memorised_images_are_too_near(real):
    train, labels, test = real
    assert digit_quality.measure(train[:500], train, labels, test)["nearest_ratio"] == 0


def test_blurred_missing_and_noisy_images_are_far(real):
    train, labels, test = real
    mean = np.broadcast_to(train.mean(0).astype(np.uint8), test.shape)
    assert digit_quality.measure(mean, train, labels, test)["frechet_ratio"] > 10
    one_class = train[labels == 3]
    found = digit_quality.measure(one_class, train, labels, test)
    assert found["classes"][3] > 0.9
    assert found["frechet_ratio"] > 5
    noise = np.random.RandomState(0).randint(0, 255, test.shape).astype(np.uint8)
    assert digit_quality.measure(noise, train, labels, test)["nearest_ratio"] > 1.3


def test_bad_input_is_one_line(tmp_path, capsys):
    assert digit_quality.main(["digits"]) == 2
    assert digit_quality.main(["digits", str(tmp_path / "none.npz")]) == 2
    np.savez(tmp_path / "wrong.npz", samples=np.zeros((3, 32, 32, 3), np.uint8))
    assert digit_quality.main(["digits", str(tmp_path / "wrong.npz")]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 3
    assert "need uint8 [n, 8, 8, 1]" in errors[2]


def test_the_number_of_channels_says_which_digits_are_real(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    images = data.load("digits_rgb", "test").gather(np.arange(500))["image"]
    np.savez(tmp_path / "samples.npz", samples=images)
    assert digit_quality.main(["digits", str(tmp_path / "samples.npz")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frechet_ratio"] == found["nearest_ratio"] == 1
