"""Pictures of samples."""

import numpy as np
import pytest
from PIL import Image

from score_sde.spaces import scatter
from score_sde.spaces.pictures import ROOM, captioned, grid, save_grid, save_video


def test_grid_places_every_image_once():
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    canvas = grid(images, columns=3)
    assert canvas.shape == (2 * 3 + 1, 3 * 4 + 1, 1)
    np.testing.assert_array_equal(canvas[1:3, 5:8, 0], 2)
    np.testing.assert_array_equal(canvas[4:6, 5:8, 0], 5)
    assert (canvas == 255).sum() == canvas.size - 5 * 6


def test_a_scatter_plot_fills_its_square(tmp_path):
    """However flat the points lie: from its first row that is not white to its last."""
    points = np.random.default_rng(0).standard_normal((50, 2)) * [10.0, 0.5]
    scatter.save(tmp_path / "flat.png", points)
    picture = np.asarray(Image.open(tmp_path / "flat.png").convert("L"))
    rows = np.flatnonzero((picture < 200).any(axis=1))
    assert rows[-1] - rows[0] > 0.9 * len(picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_captions_stand_above_images_that_have_room(channels):
    images = np.full((2, 5, ROOM, channels), 100, np.uint8)
    found = captioned(images, ["violin, A4", "a long description of a sound " * 9])
    assert found.shape == (2, 2 * 14 + 5, ROOM, channels)
    np.testing.assert_array_equal(found[:, -5:], images)
    above = found[:, :-5].min((2, 3)) < 128
    assert above[:, :14].any(axis=1).all()
    assert above[:, 14:].any(axis=1).tolist() == [False, True]  # that of the second has two lines
    for unchanged in (captioned(images, ()), captioned(images, ["", ""])):
        assert unchanged is images
    assert captioned(images[:, :, 1:], ["a", "b"]).shape == (2, 5, ROOM - 1, channels)


def test_save_grid_enlarges_small_images(tmp_path):
    for channels, mode in ((1, "L"), (3, "RGB")):
        images = np.random.RandomState(0).randint(0, 255, (4, 8, 8, channels), np.uint8)
        path = tmp_path / "samples" / f"{mode}.png"
        save_grid(path, images)
        picture = Image.open(path)
        assert picture.mode == mode
        assert picture.size == (2 * (32 + 2) + 2,) * 2
        inside = np.asarray(picture).reshape(70, 70, channels)[2:34:4, 2:34:4]
        np.testing.assert_array_equal(inside, images[0])
    assert not list(tmp_path.rglob("*.partial"))


def test_a_video_is_an_animated_png(tmp_path):
    """Every frame, bit for bit, and what the file says."""
    video = np.random.RandomState(0).randint(0, 255, (3, 8, 6, 3), np.uint8)
    save_video(tmp_path / "video.png", video, {"parameters": "said"})
    with Image.open(tmp_path / "video.png") as file:
        assert file.n_frames == 3
        for i, frame in enumerate(video):
            file.seek(i)
            np.testing.assert_array_equal(np.asarray(file.convert("RGB")), frame)
        assert file.text["parameters"] == "said"
