"""Masks: names of what is not known, and files of images."""

import numpy as np
import pytest
from PIL import Image

from score_sde.cli import masks
from score_sde.errors import UserError
from score_sde.spaces import Video


def test_masks_name_what_is_not_known(tmp_path):
    right = masks.known("right", 8, 6)
    assert right.shape == (1, 8, 6, 1)
    assert right[0, :, :3].all()
    assert not right[0, :, 3:].any()
    assert not masks.known("top", 8, 8)[0, :4].any()
    assert (~masks.known("center", 8, 8)).sum() == 16
    path = tmp_path / "mask.png"
    Image.fromarray(np.where(right[0, :, :, 0], 255, 0).astype(np.uint8)).save(path)
    np.testing.assert_array_equal(masks.known(str(path), 8, 6), right)
    with pytest.raises(UserError, match=r"mask\.png is 6x8, the images 8x8"):
        masks.known(str(path), 8, 8)
    path.write_text("text")
    with pytest.raises(UserError, match=r"mask\.png is not a readable image"):
        masks.known(str(path), 8, 6)


def test_masks_of_videos_name_frames_or_what_is_unknown_in_all_of_them(tmp_path):
    """Of 16 frames the first four are before the future, and two at each end around the rest."""

    def known(name, frames=16):
        return masks.known(name, frames, 4, 6, regions=Video.REGIONS)

    frames = np.arange(16)
    of_time = {"future": frames < 4, "past": frames >= 12, "between": (frames < 2) | (frames >= 14)}
    for name, there in of_time.items():
        assert known(name).shape == (1, 16, 4, 6, 1)
        np.testing.assert_array_equal(known(name)[0, :, 0, 0, 0], there)
        assert (known(name) == known(name)[:, :, :1, :1]).all()
    right = masks.known("right", 4, 6)
    np.testing.assert_array_equal(known("right"), np.broadcast_to(right, (1, 16, 4, 6, 1)))
    Image.fromarray(np.uint8(255 * right[0, ..., 0])).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(known(str(tmp_path / "mask.png")), right[None])
    with pytest.raises(UserError, match="--mask=future knows nothing of 3x4x6"):
        known("future", 3)
    with pytest.raises(UserError, match=r"did you mean 'future'\? valid: future, past, between"):
        known("futur")
    with pytest.raises(UserError, match="valid: left, right, top, bottom, center, or a PNG"):
        masks.known("future", 4, 6)


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "LA", "1"])
def test_masks_may_be_of_any_mode(tmp_path, mode):
    """White is known, and what is transparent is not."""
    right = masks.known("right", 8, 6)
    image = Image.fromarray(np.uint8(255 * right[0, ..., 0]))
    if mode == "I;16":
        image = Image.fromarray(np.uint16(65535 * right[0, ..., 0]))
    elif mode in ("RGBA", "LA"):
        transparent = Image.new("L", image.size, 255)
        transparent.putalpha(image)
        image = transparent
    image.convert(mode).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(masks.known(str(tmp_path / "mask.png"), 8, 6), right)


def test_masks_of_0_and_1_are_understood_and_empty_ones_refused(tmp_path):
    right = masks.known("right", 8, 6)
    path = tmp_path / "mask.png"
    Image.fromarray(np.uint8(right[0, ..., 0])).save(path)
    np.testing.assert_array_equal(masks.known(str(path), 8, 6), right)
    for most in (0, 100):
        Image.fromarray(np.uint8(most * right[0, ..., 0])).save(path)
        with pytest.raises(UserError, match=f"knows no pixel: its values are 0 to {most}"):
            masks.known(str(path), 8, 6)
