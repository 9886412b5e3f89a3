"""A Gaussian AR(1) clip: its exact score, and its future drawn given its past, by every method
that is exact on it.

Each pixel is, over the frames, x_0 ~ N(0, 1), x_f = r x_(f-1) + sqrt(1 - r^2) z_f, so that
Cov(x_f, x_g) = r^|f - g|. It forgets all of the past but the last frame x_k that is known:

    E[x_(k+i) | past] = r^i x_k,    Cov[x_(k+i), x_(k+j) | past] = r^|i - j| - r^(i + j).   (1)

What "pigdm" and "dps" draw is not that: they take the data given x_t for independent. "gibbs" is
exact with many sweeps: 600 leave the mean 0.08 standard deviations off, 2,000 leave nothing that
4096 draws would show.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, samplers
from score_sde.guidance.methods import METHODS
from score_sde.guidance.task import Inpaint
from score_sde.spaces import Video

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("well_compiled")]

R, FRAMES, KNOWN = 0.8, 5, 2
SHAPE = (FRAMES, 1, 2, 1)
PIXELS = 2
PAST = np.array([[0.3, -1.1], [1.2, 0.4]])  # frames, pixels
LAG = np.abs(np.subtract.outer(np.arange(FRAMES), np.arange(FRAMES)))
COVARIANCE = np.kron(R**LAG, np.eye(PIXELS))
VP = score_sde.VP()
LANGEVIN = samplers.get(
    "predictor_corrector",
    predictor="ancestral",
    grid="log_snr",
    steps=200,
    snr=0.5,
    corrector_steps=20,
)
SOLVER = samplers.get("dpmpp_2m", steps=60)
# What draws, how many, and the options of the method.
HOW = {
    "replacement": (LANGEVIN, 2048, {}),
    "moments": (SOLVER, 4096, {}),
    "gibbs": (SOLVER, 512, {"sweeps": 1000}),
}


def clips(sde):
    return analytic.correlated_gaussian(sde, np.zeros(SHAPE), COVARIANCE)


def drawn(method, mask, known):
    """Clips [n, frames, pixels] of which those frames are known."""
    sampler, n, options = HOW[method]
    task = Inpaint(jnp.asarray(mask), method=METHODS[method](**options))
    known = jnp.asarray(known.reshape(1, *SHAPE))

    @jax.jit
    def draw(key):
        key_prior, key = jax.random.split(key)
        chosen = task.sampler(sampler, known)
        x = chosen.prior(key_prior, VP, (n, *SHAPE), jnp.float64)
        x = task.start(VP, x, chosen.begins(VP), known)
        out = chosen(key, task.denoiser(clips(VP), VP, known), VP, x_init=x)
        return task.finish(out.x, known)

    return np.asarray(draw(jax.random.key(0))).reshape(n, FRAMES, PIXELS)


def assert_distributed(x, mean, covariance):
    """The mean and every entry of the covariance of x [n, d], to 3 standard errors."""
    n, error, variance = len(x), x - mean, np.diag(covariance)
    assert np.all(np.abs(error.mean(0)) < 3 * np.sqrt(variance / n))
    size = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert np.all(np.abs(error.T @ error / n - covariance) < 3 * size)


def test_the_score_of_a_noisy_clip_is_the_gradient_of_its_density(x64):
    """log N(x_t; 0, alpha^2 C + sigma^2 I) of all frames together, by automatic derivatives."""
    x = jax.random.normal(jax.random.key(0), (3, *SHAPE))
    t = jnp.array([0.01, 0.3, 0.9])

    def log_density(x, t):
        covariance = VP.alpha(t) ** 2 * COVARIANCE + VP.sigma(t) ** 2 * np.eye(len(COVARIANCE))
        return jax.scipy.stats.multivariate_normal.logpdf(
            x.reshape(-1), jnp.zeros(len(COVARIANCE)), covariance
        )

    found = clips(VP)(x, t).score(VP, t)
    np.testing.assert_allclose(found, jax.vmap(jax.grad(log_density))(x, t), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", HOW)
def test_the_future_is_drawn_given_the_past(x64, method):
    """Equation (1), of all frames and pixels together, to 3 standard errors."""
    known = np.zeros((FRAMES, PIXELS))
    known[:KNOWN] = PAST
    mask = (np.arange(FRAMES) < KNOWN).reshape(1, FRAMES, 1, 1, 1)
    x = drawn(method, mask, known)
    np.testing.assert_array_equal(x[:, :KNOWN], np.broadcast_to(PAST, x[:, :KNOWN].shape))
    ahead = np.arange(1, FRAMES - KNOWN + 1)
    mean = R ** ahead[:, None] * PAST[-1]
    between, both = (op.outer(ahead, ahead) for op in (np.subtract, np.add))
    covariance = np.kron(R ** np.abs(between) - R**both, np.eye(PIXELS))
    assert_distributed(x[:, KNOWN:].reshape(len(x), -1), mean.reshape(-1), covariance)


def test_frames_are_filled_in_between_others(x64):
    """The region that the command line calls "between": one frame in the middle of each bridge.

    Of x_f alone between its neighbours a and b: mean r (a + b) / (1 + r^2), variance
    (1 - r^2) / (1 + r^2).
    """
    (inside,) = Video.REGIONS["between"]
    frames = np.arange(8)
    unknown = (frames >= inside.start) & (frames < inside.stop)
    np.testing.assert_array_equal(np.flatnonzero(~unknown), [0, 7])
    ends = np.array([[1.5, -0.2], [0.0, 0.0], [0.5, 0.9], [0.0, 0.0], [-1.0, 0.3]])
    mask = (np.arange(FRAMES) % 2 == 0).reshape(1, FRAMES, 1, 1, 1)
    x = drawn("moments", mask, ends)[:, 1::2]
    mean = R * (ends[:-2:2] + ends[2::2]) / (1 + R**2)
    variance = (1 - R**2) / (1 + R**2)
    assert_distributed(x.reshape(len(x), -1), mean.reshape(-1), variance * np.eye(4))


def test_methods_are_those_of_the_command_line():
    assert HOW.keys() | {"pigdm", "dps"} == METHODS.keys()
    assert all(dataclasses.is_dataclass(method) for method in METHODS.values())
