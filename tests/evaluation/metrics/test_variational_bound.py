"""The variational bound: each term, and the entropy of known data that it comes down to."""

import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source, made_subject, subject_of
from scipy import stats

import score_sde
from score_sde import analytic, fields, keys
from score_sde.errors import UserError
from score_sde.evaluation.metrics import variational_bound as module
from score_sde.evaluation.metrics.loss_by_time import LossByTime
from score_sde.evaluation.metrics.variational_bound import (
    VariationalBound,
    noise_levels,
    terms,
    variational_bound,
)
from score_sde.processes import DDPM, SMLD
from score_sde.spaces import Vectors
from score_sde.spaces.dequantization import Lattice

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

PROCESSES = [
    score_sde.VP(),
    score_sde.SubVP(),
    score_sde.VE(sigma_max=8.0),
    score_sde.RectifiedFlow(),
    DDPM(),
    SMLD(sigma_max=8.0, scales=20),
]
each_process = pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: type(sde).__name__)
MEAN, STD = 0.2, 0.6


def pixels(level, levels):
    return jnp.asarray(np.round(np.asarray(level) * 255 / (levels - 1)), jnp.uint8)[:, None]


def per_image(sde, denoise, level, levels, options, centered=True):
    """The bound of each image of one pixel, nats, and its terms."""
    lattice = Lattice(levels, centered, False)
    key = keys.of_examples(jax.random.key(0), jnp.arange(len(level)))
    times = noise_levels(sde, options)
    run = jax.jit(lambda images: terms(key, denoise, sde, images, lattice, times, options.variance))
    found = run(pixels(level, levels))
    return sum(found), found


def expected_step(sde, s, t, x, variance):
    """E KL(q(x_s | x_t, x) || p(x_s | x_t)) for the denoiser of N(MEAN, STD^2), by quadrature.

    Not from the formula of the module: both Gaussians come from the product of the densities
    N(x_s; alpha_s x, sigma_s^2) and N(x_t; A x_s, G^2).
    """
    (alpha_s, sigma_s), (alpha_t, sigma_t) = (
        (float(sde.alpha(np.float64(u))), float(sde.sigma(np.float64(u)))) for u in (s, t)
    )
    a = alpha_t / alpha_s
    g2 = sigma_t**2 - (a * sigma_s) ** 2
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    x_t = alpha_t * x + sigma_t * nodes
    guess = MEAN + alpha_t * STD**2 / ((alpha_t * STD) ** 2 + sigma_t**2) * (x_t - alpha_t * MEAN)
    precision = 1 / sigma_s**2 + a**2 / g2

    def mean(data):
        return (alpha_s * data / sigma_s**2 + a * x_t / g2) / precision

    v = g2 if variance == "large" else 1 / precision
    ratio = 1 / precision / v
    kl = 0.5 * (ratio - 1 - math.log(ratio) + (mean(x) - mean(guess)) ** 2 / v)
    return weights @ kl / weights.sum()


@each_process
@pytest.mark.parametrize("variance", ["small", "large"])
def test_each_step_is_a_divergence_of_gaussians(x64, sde, variance):
    """Mean over 2000 draws within 4 standard errors; the prior's term exactly."""
    options = VariationalBound(steps=20, grid="log_snr", variance=variance)
    times, denoise = noise_levels(sde, options), analytic.gaussian(sde, [MEAN], STD)
    level = np.full(2000, 2)
    _, found = per_image(sde, denoise, level, 4, options)
    x = 2 * float(pixels([2], 4)[0, 0]) / 255 - 1
    pairs = itertools.pairwise(times)
    expected = sum(expected_step(sde, s, t, x, variance) for s, t in pairs)
    error = np.std(found.diffusion) / math.sqrt(2000)
    assert abs(np.mean(found.diffusion) - expected) < 4 * error
    # Of the prior: KL between two Gaussians, by its definition.
    a, b = (float(c(np.float64(times[-1]))) for c in (sde.alpha, sde.sigma))
    grid = a * x + b * np.linspace(-12, 12, 100_001)
    q = stats.norm.pdf(grid, a * x, b)
    log_ratio = stats.norm.logpdf(grid, a * x, b) - stats.norm.logpdf(grid, 0, sde.prior_std)
    exact = np.trapezoid(q * log_ratio, grid)
    np.testing.assert_allclose(found.prior, exact, rtol=1e-6, atol=1e-9)


def exact(sde, lattice, probability):
    """The denoiser of levels of these probabilities."""
    level = np.arange(lattice.levels)
    points = np.asarray(lattice.middles(pixels(level, lattice.levels)), np.float64)
    return analytic.gaussian_mixture(sde, points, np.zeros(len(points)), probability)


@each_process
def test_the_bound_comes_down_to_the_entropy(x64, sde):
    """Three levels of known probability and the exact denoiser: never below it, 3 % at the end."""
    probability = np.array([0.5, 0.2, 0.3])
    entropy = -np.sum(probability * np.log(probability))
    level = np.repeat([0, 1, 2], 300)
    denoise = exact(sde, Lattice(3, True, False), probability)
    gaps = []
    for steps in (8, 300):
        bound, _ = per_image(sde, denoise, level, 3, VariationalBound(steps=steps, grid="log_snr"))
        each = np.asarray(bound).reshape(3, 300)
        error = math.sqrt(np.sum(probability**2 * each.var(1) / 300))
        gaps.append(probability @ each.mean(1) - entropy)
        assert gaps[-1] > -3 * error
    assert gaps[0] > gaps[1] + 3 * error
    assert gaps[1] < 0.03 * entropy + 3 * error


