"""The toy sets: their densities are exact, and their samples are of these densities."""

import itertools

import numpy as np
import pytest
from made_info import described
from scipy import integrate, stats

from score_sde.data import toy
from score_sde.data.base import DataError, Info, SplitError
from score_sde.fields import label, vector

pytestmark = pytest.mark.slow

STEP = 0.05  # Half the smallest noise: sums over a grid are then exact to exp(-2 pi^2 2^2) = 1e-34.


@pytest.fixture(scope="module", params=toy.SETS)
def points(request):
    return toy.SETS[request.param]


@pytest.fixture(scope="module")
def grid(points):
    """Centres of squares of side STEP on [-4, 4]^2, [160, 160, 2], and log p there."""
    centres = np.arange(-4 + STEP / 2, 4, STEP)
    x = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1)
    return x, points.log_density(x.reshape(-1, 2)).reshape(x.shape[:2])


@pytest.fixture(scope="module")
def drawn(points):
    return points.sample(np.random.default_rng(0), 20_000)


def test_the_density_integrates_to_one(grid):
    """The trapezoidal sum over the plane is 1; the tails outside [-4, 4]^2 are below 1e-14."""
    np.testing.assert_allclose(np.exp(grid[1]).sum() * STEP**2, 1, rtol=1e-12)


def test_samples_have_the_entropy_of_the_density(points, grid, drawn):
    """The mean of -log p over samples is the integral of -p log p, within 4 standard errors."""
    log_p = grid[1]
    entropy = -(np.exp(log_p) * log_p).sum() * STEP**2
    found = -points.log_density(drawn[0][:5000])
    assert abs(found.mean() - entropy) < 4 * found.std() / np.sqrt(len(found))


def test_samples_fill_squares_as_the_density_says(grid, drawn):
    """Chi-squared of the counts in squares of side 0.2, within 4 standard deviations of its mean.

    A square is 16 cells of the grid; their sum is the integral to a sixth of the noise of its
    count at most, which adds less than 2 to chi-squared over all squares.
    """
    edges = np.linspace(-4, 4, 41)
    counts = np.histogram2d(*drawn[0].T, bins=(edges, edges))[0]
    expected = np.exp(grid[1]).reshape(40, 4, 40, 4).sum((1, 3)) * STEP**2 * len(drawn[0])
    often = expected > 10
    rest = len(drawn[0]) - np.array([counts[often].sum(), expected[often].sum()])
    seen, said = np.append(counts[often], rest[0]), np.append(expected[often], rest[1])
    chi2, freedom = ((seen - said) ** 2 / said).sum(), often.sum()
    assert freedom > 50
    assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)


def test_moments_of_the_samples(points, drawn):
    """The classes are equally frequent, and the mean is 0, within 4 standard errors."""
    x, k = drawn
    assert x.dtype == np.float64
    assert k.dtype == np.int32
    n, p = len(k), 1 / points.classes
    counts = np.bincount(k, minlength=points.classes)
    assert np.all(np.abs(counts - n * p) < 4 * np.sqrt(n * p * (1 - p)))
    assert np.all(np.abs(x.mean(0)) < 4 * x.std(0) / np.sqrt(n))
    assert np.all((x.std(0) > 0.7) & (x.std(0) < 1.6))


@pytest.mark.parametrize("curves", [toy.Moons(), toy.Spirals(), toy.Moons(2.0, noise=0.03)])
def test_quadrature_agrees_with_twice_as_many_nodes(curves):
    """To 1e-10, on the curves, at their ends and as far as 20 times the noise from them."""
    rng = np.random.default_rng(1)
    u = np.concatenate([rng.random(60), np.tile([0.0, 1.0], 40)])
    angle = 2 * np.pi * rng.random(len(u))
    around = np.stack([np.cos(angle), np.sin(angle)], 1)
    for distance in (0, 5, 20):
        x = curves.curve(u) + distance * curves.noise * around
        finer = toy._log_mixture(x, *curves.mixture(2 * curves.panels), curves.noise)
        np.testing.assert_allclose(curves.log_density(x), finer, rtol=0, atol=1e-10)


def moon(u, k):
    """scikit-learn's make_moons, moved by its mean, (1/2, 1/4), and scaled by 1.5."""
    x, y = np.cos(np.pi * u), np.sin(np.pi * u)
    return 1.5 * np.array([x - 0.5, y - 0.25] if k == 0 else [1 - x - 0.5, 0.5 - y - 0.25])


def arm(u, k):
    """Radius 0.5 to 3, uniform in its square; half a turn as the radius grows by 1."""
    r = np.sqrt(0.25 + 8.75 * u)
    return r * np.array([np.cos(np.pi * (r + k)), np.sin(np.pi * (r + k))])


