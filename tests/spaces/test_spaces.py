"""Spaces: there and back, arrays measured on the data, pictures and files."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from score_sde import fields, spaces
from score_sde.data import arrays
from score_sde.errors import UserError
from score_sde.spaces import Pixels, Vectors

KEY = jax.random.key(0)


@pytest.fixture
def measured():
    """Vectors of a known mean and scale, one coordinate without any spread; and their source."""
    rng = np.random.default_rng(0)
    values = np.stack([1e4 + 2 * rng.standard_normal(500), np.full(500, 7.0)], 1)
    source = arrays.source(values.astype(np.float32), split="train")
    return Vectors.of(source.info["vector"]).fitted(source, "vector"), source


def test_vectors_are_standardised_by_what_was_measured(measured):
    """Mean 0 and scale 1 of the training data, to float32, also far from the origin."""
    space, source = measured
    values = source.gather(np.arange(len(source)))["vector"]
    np.testing.assert_allclose(space.mean, values.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(space.scale, [values[:, 0].astype(np.float64).std(), 1], rtol=1e-5)
    x = space.encode(values)
    np.testing.assert_allclose(x[:, 0].mean(), 0, atol=1e-3)
    np.testing.assert_allclose(space.decode(x), values, rtol=1e-6)


def test_the_volume_is_the_jacobian_of_encoding(measured):
    space, _ = measured
    jacobian = jax.jacfwd(lambda v: space.encode(v[None])[0])(jnp.array([1e4, 7.0]))
    volume = space.log_volume(jnp.ones((3, 2)))
    np.testing.assert_allclose(volume, np.full(3, np.linalg.slogdet(jacobian)[1]), rtol=1e-5)
    with pytest.raises(ValueError, match="discrete: they have no density"):
        Pixels((2, 2, 1), 256).log_volume(jnp.zeros((1, 2, 2, 1)))


def test_arrays_survive_a_file_and_are_arguments_of_what_is_compiled(measured):
    """The same function, compiled once, takes another mean and scale."""
    space, _ = measured
    again = Vectors.of(fields.vector(2)).with_arrays(
        {name: array.tolist() for name, array in space.arrays().items()}
    )
    np.testing.assert_array_equal(again.mean, space.mean)
    traced = []
    encode = jax.jit(lambda space, v: traced.append(1) or space.encode(v))
    one = encode(space, jnp.ones((1, 2)))
    other = encode(space.with_arrays({"mean": [0, 0], "scale": [2, 4]}), jnp.ones((1, 2)))
    assert len(traced) == 1
    np.testing.assert_allclose(other, [[0.5, 0.25]])
    assert (one != other).any()


def test_vectors_that_are_not_standardised_are_themselves():
    source = arrays.source(np.full((10, 3), 5.0, np.float32))
    space = Vectors.of(source.info["vector"], standardise=False).fitted(source, "vector")
    np.testing.assert_array_equal(space.encode(jnp.full((1, 3), 5.0)), 5.0)


def test_values_that_are_not_finite_are_named():
    info = spaces.SPACES["vectors"].of(fields.vector(1))
    source = arrays.source(np.ones((10, 1), np.float32))
    source.gather = lambda rows: {"vector": np.full((len(rows), 1), np.nan, np.float32)}
    with pytest.raises(UserError, match="vector has values that are not finite"):
        info.fitted(source, "vector")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dequantize", [False, True])
def test_images_of_any_size_channels_and_levels_come_back(channels, dequantize):
    space = Pixels.of(fields.image((3, 5, channels), levels=7), dequantize=dequantize)
    level = np.random.default_rng(0).integers(0, 7, (4, 3, 5, channels))
    images = np.round(level * (255 / 6)).astype(np.uint8)
    assert space.encode(images).shape == (4, *space.shape)
    np.testing.assert_array_equal(space.decode(space.encode(images)), images)
    np.testing.assert_array_equal(space.decode(space.encode(images, KEY)), images)
    lattice = space.lattice
    assert (lattice.levels, lattice.centered, lattice.tiled) == (7, True, dequantize)


def test_noise_is_of_each_examples_own_key():
    space = Pixels((2, 2, 1), 4, dequantize=True)
    images, each = jnp.zeros((3, 2, 2, 1), jnp.uint8), jax.random.split(KEY, 3)
    x = space.encode(images, each)
    np.testing.assert_array_equal(x[1:], space.encode(images[1:], each[1:]))
    assert (x[0] != x[1]).any()


def test_only_augmentation_flips():
    space = Pixels((1, 2, 1), 256, flip=True)
    images = jnp.tile(jnp.array([0, 255], jnp.uint8).reshape(1, 1, 2, 1), (64, 1, 1, 1))
    np.testing.assert_array_equal(space.decode(space.encode(images)), images)
    flipped = (space.augment(KEY, images) != images).any((1, 2, 3)).sum()
    assert 16 < flipped < 48  # half, within 4 standard errors
    np.testing.assert_array_equal(Pixels((1, 2, 1), 256).augment(KEY, images), images)


@pytest.mark.parametrize(("d", "size"), [(1, (500, 500)), (2, (500, 500)), (5, (500, 500))])
def test_vectors_are_shown_and_saved(tmp_path, d, size):
    space = Vectors.of(fields.vector(d))
    values = np.random.default_rng(0).standard_normal((30, d)).astype(np.float32)
    space.show(tmp_path / "new" / "picture.png", values)
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        assert picture.size == size
    space.save(tmp_path / "kept", ("a", "b"), values[:2])
    assert [p.name for p in sorted((tmp_path / "kept").iterdir())] == ["a.txt", "b.txt"]
    np.testing.assert_array_equal(
        np.loadtxt(tmp_path / "kept" / "b.txt", np.float32, ndmin=1), values[1]
    )


def test_images_are_saved_one_by_one(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
    Pixels((4, 6, 3), 256).save(tmp_path, [str(n) for n in range(len(images))], images)
    with Image.open(tmp_path / "1.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), images[1])


def test_a_space_is_for_its_kinds_of_fields():
    assert spaces.kinds({"name": "pixels"}) == ("image",)
    with pytest.raises(ValueError, match="did you mean 'pixels'"):
        spaces.kinds({"name": "pixel"})


@pytest.mark.parametrize("name", spaces.SPACES)
def test_what_a_space_has_of_its_own_is_called_as_that_of_all(name):
    """Tasks and programs ask any space: one that means something else by a name fails there."""
    space = spaces.SPACES[name]
    for method in ("read", "fit", "there", "region", "encode", "decode", "save", "neutral"):
        called = list(inspect.signature(getattr(space, method)).parameters)
        assert called == list(inspect.signature(getattr(spaces.Space, method)).parameters)
