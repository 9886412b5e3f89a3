"""Pictures and sketches, against what is known of them; what is damaged is named."""

import io

import numpy as np
import pytest
from PIL import Image

from score_sde.data.base import DataError
from score_sde.data.emoji import drawing
from score_sde.data.emoji.names import parse


def test_a_square_is_where_it_is_to_be(square):
    expected = np.full((16, 16, 3), 255, np.uint8)
    expected[4:12, 4:12] = (255, 0, 0)
    np.testing.assert_array_equal(drawing.draw(square(), 16, "a"), expected)


def test_what_is_not_square_stands_in_the_middle(square):
    """A box of 8 by 16 with the square in its upper half: half as large, and centred across."""
    expected = np.full((16, 16, 3), 255, np.uint8)
    expected[2:6, 6:10] = (255, 0, 0)
    found = drawing.draw(square(box="0 0 8 16"), 16, "a")
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_edges_of_a_square():
    """Dark where a pixel differs from the next; nothing elsewhere, and at the border too."""
    picture = np.full((6, 6, 3), 255, np.uint8)
    picture[2:4, :] = (0, 255, 255)  # to both sides of the picture
    found = drawing.edges(picture)[..., 0]
    expected = np.full((6, 6), 255, np.uint8)
    expected[[1, 3]] = 0  # where the next below differs
    expected[2, [0, 5]] = 0  # where the outside differs
    np.testing.assert_array_equal(found, expected)


def test_faint_edges_are_seen():
    """A step of 1 in 255 is drawn with 255 - sqrt(255)."""
    picture = np.full((3, 3, 3), 255, np.uint8)
    picture[1, 1] = 254
    assert drawing.edges(picture)[1, 1, 0] == 239


def test_pictures_are_those_of_the_developers(six, openmoji):
    """Of twenty of OpenMoji's: each is nearest to its own, and half to a level in the mean.

    Theirs are of an older OpenMoji and were rendered at 32 pixels.
    """
    about, images, have = six
    chosen = [row for row in range(0, 1900, 95) if have[row, 5]]
    assert len(chosen) == 20
    svgs = [openmoji.svgs[parse(about["emoji"][row]["hex"])] for row in chosen]
    drawn = np.stack([drawing.draw(svg, 32, name) for svg, name in svgs]).astype(int)
    apart = np.abs(drawn[:, None] - images[chosen, 5]).mean(axis=(2, 3, 4))
    assert (apart.argmin(axis=1) == np.arange(20)).all()
    assert np.median(np.diag(apart)) < 1


def test_the_line_drawing_is_where_the_picture_is_dark(openmoji):
    """OpenMoji draws lines over colours, so where its line drawing is black the picture is."""
    for code in ("1F600", "1F418", "1F680"):
        svg, name = openmoji.svgs[parse(code)]
        lines, picture = drawing.line_layer(svg, 64, name), drawing.draw(svg, 64, name)
        black = lines[..., 0] == 0
        assert 0.01 < black.mean() < 0.5
        assert picture[black].max() < 60
        assert lines.mean() > picture.mean()


@pytest.mark.parametrize(
    ("svg", "says"),
    [
        (b"", "cat cannot be drawn"),
        (b"<svg", "cat cannot be drawn"),
        (b"\xff\xfe", "cat cannot be drawn"),
        (b"x" * (drawing.MOST_BYTES + 1), "cat is larger than"),
        (b'<svg><image href="/etc/passwd"/></svg>', "cat refers to what is not in it"),
        (b"<svg><image xlink:href = 'a.png'/></svg>", "cat refers to what is not in it"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "cat refers to what is not in it"),
    ],
)
def test_a_damaged_svg_is_named(svg, says):
    with pytest.raises(DataError, match=says) as failure:
        drawing.draw(svg, 16, "cat")
    assert "\n" not in str(failure.value)


def test_references_within_are_drawn(square):
    inside = '<defs><rect id="r" width="8" height="8" fill="#00f"/></defs><use href="#r"/>'
    assert (drawing.draw(square(inside=inside), 8, "a") == (0, 0, 255)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_all_pixels(channels):
    picture = np.arange(16 * channels, dtype=np.uint8).reshape(4, 4, channels)
    found = np.asarray(Image.open(io.BytesIO(drawing.png(picture))))
    np.testing.assert_array_equal(found.reshape(4, 4, channels), picture)