@pytest.mark.parametrize(("points", "curve"), [(toy.Moons(), moon), (toy.Spirals(), arm)])
def test_curves_against_adaptive_integration(points, curve):
    """log p is that of the integral of the definition, by QUADPACK, to 1e-10."""
    for x in ([0.75, 1.1], [-1.9, 0.3], [0.4, -0.55], [2.4, 1.2]):

        def integrand(u, k, x=x):
            return np.exp(-((x - curve(u, k)) ** 2).sum() / (2 * 0.01)) / (2 * np.pi * 0.01)

        pieces = np.linspace(0, 1, 9)
        p = sum(
            integrate.quad(integrand, low, high, args=(k,), epsabs=0, epsrel=1e-12, limit=200)[0]
            for k in (0, 1)
            for low, high in itertools.pairwise(pieces)
        )
        found = points.log_density(np.array([x]))
        np.testing.assert_allclose(found, [np.log(p / 2)], rtol=0, atol=1e-10)


def test_samples_lie_on_the_curve_that_their_label_says():
    """With noise of 1e-9 every sample is within 1e-7 of that curve, and covers it evenly."""
    n = 200
    x, k = toy.Moons(noise=1e-9).sample(np.random.default_rng(0), n)
    centre = np.where(k[:, None] == 0, [[-0.75, -0.375]], [[0.75, 0.375]])
    np.testing.assert_allclose(np.linalg.norm(x - centre, axis=1), 1.5, atol=1e-7)
    assert np.all((x - centre)[:, 1] * (1 - 2 * k) > -1e-7)
    x, k = toy.Spirals(noise=1e-9).sample(np.random.default_rng(0), n)
    r = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(x.T, arm((r**2 - 0.25) / 8.75, k), atol=1e-7)
    x, k = toy.Gaussians(noise=1e-9).sample(np.random.default_rng(0), n)
    angle = np.pi * k / 4
    np.testing.assert_allclose(x, 2 * np.stack([np.cos(angle), np.sin(angle)], 1), atol=1e-7)


def test_the_ring_in_closed_form():
    """log p is that of SciPy's normal densities, far from the ring too, to 1e-12 of its value."""
    x = np.array([[2.0, 0.0], [0.1, -0.3], [1.0, 1.7], [30.0, -40.0]])
    angle = np.pi * np.arange(8) / 4
    means = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    logs = stats.norm.logpdf(x[:, None], means, 0.25).sum(-1)
    expected = np.logaddexp.reduce(logs - np.log(8), axis=1)
    np.testing.assert_allclose(toy.Gaussians().log_density(x), expected, rtol=1e-12)


def test_float32_points_and_many_points(points):
    """The density is found in float64, and that of a point does not depend on the others."""
    x = points.sample(np.random.default_rng(0), 700)[0].astype(np.float32)
    found = points.log_density(x)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, points.log_density(x.astype(np.float64)))
    np.testing.assert_allclose(found[[0, 699]], points.log_density(x[[0, 699]]), rtol=1e-14)
    assert points.log_density(x[:0]).shape == (0,)


@pytest.mark.parametrize("name", toy.SETS)
def test_loading(name):
    """Sizes, fields and the density; the same points again, and others in the other split."""
    train, test = toy.load(name), toy.load(name, "test")
    fields = (vector(2), label(toy.SETS[name].classes))
    assert described(train) == Info(name, "train", 50_000, fields)
    assert described(test) == Info(name, "test", 2_000, fields)
    x = train.gather(np.arange(len(train)))["vector"]
    again = toy.load(name)[49_999]
    np.testing.assert_array_equal(again["vector"], x[-1])
    held_out = test.gather(np.arange(len(test)))
    both = np.concatenate([x, held_out["vector"]])
    assert len(np.unique(both, axis=0)) == 52_000
    np.testing.assert_array_equal(
        test.log_density(held_out["vector"][:9]),
        toy.SETS[name].log_density(held_out["vector"][:9]),
    )


def test_refusals():
    """Each message."""

    def refusal(call, *args, **kwargs):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below)
            call(*args, **kwargs)
        return type(caught.value), str(caught.value)

    assert refusal(toy.load, "moon") == (
        DataError,
        "unknown toy set 'moon': use moons, spirals, gaussians",
    )
    assert refusal(toy.load, "moons", "validation") == (
        SplitError,
        "moons has no split 'validation': use train, test",
    )
    for make in (toy.Moons, toy.Spirals, toy.Gaussians):
        assert refusal(make, noise=0) == (
            ValueError,
            "noise must be a finite number above 0, not 0",
        )
    for make in (toy.Moons, toy.Gaussians):
        assert refusal(make, radius=-1) == (
            ValueError,
            "radius must be a finite number above 0, not -1",
        )
    assert refusal(toy.Spirals, inner=3.0) == (
        ValueError,
        "inner must be less than outer, 3, not 3",
    )
    assert refusal(toy.Moons().log_density, np.zeros(3)) == (
        ValueError,
        "x must be points of the plane, [n, 2], not [3]",
    )