@pytest.mark.parametrize("levels", [17, 256])
@pytest.mark.parametrize("centered", [True, False])
def test_no_offset_is_left_to_the_number_of_levels(x64, levels, centered):
    """-log P(k) on average, within 0.5 nats, half of which 200 steps cost for 256 levels.

    An offset of 8 bits in place of 7 is 0.7 nats, 256 levels in place of 17 are 2.7.
    """
    lattice = Lattice(levels, centered, False)
    probability = stats.norm.pdf(np.arange(levels), 0.4 * levels, 0.2 * levels)
    probability /= probability.sum()
    level = np.random.default_rng(0).choice(levels, 300, p=probability)
    sde = score_sde.VP(t_min=1e-6)  # its noise does not reach the next of 256 levels
    options = VariationalBound(steps=200, grid="log_snr")
    denoise = exact(sde, lattice, probability)
    bound, _ = per_image(sde, denoise, level, levels, options, centered)
    gap = np.asarray(bound) + np.log(probability[level])
    assert abs(gap.mean()) + 2 * gap.std() / math.sqrt(300) < 0.5


@pytest.mark.parametrize("mean", [-1.3, -0.99, 0.0, 0.52, 1.0, 4.0])
@pytest.mark.parametrize("std", [0.003, 0.05, 0.7])
def test_the_decoder_is_a_distribution(mean, std):
    """In float32: masses add up to 1, though pixels are rounded, and small ones are right too."""
    lattice = Lattice(17, True, False)
    images = pixels(np.arange(17), 17)
    found = np.asarray(module._log_mass(images, jnp.full((17, 1), mean), std, lattice))[:, 0]
    assert np.exp(found.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    edges = -1 + np.arange(18) / 8 - 1 / 16
    edges[0], edges[-1] = -np.inf, np.inf
    low, high = (edges[:-1] - mean) / std, (edges[1:] - mean) / std
    low, high = np.where(low + high > 0, -high, low), np.where(low + high > 0, -low, high)
    b, a = stats.norm.logcdf(high), stats.norm.logcdf(low)
    np.testing.assert_allclose(found, b + np.log1p(-np.exp(a - b)), rtol=2e-4, atol=2e-5)


def test_a_sequence_gets_its_own_levels():
    sde = DDPM(scales=40)
    np.testing.assert_allclose(noise_levels(sde, VariationalBound(steps=40)), np.arange(40) / 39)
    times = noise_levels(score_sde.VP(), VariationalBound(steps=40))
    assert (times[0], times[-1]) == (1e-3, 1.0)
    assert (np.diff(times) > 0).all()


def entry(folder, batch_size=4, **options):
    level = np.random.default_rng(0).integers(0, 17, (10, 2, 2, 1))
    sde = score_sde.VP()
    denoise = analytic.gaussian(sde, np.zeros((2, 2, 1)), 0.6)
    what, said = made_subject(folder, sde, denoise, level, 17, batch_size)
    return variational_bound(what, VariationalBound(steps=20, **options)), said


def test_a_killed_evaluation_goes_on(tmp_path):
    """After a cut in the second row, the rest is done, with another batch size."""
    whole, _ = entry(tmp_path)
    (path,) = (tmp_path / "evaluation").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    again, said = entry(tmp_path, batch_size=5)
    assert said[0] == "variational_bound: 4 of 10 examples are there from before"
    assert again["value"] == pytest.approx(whole["value"], rel=1e-5)
    assert again["standard_error"] == pytest.approx(whole["standard_error"], rel=1e-4)
    assert again["protocol"] == whole["protocol"]
    rows = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
    assert sorted(i for row in rows for i in row["index"]) == list(range(10))
    _, said = entry(tmp_path)
    assert said == ["variational_bound: 10 of 10 examples are there from before"]


def test_the_entry(tmp_path):
    found = json.loads(json.dumps(entry(tmp_path)[0]))
    assert sum(found["terms"].values()) == pytest.approx(found["value"])
    assert (found["unit"], found["examples"], found["nfe"]) == ("bits/dim", 10, 20)
    assert found["protocol"]["levels"] == 17
    assert found["protocol"]["variance"] == "small"
    assert found["protocol"]["sde"]["name"] == "VP"
    other = entry(tmp_path, variance="large")[0]
    assert other["value"] != found["value"]
    assert len(list((tmp_path / "evaluation").iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "evaluation").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"^cannot write to \S+: .*Give another --workdir$"):
        entry(tmp_path)


@pytest.mark.parametrize("grid", ["log_snr", "karras"])
def test_a_grid_that_cannot_reach_the_end_is_refused(tmp_path, grid):
    """At t_max = 1 a rectified flow has no signal left: the times would not be numbers."""
    sde = score_sde.RectifiedFlow(t_max=1.0)
    level = np.zeros((1, 2, 2, 1), int)
    what, _ = made_subject(tmp_path, sde, analytic.gaussian(sde, [0.0], 0.6), level, 17)
    for metric in (VariationalBound, LossByTime):
        with pytest.raises(ValueError, match=rf"grid={grid}: RectifiedFlow.* ratio of 0"):
            metric(grid=grid).prepare(what)
        assert callable(metric().prepare(what))


def test_continuous_data_have_none(tmp_path):
    field = fields.vector(2)
    source = made_source({"vector": np.zeros((3, 2), np.float32)}, [field])
    what, _ = subject_of(tmp_path, score_sde.VP(), None, Vectors.of(field), source)
    with pytest.raises(ValueError, match=r"it is of discrete data, .*: use log_likelihood"):
        VariationalBound().prepare(what)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1}, "steps=1 must be at least 2"),
        ({"variance": "tiny"}, "unknown variance 'tiny'"),
        ({"grid": "uniforn"}, "did you mean 'uniform'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        VariationalBound(**options)
