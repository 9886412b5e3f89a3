"""Videos as pixels: there and back, changes that are the same in all frames, pictures that move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from PIL import Image

from score_sde import fields, spaces
from score_sde.spaces import Pixels, Video, pictures

KEY = jax.random.key(0)
SHAPE = (3, 4, 6, 1)


def videos(n=2, shape=SHAPE, levels=256):
    level = np.random.default_rng(0).integers(0, levels, (n, *shape))
    return np.round(level * (255 / (levels - 1))).astype(np.uint8)


@pytest.mark.parametrize("dequantize", [False, True])
@pytest.mark.parametrize("centered", [False, True])
def test_videos_of_any_levels_come_back(dequantize, centered):
    field = fields.video(SHAPE, levels=7)
    assert spaces.kinds({"name": "video"}) == (field.kind,)
    space = Video.of(field, dequantize=dequantize, centered=centered)
    examples = videos(4, levels=7)
    for x in (space.encode(examples), space.encode(examples, KEY)):
        assert x.shape == (4, *space.shape)
        np.testing.assert_array_equal(space.decode(x), examples)
    assert space.lattice == Pixels(SHAPE[1:], 7, centered, dequantize=dequantize).lattice
    assert space.facts == {"centered": centered}
    assert space.states != space.frame.states  # a model of images knows no videos


def test_noise_on_the_levels_is_of_each_pixel_of_each_frame():
    space = Video(SHAPE, 4, dequantize=True)
    x = space.encode(jnp.zeros((2, *SHAPE), jnp.uint8), KEY)
    assert len(np.unique(x)) == x.size


def test_a_video_is_mirrored_whole_left_to_right():
    space, examples = Video(SHAPE, 256, flip=True), videos(64)
    found = np.asarray(space.augment(KEY, jnp.asarray(examples)))
    flipped = (found != examples).any((1, 2, 3, 4))
    assert 16 < flipped.sum() < 48  # half, within 4 standard errors
    np.testing.assert_array_equal(found[flipped], examples[flipped][:, :, :, ::-1])
    np.testing.assert_array_equal(Video(SHAPE, 256).augment(KEY, examples), examples)


def test_other_pictures_of_a_video_are_mirrored_where_it_is():
    """First frames, and a sketch of another size; and so are those of an image."""
    space, examples = Video(SHAPE, 256, flip=True), jnp.asarray(videos(64))
    flipped = np.asarray(space.augment(KEY, examples) != examples).any((1, 2, 3, 4))
    for other in (examples[:, :2], jnp.asarray(videos(64, (9, 12, 3)))):
        expected = np.where(
            flipped.reshape(-1, *(1 for _ in other.shape[1:])), other[..., ::-1, :], other
        )
        np.testing.assert_array_equal(space.alike(KEY, other), expected)
        np.testing.assert_array_equal(space.frame.alike(KEY, other), expected)
        np.testing.assert_array_equal(Video(SHAPE, 256).alike(KEY, other), other)


@pytest.mark.parametrize(("centered", "key"), [(False, KEY), (True, jax.random.split(KEY, 4))])
def test_augmentations_change_all_frames_as_they_change_an_image(centered, key):
    """Each frame is what Pixels makes of it with the same key, and the numbers are the same."""
    options = {
        "centered": centered,
        "augmentations": ("xflip", "yflip", "translate", "brightness"),
        "augmentation_probability": 0.9,
    }
    space = Video(SHAPE, 256, **options)
    frame = Pixels(SHAPE[1:], 256, **options)
    x, of_image = space.encode(videos(4)), quick_jit(frame.distort)
    found, told = quick_jit(space.distort)(key, x)
    assert told.shape == (4, space.told)
    for i in range(SHAPE[0]):
        image, numbers = of_image(key, x[:, i])
        np.testing.assert_allclose(found[:, i], image, atol=1e-6)
        np.testing.assert_array_equal(told, numbers)
    plain = Video(SHAPE, 256)
    assert plain.distort(KEY, x)[0] is x
    with pytest.raises(ValueError, match="the augmentation hue is of colours"):
        Video(SHAPE, 256, augmentations=("hue",))


@pytest.mark.parametrize("channels", [1, 3])
def test_videos_are_shown_as_strips_and_as_an_animation(tmp_path, channels):
    """Of 4 pixels enlarged eight times; gray plays as it is, and colours nearly.

    What plays is so large, 19 times, that there is room above for what was asked.
    """
    shape = (3, 4, 6, channels)
    examples = videos(2, shape)
    space = Video(shape, 256)
    space.show(tmp_path / "new" / "picture.png", examples)
    large = examples.repeat(8, axis=2).repeat(8, axis=3)
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        strip = np.asarray(picture).reshape(2 * 34 + 2, 3 * 50 + 2, channels)
    for i in range(3):
        np.testing.assert_array_equal(strip[36:68, 2 + 50 * i : 50 + 50 * i], large[1, i])
    with Image.open(tmp_path / "new" / "picture.gif") as picture:
        assert (picture.n_frames, picture.info["loop"]) == (3, 0)
        for i in range(3):
            picture.seek(i)
            shown = np.asarray(picture.convert("RGB"))[2:78, 2:116]
            expected = examples[0, i].repeat(19, axis=0).repeat(19, axis=1)
            expected = np.broadcast_to(expected, shown.shape)
            assert np.abs(shown.astype(int) - expected).mean() <= (0 if channels == 1 else 12)
        height = picture.height
    space.show(tmp_path / "asked.png", examples, captions=("left", "right"))
    with Image.open(tmp_path / "asked.gif") as picture:
        assert picture.height == height + 14
    assert space.corner(2) is None


def test_videos_are_saved_one_by_one_without_loss(tmp_path):
    examples = videos(2)
    Video(SHAPE, 256).save(tmp_path, ("a", "b"), examples)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]
    with Image.open(tmp_path / "b.png") as picture:
        for i in range(SHAPE[0]):
            picture.seek(i)
            np.testing.assert_array_equal(np.asarray(picture.convert("L")), examples[1, i, ..., 0])


def test_a_film_strip_reads_from_left_to_right():
    frames = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 5, 1), np.uint8)
    strip = pictures.film_strip(frames)
    assert strip.shape == (2, 3 * 7 - 2, 1)
    assert [strip[0, 7 * i, 0] for i in range(3)] == [0, 1, 2]
    assert (strip[:, 5:7] == 255).all()
