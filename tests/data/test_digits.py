"""The bundled digits: pixels, split, and a build that cannot leave half a data set behind."""

import colorsys

import numpy as np
import pytest
from made_info import described, image_info
from sklearn.datasets import load_digits

from score_sde import data

pytestmark = pytest.mark.slow


@pytest.fixture
def splits(digits_dir):
    return {split: data.load("digits", split, data_dir=digits_dir) for split in ("train", "test")}


def test_info(splits):
    names = tuple("0123456789")
    assert described(splits["train"]) == image_info(
        "digits", "train", 1297, (8, 8, 1), 10, 17, names
    )
    assert described(splits["test"]) == image_info("digits", "test", 500, (8, 8, 1), 10, 17, names)


def test_both_splits_together_are_scikit_learns_images_exactly(splits):
    reference = load_digits()
    expected = sorted(
        (int(label), image.astype(int).tobytes())
        for image, label in zip(reference.images, reference.target, strict=True)
    )
    found = []
    for source in splits.values():
        batch = source.gather(np.arange(len(source)))
        levels = np.round(batch["image"][..., 0] * (16 / 255)).astype(int)
        found += [(int(y), k.tobytes()) for y, k in zip(batch["label"], levels, strict=True)]
    assert sorted(found) == expected


def test_pixels_are_the_17_levels(splits):
    images = splits["train"].gather(np.arange(1297))["image"]
    assert np.array_equal(np.unique(images), np.round(np.arange(17) * 255 / 16))


def test_split_is_stratified_to_within_one_image(splits):
    test = np.bincount(splits["test"].gather(np.arange(500))["label"], minlength=10)
    train = np.bincount(splits["train"].gather(np.arange(1297))["label"], minlength=10)
    assert np.all(np.abs(test - 500 * (test + train) / 1797) < 1)


def test_two_processes_build_at_once(tmp_path, python):
    program = (
        "import sys; from score_sde import data; "
        "print(len(data.load('digits', data_dir=sys.argv[1])))"
    )
    runs = [python("-c", program, tmp_path) for _ in range(2)]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, out, err) == (0, "1297\n", "")
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["1.0.0"]


def test_loser_of_the_race_reads_what_the_winner_wrote(tmp_path, monkeypatch):
    from score_sde.data import digits

    build = digits.Digits._split_generators

    def overtaken(self, dl_manager):
        monkeypatch.setattr(digits.Digits, "_split_generators", build)
        data.load("digits", data_dir=tmp_path)  # The winner finishes while the loser builds.
        return build(self, dl_manager)

    monkeypatch.setattr(digits.Digits, "_split_generators", overtaken)
    assert len(data.load("digits", data_dir=tmp_path)) == 1297


def test_a_build_that_is_killed_is_built_again(tmp_path, python):
    program = (
        "import os, sys; from score_sde import data; from score_sde.data import digits; "
        "digits.Digits._generate_examples = lambda *_: os._exit(9) or iter(()); "
        "data.load('digits', data_dir=sys.argv[1])"
    )
    killed = python("-c", program, tmp_path)
    killed.communicate(timeout=60)
    assert killed.returncode == 9
    assert any((tmp_path / "digits").iterdir())  # It had begun to write.
    assert len(data.load("digits", data_dir=tmp_path)) == 1297


def test_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(data.DataError, match=r"cannot write digits to .*file.*data_dir"):
        data.load("digits", data_dir=tmp_path / "file")


@pytest.fixture
def colored(digits_dir):
    return {
        split: data.load("digits_rgb", split, data_dir=digits_dir) for split in ("train", "test")
    }


def test_info_of_the_colored_digits(colored, splits):
    names = tuple("0123456789")
    for split, size in (("train", 1297), ("test", 500)):
        expected = image_info("digits_rgb", split, size, (8, 8, 3), 10, 256, names)
        assert described(colored[split]) == expected
    whole = [colored[split].gather(np.arange(len(colored[split])))["image"] for split in colored]
    assert len(np.unique(np.concatenate(whole))) == 256


def test_colored_digits_are_the_digits_in_one_saturated_color_each(colored, splits):
    """Image by image: pixel = round(c v / 16) with c of full brightness, and the same label."""
    hues = []
    for split, source in splits.items():
        grey = source.gather(np.arange(len(source)))
        rgb = colored[split].gather(np.arange(len(source)))
        assert np.array_equal(grey["label"], rgb["label"])
        levels = np.round(grey["image"] / 255 * 16)
        color = rgb["image"].max((1, 2))  # every digit has ink of level 16 or nearly
        color = color / color.max(1, keepdims=True)
        painted = np.round(255 * color[:, None, None] * levels / 16)
        assert np.abs(painted - rgb["image"]).max() <= 1
        hue, saturation, _ = np.array([colorsys.rgb_to_hsv(*c) for c in color]).T
        assert 0.68 < saturation.min() < 0.72
        assert saturation.max() > 0.98
        hues.append(hue)
    # 1797 uniform hues: each sixth of the circle has 300, with a standard deviation of 16.
    counts = np.histogram(np.concatenate(hues), 6, (0, 1))[0]
    assert np.abs(counts - 1797 / 6).max() < 4 * 16


def test_a_color_depends_on_the_position_alone():
    from score_sde.data import digits

    expected = (1.0, 0.2514980095587893, 0.2980952402033452)
    np.testing.assert_allclose(digits.color(0), expected, rtol=1e-12)


def test_a_version_may_be_named(digits_dir):
    for version in ("1.0.0", "1.*.*"):
        source = data.load(f"digits:{version}", "test", data_dir=digits_dir)
        assert source.info["image"].values == 17
    with pytest.raises(data.DataError, match=r"digits:3\.0\.0 is not prepared in"):
        data.load("digits:3.0.0", data_dir=digits_dir)
