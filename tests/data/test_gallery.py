"""Pictures of data sets: what is drawn of each example, and into which file."""

import numpy as np
import pytest

from score_sde import data, fields, images
from score_sde.data import arrays, gallery
from score_sde.data.__main__ import main


def test_info_draws_images_and_texts(tmp_path, capfd):
    """Of two examples in two colours, with a gray image below each, those colours are seen."""
    colors = np.array([(255, 0, 0), (0, 0, 255)], np.uint8)
    held = {
        "image": np.broadcast_to(colors[:, None, None], (2, 4, 4, 3)),
        "sketch": np.full((2, 4, 4, 1), 77, np.uint8),
        "text": fields.encode_texts(["a cat for $5", ""], 20),
    }
    about = (fields.image((4, 4, 3)), fields.image((4, 4, 1), name="sketch"), fields.text(20))
    data.register("two", lambda split: arrays.source({split: held}, split=split, fields=about))
    path = tmp_path / "new" / "two.png"
    assert main(["info", "two", f"--picture={path}"]) == 0
    out = capfd.readouterr().out
    assert "\ntext, the first: a cat for $5; \n" in out
    assert out.endswith(f"\nwrote {path}\n")
    drawn = np.asarray(images.read(path).convert("RGB")).reshape(-1, 3)
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    often = {tuple(map(int, color)) for color, n in zip(seen, counts, strict=True) if n > 2000}
    assert often == {(255, 0, 0), (0, 0, 255), (77, 77, 77), (255, 255, 255)}


def test_vectors_are_no_picture(tmp_path, capfd):
    assert main(["info", "moons", f"--picture={tmp_path / 'moons.png'}"]) == 2
    err = "error: moons has no images, so there is no picture of it\n"
    assert capfd.readouterr().err == err


@pytest.mark.parametrize("number", [1, 9])
def test_as_many_as_there_are(tmp_path, number):
    source = arrays.source({"train": {"image": np.zeros((3, 2, 2, 1), np.uint8)}})
    gallery.save(source, tmp_path / "some.png", number)
    assert images.header(tmp_path / "some.png").size[0] == 125 * min(number, 3)


def test_a_video_is_a_column_of_its_frames(tmp_path):
    videos = np.zeros((3, 4, 2, 2, 1), np.uint8)
    gallery.save(arrays.source({"train": {"video": videos}}), tmp_path / "some.png")
    assert images.header(tmp_path / "some.png").size == (3 * 125, 4 * 125)
