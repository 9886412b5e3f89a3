"""The log-likelihood of continuous data: equal to exact densities, in the units of the data."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source, made_subject, subject_of
from scipy import special, stats

import score_sde
from score_sde import analytic, fields
from score_sde.evaluation.metrics.log_likelihood import LogLikelihood
from score_sde.spaces import Vectors

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

# It ends in its prior to 1e-5 nats.
SDE = score_sde.VP(beta_max=50.0)
ALPHA, SIGMA = (float(c(np.float64(SDE.t_min))) for c in (SDE.alpha, SDE.sigma))
SPACE = Vectors(np.float64([0.3, -1.0]), np.float64([2.0, 0.7]))
FIELD = fields.Field("vector", "vector", (2,), "float64")
PRECISE = LogLikelihood(rtol=1e-8, atol=1e-8)


def noisy(mean, std, vectors):
    """log p of vectors whose states are N(mean, std^2) with the noise of t_min, by their units."""
    scale = SPACE.scale * math.hypot(ALPHA * std, SIGMA)
    return stats.norm.logpdf(vectors, SPACE.mean + SPACE.scale * ALPHA * mean, scale).sum(-1)


def test_a_gaussian_whose_mean_is_told(x64, tmp_path):
    """The exact mean to 1e-5 nats; and the difference from a density that is known, in pairs."""
    rng = np.random.default_rng(0)
    told = rng.normal(0, 0.5, (6, 2))
    vectors = SPACE.mean + SPACE.scale * (told + 0.7 * rng.normal(size=(6, 2)))
    gaussian = analytic.gaussian(SDE, np.zeros(2), 0.7)

    def denoise(x, t, cond):
        moved = gaussian(x - SDE.alpha(t)[:, None] * cond["mean"], t)
        return moved._replace(x0=moved.x0 + cond["mean"])

    exact = noisy(told, 0.7, vectors)
    arrays = {"vector": vectors, "mean": told}
    described = [FIELD, fields.Field("mean", "vector", (2,), "float64")]
    source = made_source(arrays, described, log_density=lambda v: exact + 0.25 * v[:, 0])
    what, _ = subject_of(tmp_path, SDE, denoise, SPACE, source, conditions=("mean",))
    entry = PRECISE.prepare(what)()["log_likelihood"]
    assert entry["value"] == pytest.approx(exact.mean(), abs=1e-5)
    error = exact.std(ddof=1) / math.sqrt(6)
    assert entry["standard_error"] == pytest.approx(error, rel=1e-4)
    assert (entry["unit"], entry["examples"], "of" in entry) == ("nats", 6, False)
    slope = -0.25 * vectors[:, 0]
    assert entry["exact"] == pytest.approx((exact - slope).mean())
    assert entry["difference"]["value"] == pytest.approx(slope.mean(), abs=1e-5)
    error = slope.std(ddof=1) / math.sqrt(6)
    assert entry["difference"]["standard_error"] == pytest.approx(error, rel=1e-4)
    assert entry["protocol"]["conditions"] == ["mean"]


def test_a_mixture(x64, tmp_path, monkeypatch):
    """To 1e-5 nats, from t_min = 1e-2 on; of what is no example it says so."""
    monkeypatch.setattr(Vectors, "DENSITY", "latents")
    means, stds, weights = np.array([[-1.0, 0.5], [0.8, 0.0]]), np.array([0.3, 0.6]), [0.3, 0.7]
    sde = score_sde.VP(beta_max=50.0, t_min=1e-2)
    alpha, sigma = (float(c(np.float64(1e-2))) for c in (sde.alpha, sde.sigma))
    states = np.random.default_rng(0).normal(0, 0.8, (6, 2))
    v = (alpha * stds) ** 2 + sigma**2
    parts = stats.norm.logpdf(states[:, None], alpha * means, np.sqrt(v)[:, None]).sum(-1)
    exact = special.logsumexp(parts + np.log(weights), axis=1) - np.log(SPACE.scale).sum()
    denoise = analytic.gaussian_mixture(SDE, means, stds, weights)
    source = made_source({"vector": SPACE.mean + SPACE.scale * states}, [FIELD])
    what, _ = subject_of(tmp_path, SDE, denoise, SPACE, source)
    entry = LogLikelihood(rtol=1e-8, atol=1e-8, t_min=1e-2).prepare(what)()["log_likelihood"]
    assert entry["value"] == pytest.approx(exact.mean(), abs=1e-5)
    assert entry["protocol"]["t_min"] == entry["protocol"]["sde"]["t_min"] == 1e-2
    assert {"exact", "difference"}.isdisjoint(entry)
    assert entry["of"] == "latents"


def test_what_cannot_be_had(tmp_path):
    """Of discrete data, and from a time that is none; a solver that gives up is one line."""
    images, _ = made_subject(tmp_path, SDE, None, np.zeros((2, 2, 2, 1)), 17)
    with pytest.raises(ValueError, match=r"it is of continuous data, .*: use bits_per_dim"):
        LogLikelihood().prepare(images)

    def broken(x, t, cond=None):
        return analytic.gaussian(SDE, np.zeros(2), 1.0)(x * jnp.nan, t)

    source = made_source({"vector": np.zeros((2, 2), np.float32)}, [fields.vector(2)])
    what, _ = subject_of(tmp_path, SDE, broken, Vectors.of(fields.vector(2)), source)
    with pytest.raises(ValueError, match=r"t_min=2.0: times must satisfy"):
        LogLikelihood(t_min=2.0).prepare(what)
    with pytest.raises(score_sde.errors.UserError, match=r"^the ODE was not solved[^\n]*$"):
        LogLikelihood().prepare(what)()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"divergence": "trace"}, "unknown divergence 'trace'"),
        ({"probes": 0}, "probes=0 must be at least 1"),
        ({"rtol": 0.0}, "rtol=0.0 must be above 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LogLikelihood(**options)
