"""The three SDEs of Song et al. (2021) against the published code's float32 outputs.

The reference stores its discrete levels at the N = 1000 times i / 999 and looks up i = floor(999 t)
for VP and VE. For sub-VP, it discretises at t itself with a step of 1 / 1000.
"""

import numpy as np
import pytest

import score_sde
from score_sde import analytic

SDES = {"vp": score_sde.VP(), "subvp": score_sde.SubVP(), "ve": score_sde.VE()}


@pytest.fixture(params=SDES)
def case(request, shared):
    """An SDE and its golden arrays."""
    golden = np.load(shared / "golden" / "sde_and_steps.npz")
    prefix = request.param + "/"
    arrays = {k.removeprefix(prefix): golden[k] for k in golden if k.startswith(prefix)}
    return request.param, SDES[request.param], arrays, golden["t"]


def norm(x):
    """L2 norm of each example."""
    return np.linalg.norm(np.asarray(x, np.float64).reshape(len(x), -1), axis=1)


def assert_close(actual, expected, tolerance, terms=0):
    """Each example's L2 error is below the tolerance, relative to it or to terms that cancel."""
    error = norm(np.asarray(actual) - expected) / np.maximum(norm(expected), terms)
    assert error.max() < tolerance, error


def discrete_times(name, t):
    """The reference's step (t, s) for its lookup of t, in float64."""
    if name == "subvp":
        return t.astype(np.float64), t - 1 / 1000
    index = np.floor(t * 999).astype(np.int64)
    # VP's levels depend on the length of the step only; VE's are those of its two ends.
    return index / 999, (index / 999 - 1 / 1000 if name == "vp" else (index - 1) / 999)


def test_marginal_and_prior(case):
    _, sde, golden, t = case
    mean, std = sde.marginal(golden["x"], t)
    assert_close(mean, golden["marginal_mean"], 1e-6)
    # For small t, the reference's sqrt(1 - exp(...)) loses digits for VP.
    np.testing.assert_allclose(std, golden["marginal_std"], rtol=1e-6, atol=5e-6)
    np.testing.assert_allclose(sde.prior_logp(golden["x"]), golden["prior_logp"], rtol=1e-6)


def test_drift_and_diffusion(case):
    _, sde, golden, t = case
    np.testing.assert_allclose(sde.drift(golden["x"], t), golden["drift"], rtol=1e-6, atol=0)
    # For small t, the reference's 1 - exp(-2 int beta) loses digits for sub-VP.
    np.testing.assert_allclose(sde.diffusion(t), golden["diffusion"], rtol=1e-6, atol=1e-6)


def test_discretize(case):
    name, sde, golden, t = case
    a, g = sde.discretize(*discrete_times(name, t))
    assert g.dtype == np.float64  # on the host
    # f = (A - 1) x is a difference of float32 numbers near x in the reference.
    f = (a - 1)[:, None, None, None] * golden["x"]
    np.testing.assert_allclose(f, golden["discretize_f"], rtol=1e-6, atol=4e-7)
    np.testing.assert_allclose(g, golden["discretize_G"], rtol=3e-5)


def test_reverse_drift_and_velocity(case):
    """f x - g^2 score, and the velocity of the exact denoiser, which halves g^2 score."""
    _, sde, golden, t = case
    g2 = np.asarray(sde.g2(t))[:, None, None, None]
    reverse = sde.drift(golden["x"], t) - g2 * golden["score"]
    assert_close(reverse, golden["reverse_drift_pf0"], 2e-6)
    prediction = analytic.gaussian(sde, np.full((3, 4, 4), 0.3), 0.5)(golden["x"], t)
    assert_close(prediction.score(sde, t), golden["score"], 2e-6)
    # At t = 1 the reference's f x and g^2 score / 2 cancel nearly; ours are never formed.
    terms = norm(golden["drift"])
    assert_close(prediction.velocity(sde, t), golden["reverse_drift_pf1"], 2e-6, terms)
