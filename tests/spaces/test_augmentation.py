"""Transforms that a network is told of: EDM's reference, and that nothing of them leaks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.spaces import Pixels, augmentation
from score_sde.spaces.augmentation import COLOURS, TRANSFORMS

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).uniform(-1, 1, (64, 6, 5, 3)).astype(np.float32)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def apply():
    return quick_jit(augmentation.apply)


@pytest.mark.parametrize("p", ["1", "0.12"])
def test_the_pipeline_of_edm(shared, apply, p):
    """Of its own draws: the numbers to 1e-6, the images to 1e-4: its filter's float32."""
    with np.load(shared / "golden" / "modern" / "objectives.npz") as file:
        prefix = f"augment_p{p}/"
        found = {n.removeprefix(prefix): a for n, a in file.items() if n.startswith(prefix)}
    drawn = {int(n[4:6]): a for n, a in found.items() if n.startswith("draw")}
    on = {i: a.reshape(-1) < float(p) for i, a in drawn.items()}
    angle = {i: (2 * drawn[i] - 1) * np.pi for i in (6, 9)}
    parameters = {
        "xflip": drawn[0].reshape(-1),
        "yflip": drawn[2].reshape(-1) * on[3],
        "scale": drawn[4] * on[5],
        "rotate": angle[6] * on[7],
        "aniso": np.stack([drawn[8] * on[10], angle[9] * (drawn[11] < 0.5)], 1),
        "translate": drawn[12].T * on[13][:, None],
    }
    parameters = {n: v.reshape(8, -1).astype(np.float32) for n, v in parameters.items()}
    told = quick_jit(augmentation.numbers)(parameters)
    np.testing.assert_allclose(told, found["labels"], atol=1e-6)
    x, out = (found[name].transpose(0, 2, 3, 1) for name in ("images", "out"))
    np.testing.assert_allclose(apply(x, parameters), out, atol=1e-4)


def test_an_image_that_nothing_is_told_of_is_itself():
    """And only such a one, of sides 6 and 5; each transform is as likely as it says, to 4 sigma."""
    space = Pixels(X.shape[1:], 256, augmentations=tuple(TRANSFORMS), augmentation_probability=0.12)
    keys, x = jax.random.split(KEY, 640), np.tile(X, (10, 1, 1, 1))
    found, told = quick_jit(space.distort)(keys, x)
    assert told.shape == (640, space.told) == (640, 15)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal((found == x).all((1, 2, 3)), (told == 0).all(1))
    sizes = np.cumsum([transform.size for transform in TRANSFORMS.values()])[:-1]
    for name, of_one in zip(TRANSFORMS, np.split(np.asarray(told), sizes, axis=1), strict=True):
        p = {"xflip": 0.5, "yflip": 0.06, "lumaflip": 0.06}.get(name, 0.12)
        share = (of_one != 0).any(1).mean()
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / 640), name
    some = quick_jit(lambda keys: augmentation.draw(keys, 32, ("scale",), 0.12))(keys[8:40])
    np.testing.assert_array_equal(some["scale"][:, 0], told[8:40, 2])  # of each one's own key


def test_with_probability_zero_and_without_mirrors_all_is_as_it_was():
    space = Pixels(X.shape[1:], 256, augmentations=("yflip", "scale"), augmentation_probability=0.0)
    found, told = quick_jit(space.distort)(KEY, X)
    np.testing.assert_array_equal(found, X)
    np.testing.assert_array_equal(told, np.zeros((64, 2)))
    none = Pixels(X.shape[1:], 256)
    assert none.told == 0
    assert none.distort(KEY, X)[1].shape == (64, 0)


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("xflip", 1, X[:, :, ::-1]),
        ("yflip", 1, X[:, ::-1]),
        ("brightness", 2, X + 0.4),
        ("contrast", 2, 2 * X),
        ("lumaflip", 1, X - 2 * X.mean(3, keepdims=True)),
        ("hue", 2 * np.pi / 3, np.roll(X, 1, axis=3)),  # red becomes green
        ("saturation", -1, (X + X.mean(3, keepdims=True)) / 2),
    ],
)
def test_what_has_a_closed_form(name, parameter, expected):
    found = quick_jit(augmentation.apply)(X, {name: jnp.full((64, 1), float(parameter))})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_colours_of_gray_images_in_another_range():
    """Brightness of images in [0, 1], where it is half as much; a flip of gray is a negative."""
    gray = (X[..., :1] + 1) / 2
    space = Pixels(
        gray.shape[1:],
        256,
        centered=False,
        augmentations=("brightness", "lumaflip"),
        augmentation_probability=1.0,
    )
    found, told = quick_jit(space.distort)(KEY, gray)
    brightness, flipped = np.asarray(told).T[:, :, None, None, None]
    expected = 0.5 + (1 - 2 * flipped) * (gray - 0.5 + 0.1 * brightness)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_colours_that_an_image_has_not():
    for channels, name in [(1, "hue"), (1, "saturation"), *((2, name) for name in COLOURS)]:
        with pytest.raises(ValueError, match=f"{name} is of colours, and these images have"):
            Pixels((4, 4, channels), 256, augmentations=(name,))
    with pytest.raises(ValueError, match="unknown augmentations 'flip'"):
        Pixels((4, 4, 3), 256, augmentations=("flip",))
