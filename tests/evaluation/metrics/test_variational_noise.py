"""Variational dequantisation: its density, and that the fit tightens the bound."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_subject
from scipy import stats

import score_sde
from score_sde import analytic
from score_sde.errors import UserError
from score_sde.evaluation.metrics import variational_noise
from score_sde.evaluation.metrics.bits_per_dim import BitsPerDim, bits_per_dim

pytestmark = pytest.mark.slow

SDE = score_sde.VP(beta_max=50.0)
MEAN, STD, LEVELS = 0.02, 0.05, 17
LEVEL = np.array([8, 8, 8, 7, 9]).reshape(5, 1, 1, 1)
OPTIONS = BitsPerDim(
    dequantization="variational", dequantization_steps=300, divergence="exact", repeats=20
)


def test_the_density_is_that_of_the_draws(x64):
    """log q(u) of the logistic e that was drawn, and du/de, by automatic differentiation."""
    keys = jax.random.split(jax.random.key(0), 50)
    location, log_scale = jax.random.normal(jax.random.key(1), (2, 50, 3))
    u, log_q = variational_noise.draw(keys, location, log_scale)
    e = jax.vmap(lambda key: jax.random.logistic(key, (3,)))(keys)
    of_e = jax.vmap(
        jax.vmap(jax.value_and_grad(lambda e, m, s: jax.nn.sigmoid(m + jnp.exp(s) * e)))
    )
    value, slope = of_e(e, location, log_scale)
    np.testing.assert_allclose(u, value, rtol=1e-12)
    expected = (stats.logistic.logpdf(e) - np.log(slope)).sum(1)
    np.testing.assert_allclose(log_q, expected, rtol=1e-9)


def test_it_begins_as_uniform_noise():
    keys = jax.random.split(jax.random.key(0), 1000)
    u, log_q = variational_noise.draw(keys, *jnp.zeros((2, 1000, 1)))
    np.testing.assert_allclose(log_q, 0, atol=1e-5)
    assert stats.kstest(np.asarray(u)[:, 0], "uniform").pvalue > 0.01


def exact_and_uniform():
    """-log2 P(k), and the expectation of the bound of uniform noise; bits, means over LEVEL."""
    alpha, sigma = (float(c(np.float64(SDE.t_min))) for c in (SDE.alpha, SDE.sigma))
    model = stats.norm(alpha * MEAN, math.hypot(alpha * STD, sigma))
    low = -1 + 2 * LEVEL.ravel() / LEVELS
    exact = -np.log2(model.cdf(low + 2 / LEVELS) - model.cdf(low))
    inside = low[:, None] + 2 / LEVELS * (np.arange(1000) + 0.5) / 1000
    uniform = -model.logpdf(inside).mean(1) / math.log(2) - math.log2(2 / LEVELS)
    return exact.mean(), uniform.mean()


def test_the_fit_closes_most_of_the_gap(tmp_path):
    """Between -log2 P(k), which is a limit, and the bound of uniform noise; 20 draws an image."""
    denoise = analytic.gaussian(SDE, np.full((1, 1, 1), MEAN), STD)
    subject, said = made_subject(tmp_path, SDE, denoise, LEVEL, LEVELS, tiled=True)
    found = bits_per_dim(subject, OPTIONS)
    exact, uniform = exact_and_uniform()
    error = np.std(found["of_each_repeat"], ddof=1) / math.sqrt(20)
    assert error < 0.1 * (uniform - exact)
    assert exact - 3 * error < found["value"] < exact + 0.25 * (uniform - exact)
    assert found["protocol"]["dequantization_steps"] == 300
    assert any("dequantization: step 300/300" in line for line in said)


def test_the_fit_is_kept(tmp_path):
    """A measurement that goes on, or another one, takes the noise that was fitted before."""
    denoise = analytic.gaussian(SDE, np.full((1, 1, 1), MEAN), STD)
    subject, said = made_subject(tmp_path, SDE, denoise, LEVEL, LEVELS, tiled=True)
    first = variational_noise.fit(subject, SDE, 3)
    assert said
    said.clear()
    again = variational_noise.fit(subject, SDE, 3)
    assert not said
    keys, images = jax.random.split(jax.random.key(0), 5), np.full((5, 1, 1, 1), 128, np.uint8)
    for one, other in zip(
        *(fit(keys, images, subject.space.lattice, SDE) for fit in (first, again)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    variational_noise.fit(subject, SDE, 4)
    assert said  # another number of steps is another fit
    said.clear()
    variational_noise.fit(subject, dataclasses.replace(SDE, t_min=1e-2), 3)
    assert said  # and so is another t_min


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    denoise = analytic.gaussian(SDE, np.full((1, 1, 1), MEAN), STD)
    subject, _ = made_subject(tmp_path, SDE, denoise, LEVEL, LEVELS, tiled=True)
    (tmp_path / "evaluation").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"^cannot write to \S+: .*Give another --workdir$"):
        variational_noise.fit(subject, SDE, 1)


def test_a_process_without_an_end_is_refused(tmp_path):
    """At t_max = 1 a rectified flow has no signal left: the fit would not be of numbers."""
    sde = score_sde.RectifiedFlow(t_max=1.0)
    denoise = analytic.gaussian(sde, np.full((1, 1, 1), MEAN), STD)
    subject, _ = made_subject(tmp_path, sde, denoise, LEVEL, LEVELS, tiled=True)
    with pytest.raises(ValueError, match=r"=variational: RectifiedFlow.* ratio of 0"):
        OPTIONS.prepare(subject)
    assert callable(BitsPerDim().prepare(subject))


def test_a_count_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="dequantization_steps"):
        BitsPerDim(dequantization_steps=0)
