"""Dequantisation: importance weights whose mean is the probability of a level, exactly."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import score_sde
from score_sde.evaluation.metrics.variational_noise import Noise, Variational
from score_sde.models.functional import functional
from score_sde.spaces.dequantization import Lattice, truncated_normal, uniform

pytestmark = pytest.mark.slow

KEY = jax.random.key(1)
DRAWS = 4000
each_lattice = pytest.mark.parametrize(
    "lattice",
    [
        Lattice(levels, centered, tiled)
        for levels in (17, 256)
        for centered in (True, False)
        for tiled in (True, False)
    ],
    ids=str,
)


def pixels(levels):
    """The first, the last and some other levels, as uint8 images [n, 1, 1, 1]."""
    level = np.array([0, 1, levels // 3, levels - 2, levels - 1])
    return np.round(level * (255 / (levels - 1))).astype(np.uint8).reshape(-1, 1, 1, 1), level


def weights(dequantize, lattice, sde, mean, std):
    """Draws of w for a model N(mean, std^2), [levels, DRAWS], and the levels."""
    images, level = pixels(lattice.levels)
    keys = jax.random.split(KEY, DRAWS)

    def one(image):
        repeated = jnp.broadcast_to(image, (DRAWS, *image.shape))
        x, log_factor = dequantize(keys, repeated, lattice, sde)
        assert x.shape == repeated.shape
        logp = -0.5 * ((x - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))
        return jnp.exp(logp.sum((1, 2, 3)) + log_factor)

    return np.stack([one(image) for image in images]), level


def within(draws, expected):
    error = draws.std(1) / np.sqrt(draws.shape[1])
    return np.abs(draws.mean(1) - expected) < 4 * error + 1e-5 * expected


@each_lattice
def test_variational_weights_give_the_mass_of_each_tile(lattice):
    """4 standard errors, whatever the network says: here something random."""
    low, high = (-1, 1) if lattice.centered else (0, 1)
    mean, std = (low + high) / 2 + 0.1, 0.4
    params, _ = functional(lambda rngs: Noise(1, rngs=rngs)).init(jax.random.key(3))
    params["last/bias"] = jnp.array([0.4, 0.3])
    draws, level = weights(Variational(params, 1), lattice, score_sde.VP(), mean, std)
    edges = low + (high - low) * np.stack([level, level + 1]) / lattice.levels
    assert within(draws, np.diff(stats.norm.cdf(edges, mean, std), axis=0)[0]).all()
    assert (draws.std(1) > 0.3 * draws.mean(1)).all()  # that of uniform noise is 0.22 at most


@each_lattice
def test_uniform_weights_give_the_mass_of_each_tile(lattice):
    """4 standard errors; the tiles divide the range, in whichever way the model was trained."""
    low, high = (-1, 1) if lattice.centered else (0, 1)
    mean, std = (low + high) / 2 + 0.1, 0.4
    draws, level = weights(uniform, lattice, score_sde.VP(), mean, std)
    edges = low + (high - low) * np.stack([level, level + 1]) / lattice.levels
    assert within(draws, np.diff(stats.norm.cdf(edges, mean, std), axis=0)[0]).all()


@each_lattice
def test_truncated_weights_give_the_mass_around_each_point(lattice):
    """4 standard errors; P(k) is of x / alpha in the interval around what k was in training."""
    sde = score_sde.VP(t_min=1e-2)
    alpha = float(sde.alpha(np.float64(sde.t_min)))
    low, high = (-1, 1) if lattice.centered else (0, 1)
    mean, std = (low + high) / 2 + 0.1, 0.4
    draws, level = weights(truncated_normal, lattice, sde, alpha * mean, alpha * std)
    parts = lattice.levels if lattice.tiled else lattice.levels - 1
    middle = low + (high - low) * (level + 0.5 * lattice.tiled) / parts
    half = (high - low) / parts / 2
    assert lattice.half_width == pytest.approx(half)
    expected = stats.norm.cdf(middle + half, mean, std) - stats.norm.cdf(middle - half, mean, std)
    assert within(draws, expected).all()


@pytest.mark.parametrize("tiled", [True, False])
def test_truncated_noise_of_two_levels_never_overlaps(tiled):
    """With 100 levels a uint8 pixel is beside the middle of its level, wide noise all around it."""
    levels, sde = 100, score_sde.VE(sigma_min=0.5)
    k = np.repeat(np.arange(levels), 50)
    images = np.round(k * (255 / 99)).astype(np.uint8).reshape(-1, 1, 1, 1)
    keys = jax.random.split(KEY, len(k))
    lattice = Lattice(levels, False, tiled)
    x, _ = jax.jit(lambda: truncated_normal(keys, images, lattice, sde))()
    place = np.ravel(x).astype(np.float64) * (levels if tiled else levels - 1)
    edge = k if tiled else k - 0.5
    assert (place > edge - 1e-4).all()
    assert (place < edge + 1 + 1e-4).all()


@pytest.mark.parametrize(("centered", "offset"), [(False, 8), (True, 7)])
def test_the_offset_of_256_levels(centered, offset):
    """ORACLES: bits/dim = -log2 p / D + 8 in [0, 1], + 7 in [-1, 1]."""
    images = np.zeros((2, 4, 4, 3), np.uint8)
    lattice = Lattice(256, centered, tiled=False)
    _, log_factor = uniform(jax.random.split(KEY, 2), images, lattice, score_sde.VP())
    np.testing.assert_allclose(-log_factor / 48 / math.log(2), [offset, offset], rtol=1e-6)


def test_truncated_noise_is_that_of_t_min_where_the_interval_is_wide():
    """17 levels, sigma(1e-3) = 0.0105 in an interval of 0.125: nothing is cut off."""
    sde, n = score_sde.VP(), 20_000
    images = np.full((n, 1, 1, 1), 255, np.uint8)
    lattice = Lattice(17, centered=True, tiled=False)
    x, _ = jax.jit(lambda keys: truncated_normal(keys, images, lattice, sde))(
        jax.random.split(KEY, n)
    )
    alpha, sigma = sde.alpha(np.float64(1e-3)), sde.sigma(np.float64(1e-3))
    z = (np.ravel(x) - alpha) / sigma
    assert abs(z.mean()) < 3 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 3 * math.sqrt(2 / n)


def test_noise_of_an_image_depends_on_its_key_alone():
    images = np.random.RandomState(0).randint(0, 256, (4, 2, 2, 1)).astype(np.uint8)
    keys, lattice, sde = jax.random.split(KEY, 4), Lattice(256, True, False), score_sde.VP()

    @jax.jit
    def both(keys, images):
        return [
            dequantize(keys, images, lattice, sde).x for dequantize in (uniform, truncated_normal)
        ]

    for whole, part in zip(both(keys, images), both(keys[2:3], images[2:3]), strict=True):
        np.testing.assert_array_equal(whole[2], part[0])
