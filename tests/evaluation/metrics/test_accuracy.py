"""The accuracy by noise level: that of the exact classifier of two Gaussians."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source, subject_of
from scipy import stats

import score_sde
from score_sde import fields
from score_sde.classifier import Classifier
from score_sde.evaluation.metrics.accuracy import Accuracy
from score_sde.objectives import CLASSIFIER
from score_sde.spaces import Vectors

pytestmark = pytest.mark.usefixtures("quick_compile")

SPACE = Vectors(np.float32([1.0, -2.0]), np.float32([1.5, 0.8]))
MEAN, STD = np.array([0.8, -0.6]), 0.5  # of class 1; -MEAN of class 0


def network(x, noise):
    """Exact logits: x is alpha x_0 + sigma eps with alpha^2 + sigma^2 = 1."""
    alpha = 1 / jnp.sqrt(1 + noise**2)
    variance = (alpha * STD) ** 2 + 1 - alpha**2
    half = alpha / variance * (x @ jnp.asarray(MEAN, x.dtype))
    return jnp.stack([-half, half], axis=1)


def subject(folder, sde, n):
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=n, dtype=np.int32)
    states = (2 * kind - 1)[:, None] * MEAN + STD * rng.normal(size=(n, 2))
    vectors = (SPACE.mean + SPACE.scale * states).astype(np.float32)
    source = made_source(
        {"vector": vectors, "kind": kind}, [fields.vector(2), fields.label(2, name="kind")]
    )
    classifier = Classifier(network, sde)
    return subject_of(
        folder, sde, classifier, SPACE, source, batch_size=1000, label="kind", trains=CLASSIFIER
    )


@pytest.mark.parametrize("sde", [score_sde.VP(), score_sde.VE(sigma_max=8.0)])
def test_two_gaussians(tmp_path, sde):
    """At every time, within 4 standard errors of 4000 examples.

    The logit of the true class is N(2 d^2, (2 d)^2), d = alpha |MEAN| / sqrt(v): it is above 0 with
    probability Phi(d), and the mean of log(1 + exp(-logit)) is had by quadrature.
    """
    what, _ = subject(tmp_path, sde, 4000)
    entry = Accuracy(points=4).prepare(what)()["accuracy"]
    curve = entry["curve"]
    times = np.array(curve["t"])
    np.testing.assert_allclose(times, np.linspace(sde.t_min, sde.t_max, 4))
    alpha, sigma = sde.alpha(times), sde.sigma(times)
    np.testing.assert_allclose(curve["noise"], sigma / alpha)
    d = alpha * np.linalg.norm(MEAN) / np.sqrt((alpha * STD) ** 2 + sigma**2)
    share = stats.norm.cdf(d)
    error = np.sqrt(share * (1 - share) / 4000)
    found = np.array(curve["accuracy"])
    assert (np.abs(found - share) < 4 * error).all()
    stated = np.sqrt(found * (1 - found) / 3999)
    np.testing.assert_allclose(curve["standard_error"], stated, rtol=1e-6)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    nats = np.logaddexp(0, -(2 * d[:, None] ** 2 + 2 * d[:, None] * nodes))
    weights = weights / weights.sum()
    mean, square = nats @ weights, nats**2 @ weights
    assert (np.abs(curve["cross_entropy"] - mean) < 4 * np.sqrt((square - mean**2) / 4000)).all()
    assert entry["value"] == curve["accuracy"][0]
    assert entry["standard_error"] == curve["standard_error"][0]
    assert entry["protocol"]["label"] == "kind"


def test_where_no_signal_is_left_the_entry_is_json(tmp_path):
    """A rectified flow of t_max = 1 ends at infinite noise; one example has no standard error."""
    what, _ = subject(tmp_path, score_sde.RectifiedFlow(t_max=1.0), 1)
    curve = Accuracy(points=3).prepare(what)()["accuracy"]["curve"]
    json.dumps(curve, allow_nan=False)
    assert curve["noise"][-1] is None
    assert curve["standard_error"] == [None] * 3


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="points=1 must be at least 2"):
        Accuracy(points=1)
