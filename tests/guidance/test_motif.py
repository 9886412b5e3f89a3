"""Points that are known up to where they lie, against the exact posterior of a Gaussian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, guidance, samplers
from score_sde.guidance.task import Scaffold
from score_sde.subspace import PointSets

KEY = jax.random.key(0)
N, SAMPLES = 4, 1024
MASK = np.array([True, False, True, True])[None, :, None]
RNG = np.random.default_rng(0)
MEAN = RNG.standard_normal((N, 3))
FACTOR = RNG.standard_normal((3 * N, 3 * N)) / 3
COVARIANCE = FACTOR @ FACTOR.T + 0.05 * np.eye(3 * N)
KNOWN = RNG.standard_normal((1, N, 3))


def projection(observation, d=3 * N):
    """The matrix of what an observation knows of a state, [3 N, 3 N]."""
    forward = observation.measurement().operator.forward
    return np.asarray(jax.jacobian(lambda x: forward(x.reshape(1, N, -1)).ravel())(jnp.zeros(d)))


def test_what_is_known_is_an_orthogonal_projection_within_sets_without_a_centre(x64):
    """Of rank 3 (m - 1) for m points of a motif; of a feature beside the places, of m more."""
    motif = guidance.Motif(KNOWN, MASK)
    p = projection(motif)
    np.testing.assert_allclose(p @ p, p, atol=1e-12)
    np.testing.assert_allclose(p, p.T, atol=1e-12)
    assert np.linalg.matrix_rank(p) == 3 * (3 - 1)
    sets = PointSets(3)
    for column in p.T:
        x = column.reshape(1, N, 3)
        np.testing.assert_allclose(sets.project(jnp.asarray(x), None), x, atol=1e-12)
    features = guidance.Motif(RNG.standard_normal((1, N, 4)), MASK)
    assert np.linalg.matrix_rank(projection(features, 4 * N)) == 3 * (3 - 1) + 3


def test_replacing_knows_no_place(x64):
    """The motif as known, about the centre that it has; the other points stay."""
    x = jax.random.normal(KEY, (5, N, 3))
    motif = guidance.Motif(KNOWN, MASK)
    found, there = motif.finish(x), MASK[0, :, 0]
    np.testing.assert_array_equal(found[:, ~there], x[:, ~there])
    np.testing.assert_allclose(found[:, there].mean(1), x[:, there].mean(1), atol=1e-12)
    known = KNOWN[0, there] - KNOWN[0, there].mean(0)
    centred = found[:, there] - found[:, there].mean(1, keepdims=True)
    np.testing.assert_allclose(centred, np.broadcast_to(known, centred.shape), atol=1e-12)
    moved = guidance.Motif(KNOWN + 7.0, MASK)
    np.testing.assert_allclose(moved.finish(x), found, atol=1e-12)


def test_a_mask_of_each_example_is_where_it_is_known():
    """Without a mask, what is known are the points that are not zero, of each example its own."""
    known = np.tile(KNOWN, (2, 1, 1)) * np.array([[1, 0, 1, 1], [0, 1, 1, 0]])[..., None]
    x = jax.random.normal(KEY, known.shape)
    found = Scaffold().finish(x, jnp.asarray(known))
    for i, mask in enumerate((known != 0).any(axis=-1)):
        task = Scaffold(jnp.asarray(mask[None, :, None]))
        alone = task.finish(x[i : i + 1], jnp.asarray(known[i : i + 1]))
        np.testing.assert_allclose(found[i], alone[0], atol=1e-6)
        np.testing.assert_array_equal(found[i][~mask], x[i][~mask])


@pytest.mark.slow
@pytest.mark.usefixtures("well_compiled")
def test_scaffolds_are_of_the_posterior(x64):
    """Mean and covariance of 1,024 draws to 4 standard errors; the task as a model is asked it."""
    sde = score_sde.VP()
    task, known = Scaffold(jnp.asarray(MASK)), jnp.asarray(np.tile(KNOWN, (SAMPLES, 1, 1)))
    sampler = samplers.get(
        "predictor_corrector",
        predictor="ancestral",
        grid="log_snr",
        steps=150,
        snr=0.5,
        corrector_steps=20,
    )

    @jax.jit
    def draw(task, known):
        denoise = analytic.correlated_gaussian(sde, MEAN, COVARIANCE)
        prior = sampler.prior(KEY, sde, known.shape, jnp.float64)
        x_init = task.start(sde, prior, sampler.begins(sde), known)
        out = sampler(KEY, task.denoiser(denoise, sde, known), sde, x_init=x_init)
        return task.finish(out.x, known)

    x = np.asarray(draw(task, known)).reshape(SAMPLES, -1)
    p = projection(guidance.Motif(KNOWN, MASK))
    h = np.linalg.svd(p)[2][: np.linalg.matrix_rank(p)]  # orthonormal rows
    gain = COVARIANCE @ h.T @ np.linalg.inv(h @ COVARIANCE @ h.T)
    mean = MEAN.ravel() + gain @ h @ (KNOWN.ravel() - MEAN.ravel())
    covariance = COVARIANCE - gain @ h @ COVARIANCE
    np.testing.assert_allclose(x @ h.T, np.tile(h @ KNOWN.ravel(), (SAMPLES, 1)), atol=1e-9)
    rest = np.linalg.svd(p)[2][np.linalg.matrix_rank(p) :]
    error, expected = (x - mean) @ rest.T, rest @ covariance @ rest.T
    variance = np.diag(expected)
    assert np.all(np.abs(error.mean(0)) < 4 * np.sqrt(variance / SAMPLES))
    tolerance = np.sqrt((np.outer(variance, variance) + expected**2) / SAMPLES)
    assert np.all(np.abs(error.T @ error / SAMPLES - expected) < 4 * tolerance)
